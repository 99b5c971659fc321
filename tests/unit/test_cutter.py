"""Long speech is cut where it hurts least."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipelines.speech.cutter import HARD_LIMIT, QUIET, SOFT_LIMIT, Cutter

CHUNK = 0.1


def cuts(probabilities: list[float]) -> list[float]:
    """Return the seconds at which chunks of 0.1 s are cut."""
    cutter = Cutter()
    return [
        round((at + 1) * CHUNK, 1)
        for at, speech in enumerate(probabilities)
        if cutter.cut_after(CHUNK, speech)
    ]


def test_speech_shorter_than_the_soft_limit_is_not_cut_not_even_in_a_pause() -> None:
    assert cuts([0.9] * 100 + [0.0] * 50 + [0.9] * 49) == []


def test_the_first_quiet_chunk_past_the_soft_limit_ends_a_piece() -> None:
    assert cuts([0.9] * 220 + [0.1, 0.1, 0.1] + [0.9] * 20) == [22.1]


def test_speech_without_a_pause_is_cut_before_the_hard_limit() -> None:
    assert cuts([0.9] * 700) == [30.0, 60.0]


def test_a_piece_counts_from_the_last_cut() -> None:
    assert cuts([0.9] * 250 + [0.1] + [0.9] * 298 + [0.1, 0.9]) == [25.1, 55.0]


@given(st.lists(st.floats(0, 1), max_size=900))
def test_no_piece_is_longer_than_the_hard_limit_and_a_short_one_ends_quietly(
    probabilities: list[float],
) -> None:
    start = 0.0
    for at in cuts(probabilities):
        length = at - start
        assert SOFT_LIMIT - 0.01 <= length <= HARD_LIMIT + 0.01
        if length < HARD_LIMIT - CHUNK:
            assert probabilities[round(at / CHUNK) - 1] < QUIET
        start = at
