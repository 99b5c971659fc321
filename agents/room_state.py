"""What a job says of its room with each heartbeat: all that a successor needs to go on.

No line of it is what somebody said, and no secret is in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from pydantic import TypeAdapter

from agents.room_settings import E2EE_KEY
from pipelines.lease import Lease, LeaseKey


def room_key(room: str, agent_name: str, job_key: str) -> LeaseKey:
    """Return the key of the lease that at most one job holds."""
    return LeaseKey("room", (room, agent_name, job_key))


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomState:
    """The state of a room's lease.

    Args:
        sid: Of the room.
        meeting: The meeting's id.
        first: Id of the dispatch that asked first in this room, somebody else's; empty if there is
            none, as in a room that LiveKit has made anew.
        dispatch: Id of the dispatch that the holder serves.
        metadata: The job's; None where it has a secret, then only LiveKit knows it.
        identity: Of the holder in the room.
        heard_until: Unix seconds; what was said before is settled, and shown.
        agents: Names of the agents that run.
        restarts: When jobs of this room died lately, Unix seconds, oldest first.
        dead: Ids of the last jobs of this room that were taken for dead, oldest first.
        asked: How often a successor was asked for since the last holder.
        silent: Seconds without a heartbeat when a successor was last asked for.
        handover: Id of the job that serves until a successor takes over; empty is none.
        leaving: Identity of that job in the room.
        takeover_at: From when on speech is the holder's, Unix seconds; 0 is from its start.
    """

    sid: str = ""
    meeting: str = ""
    first: str = ""
    dispatch: str = ""
    metadata: str | None = ""
    identity: str = ""
    heard_until: float = 0.0
    agents: tuple[str, ...] = ()
    restarts: tuple[float, ...] = ()
    dead: tuple[str, ...] = ()
    asked: int = 0
    silent: float = 0.0
    handover: str = ""
    leaving: str = ""
    takeover_at: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> RoomState:
        """Read a lease's state; keys of another version are passed over, missing ones empty."""
        return _STATE.validate_python(dict(state))


_STATE: Final = TypeAdapter(RoomState)


def waits(lease: Lease) -> bool:
    """Tell whether a room's job is gone and no other one has come: asked for, or not yet."""
    # In a hand-over nobody holds the lease either, and the old job still serves.
    return not lease.holder and not RoomState.of(lease.state).handover


def succeed(
    before: RoomState | None,
    *,
    sid: str,
    meeting: str,
    first: str,
    dispatch: str,
    metadata: str,
    identity: str,
) -> RoomState:
    """Return the state that a job begins with.

    Args:
        before: Of the holder before it, or of who saw that one dead; None if it goes on from none.
        sid: Of the room.
        meeting: The meeting's id.
        first: Id of the dispatch that asked first, if ``before`` does not tell.
        dispatch: Id of the job's own dispatch.
        metadata: The job's.
        identity: The job's, in the room.
    """
    before = before or RoomState()
    # A room that was made anew has other dispatches.
    asked = before.first if before.sid == sid else ""
    return replace(
        before,
        heard_until=before.heard_until if before.meeting == meeting else 0.0,
        sid=sid,
        meeting=meeting,
        first=asked or first,
        dispatch=dispatch,
        metadata=None if _has_secret(metadata) else metadata,
        identity=identity,
        asked=0,
        silent=0.0,
        takeover_at=0.0,
    )


def _has_secret(metadata: str) -> bool:
    """Tell whether the key of an encrypted room is in it: that must not be where leases are."""
    try:
        read = json.loads(metadata) if metadata else None
    except ValueError:  # Not JSON: a recording's id, or a mistake that the job tells.
        return E2EE_KEY in metadata
    return isinstance(read, dict) and E2EE_KEY in read
