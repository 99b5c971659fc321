"""The process's settings: read once from the environment, validated, secrets never shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from pipelines.errors import SettingsError
from pipelines.failpoints import FAILPOINTS
from pipelines.la_suite import COLLECTOR, PROFILES, ProfileName, profile_values
from pipelines.lease_settings import LeaseSettings
from pipelines.post_meeting.deliver.settings import DeliverySettings
from pipelines.post_meeting.llm_settings import LLMSettings
from pipelines.post_meeting.settings import PostMeetingSettings
from pipelines.post_meeting.transcribe_settings import TranscribeSettings
from pipelines.store_settings import StoreSettings
from pipelines.tool_settings import ToolSettings
from pipelines.transcript.stores.address import StoreAddress
from pipelines.webhooks.settings import WebhookSettings

Names = Annotated[tuple[str, ...], NoDecode]
"""A comma-separated list in the environment."""

CaptionFormatName = Literal["text-stream", "legacy", "meetai"]
VadName = Literal["native", "silero"]


class Settings(
    StoreSettings,
    LeaseSettings,
    PostMeetingSettings,
    DeliverySettings,
    WebhookSettings,
    TranscribeSettings,
    LLMSettings,
    ToolSettings,
    BaseSettings,
):
    """Every setting, with its default; the environment variable is ``GREFFIER_`` + the name.

    Three are LiveKit's own and are read under LiveKit's names.
    """

    model_config = SettingsConfigDict(
        env_prefix="GREFFIER_", extra="ignore", frozen=True, populate_by_name=True
    )

    livekit_url: str = Field(
        default="",
        validation_alias=AliasChoices("LIVEKIT_URL", "livekit_url"),
        description="Address of the LiveKit server, `ws://` or `wss://`.",
    )
    livekit_api_key: str = Field(
        default="",
        validation_alias=AliasChoices("LIVEKIT_API_KEY", "livekit_api_key"),
        description="LiveKit API key.",
    )
    livekit_api_secret: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("LIVEKIT_API_SECRET", "livekit_api_secret"),
        description="LiveKit API secret.",
    )
    agent_name: str = Field(
        default="greffier",
        pattern=r"^[A-Za-z0-9._-]{0,64}$",
        description="Name that rooms are dispatched to; empty takes every new room (automatic "
        "dispatch).",
    )
    profile: ProfileName = Field(
        default="",
        description="La Suite Meet's agent that this worker stands in for: `metadata-collector` or "
        "`multi-user-transcriber`; an agent name that is one of these chooses it too.",
    )
    display_name: str = Field(
        default="Greffier", max_length=128, description="What people see in the participant list."
    )
    hidden: bool = Field(
        default=False, description="Join hidden: people don't see that notes are taken."
    )
    listen_only: bool = Field(
        default=False,
        description="Join without permission to send: no captions, no notices, no history.",
    )
    default_agents: Names = Field(
        default=("metadata", "transcriber"),
        description="Agents to run where the room's metadata has no valid `agents` key.",
    )
    allowed_agents: Names = Field(
        default=(),
        description="Agents that metadata may name; empty allows every installed one.",
    )
    keep_chat: bool = Field(
        default=False,
        description="Keep the text of chat messages where the room's metadata does not say.",
    )
    vad: VadName = Field(
        default="native",
        description="Detector of voice activity: `native` (LiveKit's) or `silero`, which costs "
        "several times as much.",
    )
    engine: str = Field(
        default="auto",
        description="Speech engine as `provider/model`; `auto` takes what has a key, then what "
        "runs locally without a download.",
    )
    fallback_engine: str = Field(
        default="",
        description="Engine that is asked where a room's own fails, `provider/model`, of those "
        "that are allowed; empty is none.",
    )
    allowed_engines: Names = Field(
        default=("deepgram", "openai", "pocketsphinx", "moonshine", "faster-whisper"),
        description="Engines that metadata may name: `provider` or `provider/model`.",
    )
    engine_plugins: Names = Field(
        default=(),
        description="More engines, as `name=module:Class` of a LiveKit STT plugin.",
    )
    engine_workers: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Speech recognised at the same time by a batch or local engine, per job; 0 is "
        "one per core, at least 2.",
    )
    deepgram_api_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("DEEPGRAM_API_KEY", "deepgram_api_key"),
        description="Key of Deepgram.",
    )
    deepgram_base_url: str = Field(
        default="", description="Another address that speaks Deepgram's protocol."
    )
    openai_api_key: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=AliasChoices("OPENAI_API_KEY", "openai_api_key"),
        description="Key of OpenAI or of the server at `GREFFIER_OPENAI_BASE_URL`.",
    )
    openai_base_url: str = Field(
        default="", description="Any server that speaks OpenAI's protocol, e.g. a local Whisper."
    )
    language: str = Field(
        default="en", description="Language of speech where metadata says nothing (BCP 47)."
    )
    interim_interval_ms: int = Field(
        default=200, ge=50, le=5000, description="Least time between two interims of a speaker."
    )
    caption_formats: Annotated[tuple[CaptionFormatName, ...], NoDecode] = Field(
        default=("text-stream",),
        min_length=1,
        description="How captions are sent, one or more: `text-stream` (LiveKit's "
        "`lk.transcription`), `legacy` (Transcription packets, for La Suite Meet's page), `meetai` "
        "(`transcript_update` packets).",
    )
    e2ee_key: SecretStr = Field(
        default=SecretStr(""),
        description="Key of end-to-end encrypted rooms, as people share it. With it every room of "
        "this worker is taken to be encrypted; the job's `e2eeKey` goes before it.",
    )
    store_encrypted_rooms: bool = Field(
        default=False,
        description="Keep what is said in end-to-end encrypted rooms, in plain text.",
    )
    unmute_bridge_ms: int = Field(
        default=0,
        ge=0,
        le=2000,
        description="Read muted microphones too and keep their last ms, for a LiveKit server so "
        "far away that its word of an unmute comes later than the first of the speech.",
    )
    departure_timeout: float | None = Field(
        default=None,
        ge=0,
        description="Seconds without people after which the agent leaves; unset takes the room's.",
    )
    max_jobs: int = Field(
        default=20, ge=1, le=1000, description="Meetings at the same time in this worker."
    )
    data_dir: Path = Field(
        default=Path("greffier-data"),
        description="Directory of the journals; on a local disk that outlives the process.",
    )
    transcripts_dir: Path | None = Field(
        default=None,
        description="Directory of kept lines and sealed transcripts; default `transcripts` in the "
        "data directory.",
    )
    recover_interval: float = Field(
        default=30.0,
        gt=0,
        description="Seconds between two looks for journals that a dead job left.",
    )
    vanished_after: float = Field(
        default=60.0,
        ge=1,
        description="Seconds without a new line after which a meeting that only Redis knows of is "
        "taken for that of a host that vanished, and sealed once its room is closed.",
    )
    drain_timeout: int = Field(
        default=3600,
        ge=1,
        description="Seconds that running meetings may go on after SIGTERM.",
    )
    health_host: str = Field(
        default="127.0.0.1", description="Address of the health check (`GET /`)."
    )
    health_port: int = Field(
        default=0, ge=0, le=65535, description="Port of the health check; 0 takes a free one."
    )
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of Prometheus' `GET /metrics`, at the address of the health check; unset "
        "is none, 0 takes a free one.",
    )
    log_level: Literal["DEBUG", "INFO", "WARN", "ERROR"] = Field(
        default="INFO", description="Least level that is logged."
    )
    failpoint: str = Field(
        default="",
        description="For tests: die at a named place, `name[:n]` or `@file`.",
    )

    @field_validator(
        "default_agents",
        "allowed_agents",
        "allowed_engines",
        "engine_plugins",
        "caption_formats",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("caption_formats")
    @classmethod
    def _are_distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("names a format twice: everything would be shown twice")
        return value

    @field_validator("livekit_url")
    @classmethod
    def _is_livekit_url(cls, value: str) -> str:
        if value and not value.startswith(("ws://", "wss://", "http://", "https://")):
            raise ValueError("must begin with ws:// or wss://")
        return value

    @field_validator("failpoint")
    @classmethod
    def _is_failpoint(cls, value: str) -> str:
        name = value.partition(":")[0]
        if name and not name.startswith("@") and name not in FAILPOINTS:
            raise ValueError(f"no failpoint {name!r}; there are {', '.join(FAILPOINTS)}")
        return value

    @model_validator(mode="after")
    def _has_a_place_for_recordings(self) -> Self:
        if self.profile == COLLECTOR and not self.metadata_bucket:
            raise ValueError(
                "AWS_STORAGE_BUCKET_NAME (or GREFFIER_METADATA_BUCKET) must be set: the bucket of "
                "La Suite Meet's recordings"
            )
        return self

    @model_validator(mode="after")
    def _has_leases_that_those_who_work_share(self) -> Self:
        if self.after == "celery" and self.leases == "files":
            raise ValueError(
                "GREFFIER_AFTER=celery needs leases that every Celery worker sees: leave "
                "GREFFIER_LEASES empty, or make it a redis:// address"
            )
        if self.artefacts and not self.lease_place and not self.leases:
            raise ValueError(
                "GREFFIER_ARTEFACTS in S3 is worked on by every host that has it, so they must "
                "share their leases: set GREFFIER_LEASES to a redis:// address, or to `files` "
                "where there is one host only"
            )
        return self

    @property
    def agent_presets(self) -> Mapping[str, Mapping[str, Any]]:
        """Settings that an agent starts from where the room's metadata does not say."""
        return {"metadata": {"chat": self.keep_chat}}

    @property
    def lease_place(self) -> StoreAddress | None:
        """The Redis that keeps the leases; None where files do."""
        if self.leases:
            return None if self.leases == "files" else self.leases
        if self.after == "celery":
            return self.broker  # Which every Celery worker has, whatever else it has.
        return next((store for store in self.stores if store.kind == "redis"), None)

    @property
    def lease_setting(self) -> str:
        """The variable that :attr:`lease_place` is read from, for who has to correct it."""
        if self.leases:
            return "GREFFIER_LEASES"
        return "GREFFIER_STORES" if self.lease_place in self.stores else "GREFFIER_CELERY_BROKER"

    @property
    def journal_dir(self) -> Path:
        """Where the journals are."""
        return self.data_dir / "journal"

    @property
    def store_dir(self) -> Path:
        """Where the files store keeps lines and sealed transcripts."""
        return self.transcripts_dir or self.data_dir / "transcripts"

    @classmethod
    def variable(cls, name: str) -> str:
        """Return the environment variable of the field ``name``."""
        alias = cls.model_fields[name].validation_alias
        if isinstance(alias, AliasChoices):
            return str(alias.choices[0])
        return f"GREFFIER_{name.upper()}"

    @classmethod
    def from_environment(cls) -> Self:
        """Read the settings from the environment.

        Raises:
            SettingsError: A value is wrong; the message has one line for each, naming the variable.
        """
        try:
            return cls()
        except ValidationError as error:
            problems = error.errors(include_input=False, include_url=False)
            lines = [f"{cls._prefix(one['loc'])}{one['msg']}" for one in problems]
            raise SettingsError("\n".join(lines).replace("Value error, ", "")) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let a profile speak last: what the environment says under our names wins."""
        given = {**env_settings(), **init_settings()}
        name = str(given.get("agent_name", ""))
        profile = str(given.get("profile") or (name if name in PROFILES else ""))
        values = profile_values(profile, os.environ)
        return (init_settings, env_settings, InitSettingsSource(settings_cls, values))

    @classmethod
    def _prefix(cls, location: tuple[int | str, ...]) -> str:
        if not location:
            return ""  # A rule of several variables names them itself.
        first = str(location[0])
        return f"{cls.variable(first) if first in cls.model_fields else first}: "
