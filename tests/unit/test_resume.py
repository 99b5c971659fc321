"""How far an earlier epoch had heard, and whether a room that opens anew goes on with it."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.events import CaptionFinal, Hole, HoleCause, iso
from pipelines.transcript.line import Line, LineKind, final_data, hole_data
from pipelines.transcript.resume import (
    HOLE_LEAST,
    Before,
    gap,
    goes_on,
    heard_until,
    may_go_on,
)

START = 1_000_000.0
MEETING = "standup/RM_1"


class Epoch:
    """Lines of one epoch; times are seconds from the start of the meeting."""

    def __init__(self, epoch: int, at: float, *, meeting: str = MEETING) -> None:
        self.lines: list[Line] = []
        self._epoch, self._meeting, self._sequence = epoch, meeting, count(1)
        self.add("opened", at, room="standup", room_sid="RM_1", started_at=START)

    def add(self, kind: LineKind, at: float, /, **data: Any) -> Epoch:
        line = Line(self._meeting, self._epoch, next(self._sequence), kind, START + at, data)
        self.lines.append(line)
        return self

    def note(self, kind: str, at: float, **data: Any) -> Epoch:
        fields = {"at": iso(START + at), **data}
        return self.add("note", at + 0.3, agent="metadata", kind=kind, data=fields)

    def final(self, start: float, end: float, speaker: str = "ada") -> Epoch:
        said = CaptionFinal(START + start, START + end, f"{start}", speaker, "", "hello")
        return self.add("final", start, **final_data(said, meeting_start=START))

    def hole(self, start: float, end: float, cause: HoleCause = HoleCause.RESTART) -> Epoch:
        hole = Hole(START + start, START + end, cause)
        return self.add("hole", start, **hole_data(hole, meeting_start=START))


def heard(*epochs: Epoch) -> float | None:
    until = heard_until([line for epoch in epochs for line in epoch.lines])
    return None if until is None else round(until - START, 3)


def test_nobody_was_to_listen_before_a_first_epoch_or_after_a_good_end() -> None:
    assert heard() is None
    assert heard(Epoch(1, 0).final(3, 4).add("ended", 5)) is None


def test_an_epoch_has_heard_up_to_the_end_of_its_last_words_or_its_last_note() -> None:
    assert heard(Epoch(1, 2)) == 2
    assert heard(Epoch(1, 0).final(3, 4.5)) == 4.5
    assert heard(Epoch(1, 0).final(3, 4.5).note("role", 6, identity="ada")) == 6.3


def test_speech_that_was_left_open_is_not_settled_beyond_its_own_last_words() -> None:
    speaking = Epoch(1, 0).note("speech_start", 3, identity="ada")
    assert heard(speaking.final(2, 8, speaker="james")) == 3
    assert heard(speaking.final(3, 5, speaker="ada")) == 5
    assert heard(speaking.note("speech_end", 9, identity="ada", started_at=iso(START + 3))) == 9.3


def test_an_epoch_that_died_before_it_heard_anything_moves_nothing() -> None:
    first = Epoch(1, 0).final(3, 4)
    assert heard(first, Epoch(2, 6).note("participant_connected", 6, identity="ada")) == 4
    assert heard(first, Epoch(2, 6).hole(4, 7)) == 7
    assert heard(first, Epoch(2, 6).hole(4, 5, HoleCause.ENGINE)) == 4
    assert heard(first, Epoch(2, 6).final(8, 9)) == 9


def test_what_was_before_a_good_end_counts_no_more() -> None:
    ended = Epoch(1, 0).final(3, 400).add("ended", 5)
    assert heard(ended, Epoch(2, 10).final(11, 12)) == 12


def test_a_gap_is_a_hole_from_1_2_seconds_on() -> None:
    assert gap(None, 9.0) is None
    assert gap(5.0, 4.9 + HOLE_LEAST) is None
    assert gap(9.0, 5.0) is None
    assert gap(5.0, 6.3) == Hole(5.0, 6.3, HoleCause.RESTART)


@given(
    before=st.none() | st.floats(0, 1e9),
    until=st.floats(0, 1e9),
)
def test_a_marked_gap_is_the_whole_of_it(before: float | None, until: float) -> None:
    hole = gap(before, until)
    if hole is None:
        assert before is None or until - before <= HOLE_LEAST
    else:
        assert (hole.at, hole.end, hole.speakers) == (before, until, ())


@pytest.mark.parametrize(
    ("meeting", "sid", "age", "expected"),
    [
        (MEETING, "RM_2", 59.0, True),
        (MEETING, "RM_2", 61.0, False),
        (MEETING, "RM_9", 7000.0, True),  # the same opening of the room
        ("weekly", "RM_2", 1.0, False),  # an id of its own
        ("standup2/RM_1", "RM_2", 1.0, False),  # another room's
    ],
)
def test_a_room_made_anew_goes_on_with_its_meeting_for_a_minute(
    meeting: str, sid: str, age: float, expected: bool
) -> None:
    before = Before(meeting, sid, age)
    assert goes_on(before, room="standup", room_sid="RM_9", within=60.0) is expected


def test_only_a_meeting_without_an_end_and_an_id_of_its_own_may_go_on() -> None:
    left = Epoch(1, 0).final(1, 2).lines
    assert may_go_on(left, age=59.0, within=60.0)
    assert not may_go_on(left, age=61.0, within=60.0)
    assert not may_go_on(Epoch(1, 0, meeting="weekly").lines, age=1.0, within=60.0)
    assert not may_go_on(Epoch(1, 0).add("ended", 2).lines, age=1.0, within=60.0)
    assert not may_go_on(left[1:], age=1.0, within=60.0)
