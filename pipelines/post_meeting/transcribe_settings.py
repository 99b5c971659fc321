"""The settings of transcribing recordings: what may be fetched, and who listens to it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

ResponseFormat = Literal["verbose_json", "diarized_json", "json"]


class TranscribeSettings(BaseModel):
    """A part of the settings of the post-meeting pipeline."""

    media_max_bytes: int = Field(
        default=4 * 1024**3, ge=1, description="Most bytes of a recording that is fetched."
    )
    media_max_seconds: float = Field(
        default=12 * 3600.0, gt=0, description="Longest recording that is transcribed, seconds."
    )
    media_timeout: float = Field(
        default=1800.0, gt=0, description="Seconds that fetching a recording may take."
    )
    media_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Private hosts that recordings may be fetched from: names, addresses or "
        "networks (`10.1.0.0/16`), comma-separated. Public ones need not be named.",
    )
    transcribe_engine: str = Field(
        default="",
        description="Engine for recordings, `provider/model`; empty is `GREFFIER_ENGINE`. "
        "`GREFFIER_TRANSCRIBE_URL` goes before it.",
    )
    transcribe_url: str = Field(
        default="",
        pattern=r"^(https?://.+)?$",
        description="Base address of a service that transcribes whole recordings in the shape of "
        "WhisperX or OpenAI (`POST /audio/transcriptions`), up to `/v1`.",
    )
    transcribe_key: SecretStr = Field(
        default=SecretStr(""), description="Key of that service; sent as a bearer token."
    )
    transcribe_model: str = Field(default="large-v3", description="Model that it is asked for.")
    transcribe_format: ResponseFormat = Field(
        default="verbose_json",
        description="Its `response_format`; `diarized_json` where it tells voices apart, as La "
        "Suite's WhisperX does.",
    )
    transcribe_part_minutes: float = Field(
        default=60.0,
        ge=1,
        le=720,
        description="Longest piece of a recording that it gets at once, cut in silence; an hour is "
        "14 MB. Voices are told apart within a piece only.",
    )
    transcribe_timeout: float = Field(
        default=3600.0, gt=0, description="Seconds that it may take for a piece."
    )
    transcribe_workers: int = Field(
        default=2, ge=1, le=64, description="Pieces that it works on at the same time."
    )
    align_threshold: float = Field(
        default=0.9,
        gt=0.5,
        lt=1,
        description="How sure it must be who spoke, 0.5 to 1; what is less sure has no name.",
    )

    @field_validator("media_allow", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
