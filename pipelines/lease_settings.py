"""The settings of leases: where they are kept, and how long one lives without a heartbeat."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import NoDecode

from pipelines.transcript.stores.address import StoreAddress, parse_addresses


class LeaseSettings(BaseModel):
    """A part of :class:`pipelines.settings.Settings`."""

    leases: Annotated[StoreAddress | Literal["", "files"], NoDecode] = Field(
        default="",
        description="Where it is kept who serves which room: `redis://`, or `files` in the data "
        "directory, for one host; empty takes Celery's broker if Celery works after meetings, "
        "else the first Redis of `GREFFIER_STORES`, else files.",
    )
    lease_ttl: float = Field(
        default=3.0,
        ge=0.5,
        le=60,
        description="Seconds without a heartbeat after which a job is taken for dead and its room "
        "gets another one. Three beats fit in it; a busy host's loop stalls 0.4 s at times.",
    )

    continue_within: float = Field(
        default=60.0,
        ge=0,
        description="Seconds after the last heartbeat in which a room that is made anew, as after "
        "a restart of LiveKit, goes on with its meeting; one that may go on is not sealed before. "
        "Of no matter where the metadata gives the meeting an id.",
    )

    room_sweep_interval: float = Field(
        default=15.0,
        ge=0,
        description="Seconds between two looks for open rooms whose metadata asks for agents and "
        "that have none; 0 looks for none. Not under La Suite Meet's names.",
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
