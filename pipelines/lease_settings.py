"""Where leases are kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import NoDecode

from pipelines.transcript.stores.address import StoreAddress, parse_addresses


class LeaseSettings(BaseModel):
    """A part of :class:`pipelines.settings.Settings`."""

    leases: Annotated[StoreAddress | Literal["", "files"], NoDecode] = Field(
        default="",
        description="Where it is kept who does which step after a meeting: `redis://`, or `files` "
        "in the data directory, for one host; empty takes Celery's broker if Celery works after "
        "meetings, else the first Redis of `GREFFIER_STORES`, else files.",
    )

    @field_validator("leases", mode="before")
    @classmethod
    def _parse_leases(cls, value: object) -> object:
        if not isinstance(value, str) or value.strip() in {"", "files"}:
            return value.strip() if isinstance(value, str) else value
        found = parse_addresses(value)
        if len(found) != 1 or found[0].kind != "redis":
            raise ValueError("must be one redis:// or rediss:// address, or `files`")
        return found[0]
