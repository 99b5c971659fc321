"""Why a job ends, and what follows from it."""

from __future__ import annotations

import pytest
from livekit import rtc

from agents.ending import Ending, disconnected

Reason = rtc.DisconnectReason


@pytest.mark.parametrize(
    ("reason", "ending"),
    [
        (Reason.ROOM_DELETED, Ending.OVER),
        (Reason.ROOM_CLOSED, Ending.OVER),
        (Reason.PARTICIPANT_REMOVED, Ending.REMOVED),
        (Reason.SERVER_SHUTDOWN, Ending.CUT_OFF),
        (Reason.SIGNAL_CLOSE, Ending.CUT_OFF),
        (Reason.STATE_MISMATCH, Ending.CUT_OFF),
        (Reason.CONNECTION_TIMEOUT, Ending.CUT_OFF),
        (Reason.DUPLICATE_IDENTITY, Ending.CUT_OFF),
        (Reason.UNKNOWN_REASON, Ending.CUT_OFF),
    ],
)
def test_only_a_room_that_was_closed_is_over(reason: int, ending: Ending) -> None:
    assert disconnected(reason) is ending


def test_a_meeting_that_goes_on_without_this_job_is_not_sealed_by_it() -> None:
    goes_on = {ending for ending in Ending if not ending.is_final}
    assert goes_on == {
        Ending.DROPPED,
        Ending.WORKER,
        Ending.HANDED_OVER,
        Ending.CUT_OFF,
        Ending.FENCED,
    }
    assert not any(ending.tombstone for ending in goes_on)


def test_who_was_told_to_stop_leaves_a_tombstone() -> None:
    left = {ending: ending.tombstone for ending in Ending if ending.tombstone}
    assert left == {
        Ending.EMPTY: "empty",
        Ending.WITHDRAWN: "withdrawn",
        Ending.REMOVED: "withdrawn",
    }
