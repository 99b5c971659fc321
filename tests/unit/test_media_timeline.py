"""Which timestamps of a recording are believed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from pipelines.post_meeting.media.timeline import LONGEST_GAP, Timeline

FRAME = 0.02


def silences(stamps: Sequence[float | None]) -> list[tuple[int, float]]:
    """Place a frame of 20 ms at each stamp; return number of frame and silence before it."""
    timeline = Timeline()
    placed = [timeline.place(here, FRAME, then) for here, then in pairwise([*stamps, None])]
    return [(number, round(gap, 2)) for number, gap in enumerate(placed) if gap]


def running(start: float, count: int) -> list[float]:
    return [start + number * FRAME for number in range(count)]


def test_a_recording_may_begin_at_any_time() -> None:
    assert silences(running(7200.0, 50)) == []


def test_room_that_the_timestamps_leave_is_silence() -> None:
    assert silences([*running(0, 50), *running(21.0, 50)]) == [(50, 20.0)]


def test_a_jump_that_the_next_frame_does_not_follow_is_ignored() -> None:
    stamps: list[float] = running(0, 50)
    stamps[20] += 30.0
    assert silences(stamps) == []


def test_a_jump_further_than_any_pause_is_ignored_with_all_that_follow_it() -> None:
    assert silences([*running(0, 50), *running(LONGEST_GAP + 100, 50)]) == []


def test_timestamps_that_went_back_once_are_not_believed_again() -> None:
    assert silences([*running(10, 50), *running(0, 50), *running(60, 50)]) == []


def test_frames_without_timestamps_follow_each_other() -> None:
    assert silences([None] * 50) == []


def test_frames_that_all_have_the_same_timestamp_follow_each_other() -> None:
    assert silences([43.0] * 200) == []


def test_small_differences_mean_nothing() -> None:
    stamps = [stamp + (0.1 if number % 2 else 0.0) for number, stamp in enumerate(running(0, 50))]
    assert silences(stamps) == []
