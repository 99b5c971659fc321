"""The settings of what happens after a meeting: who does it, and where the artefacts go."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from pipelines.transcript.stores.address import StoreAddress, parse_addresses


class PostMeetingSettings(BaseModel):
    """A part of :class:`pipelines.settings.Settings`."""

    after: Literal["builtin", "celery", "off"] = Field(
        default="builtin",
        description="Who makes minutes of a sealed meeting: `builtin`, a child process of the "
        "worker; `celery`, Celery workers; `off`, nobody.",
    )
    celery_broker: SecretStr = Field(
        default=SecretStr(""),
        description="Address of Celery's broker, `redis://`; empty takes the first Redis of "
        "`GREFFIER_STORES`.",
    )
    artefacts: Annotated[StoreAddress | None, NoDecode] = Field(
        default=None,
        description="Where summaries and minutes are kept, `s3://bucket/prefix`; unset is beside "
        "the sealed transcripts, in files.",
    )
    step_timeout: float = Field(
        default=14_400,
        ge=10,
        description="Seconds that one step after a meeting may take; the transcription of a long "
        "recording by a local engine takes the longest.",
    )

    step_lease: float = Field(
        default=20.0,
        ge=1,
        description="Seconds without a heartbeat after which a step is taken for that of a dead "
        "process, and done again; longer than a busy host's process may stall.",
    )
    sweep_interval: float = Field(
        default=15.0,
        ge=1,
        le=30,
        description="Seconds between two looks of a process for steps that wait and that nobody "
        "does.",
    )

    @field_validator("celery_broker")
    @classmethod
    def _is_redis(cls, value: SecretStr) -> SecretStr:
        found = parse_addresses(value.get_secret_value())
        if found and (len(found) > 1 or found[0].kind != "redis"):
            raise ValueError("must be one redis:// or rediss:// address")
        return value

    @field_validator("artefacts", mode="before")
    @classmethod
    def _parse_artefacts(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        found = parse_addresses(value)
        if value.strip() and (len(found) != 1 or found[0].kind != "s3"):
            raise ValueError("must be one s3:// address, or empty for files")
        return found[0] if found else None

    @model_validator(mode="after")
    def _has_a_broker(self) -> Self:
        if self.after == "celery" and not self.broker:
            raise ValueError(
                "GREFFIER_AFTER=celery needs a broker: set GREFFIER_CELERY_BROKER, or a redis:// "
                "store in GREFFIER_STORES"
            )
        return self

    @property
    def broker(self) -> StoreAddress | None:
        """Celery's broker; None where there is none."""
        stores: tuple[StoreAddress, ...] = getattr(self, "stores", ())
        given = parse_addresses(self.celery_broker.get_secret_value())
        return next((one for one in (*given, *stores) if one.kind == "redis"), None)

    @property
    def broker_url(self) -> str:
        """Its address, which may hold a password; empty where there is none."""
        return self.broker.url if self.broker else ""
