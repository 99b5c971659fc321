"""Why a job ends, and what follows from it: a table.

Pure but for the names of LiveKit's reasons.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from livekit import rtc

from pipelines.lease import Tombstone


class Ending(Enum):
    """Why a job ends."""

    OVER = "the room is closed"
    EMPTY = "nobody is in the room"
    WITHDRAWN = "the first dispatch is deleted"
    REMOVED = "somebody removed the agent from the room"
    DROPPED = "the job's own dispatch is deleted, and the first one is not"
    WORKER = "the worker ends"
    HANDED_OVER = "another worker's job serves the room now"
    CUT_OFF = "the connection to LiveKit is lost"
    FENCED = "a newer epoch serves the meeting"

    @property
    def is_final(self) -> bool:
        """Whether the meeting is over: it is sealed, its lease let go.

        Else it goes on in the next epoch. Where nobody has taken the lease yet, it expires, and a
        worker that sees it does.
        """
        return self not in _GOES_ON

    @property
    def tombstone(self) -> Tombstone | None:
        """Why nobody is to serve the room again."""
        return _TOMBSTONES.get(self)


_GOES_ON: Final = frozenset(
    {Ending.DROPPED, Ending.WORKER, Ending.HANDED_OVER, Ending.CUT_OFF, Ending.FENCED}
)

_TOMBSTONES: Final[dict[Ending, Tombstone]] = {
    Ending.EMPTY: "empty",
    Ending.WITHDRAWN: "withdrawn",
    Ending.REMOVED: "withdrawn",
}

_CLOSED: Final = frozenset({rtc.DisconnectReason.ROOM_DELETED, rtc.DisconnectReason.ROOM_CLOSED})


def disconnected(reason: int) -> Ending:
    """Return why a job ends that LiveKit has disconnected, for one of its ``DisconnectReason``."""
    if reason in _CLOSED:
        return Ending.OVER
    if reason == rtc.DisconnectReason.PARTICIPANT_REMOVED:
        return Ending.REMOVED
    return Ending.CUT_OFF
