"""Long speech is cut where it hurts least."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.speech.cutter import HARD_LIMIT, SOFT_LIMIT, Cutter
from pipelines.speech.heard import RATE, Samples
from pipelines.testing import coded_speech

CHUNK = 0.1
_VOICE = np.random.default_rng(1).normal(0, 3000, 100 * RATE).astype(np.int16)


def cuts(probabilities: list[float], voice: Samples = _VOICE) -> list[float]:
    """Return the seconds at which speech in chunks of 0.1 s is cut."""
    cutter, found, size = Cutter(), [], round(CHUNK * RATE)
    for number, speech in enumerate(probabilities):
        chunk = voice[number * size : (number + 1) * size]
        if (at := cutter.cut(chunk, speech)) is not None:
            found.append((number * size + at) / RATE)
    return found


def test_speech_shorter_than_the_soft_limit_is_not_cut_not_even_in_a_pause() -> None:
    assert cuts([0.9] * 100 + [0.0] * 50 + [0.9] * 49) == []


def test_a_pause_past_the_soft_limit_ends_a_piece() -> None:
    voice = np.full(100 * RATE, 1000, np.int16)
    voice[round(22.0 * RATE) : round(22.3 * RATE)] = 100
    (at,) = cuts([0.9] * 220 + [0.1, 0.1, 0.1] + [0.9] * 20, voice)
    assert 22.0 <= at <= 22.3


def test_speech_as_loud_everywhere_is_cut_before_the_hard_limit() -> None:
    first, second = cuts([0.9] * 700, np.ones(100 * RATE, np.int16))
    assert HARD_LIMIT - 2 * CHUNK < first <= HARD_LIMIT
    assert HARD_LIMIT - 2 * CHUNK < second - first <= HARD_LIMIT


def test_speech_without_a_pause_is_cut_between_two_words() -> None:
    voice = coded_speech.say(coded_speech.words(450))  # 94 s, 60 ms between two words
    found = cuts([0.9] * (len(voice) // 1600), voice)
    assert len(found) >= 3
    gap = coded_speech.GAP
    for at in found:
        assert coded_speech.WORD - gap <= at % coded_speech.WORD


@given(st.lists(st.floats(0, 1), max_size=900))
def test_no_piece_is_shorter_than_the_soft_or_longer_than_the_hard_limit(
    probabilities: list[float],
) -> None:
    start = 0.0
    for at in cuts(probabilities):
        assert SOFT_LIMIT - 2 * CHUNK <= at - start <= HARD_LIMIT + 0.01
        start = at


def test_what_the_detector_calls_quiet_in_the_middle_of_a_word_is_no_pause() -> None:
    voice = coded_speech.say(coded_speech.words(150))
    quiet_in_word = [0.9] * 210 + [0.1] * 20 + [0.9] * 60
    for at in cuts(quiet_in_word, voice):
        assert at % coded_speech.WORD >= coded_speech.WORD - coded_speech.GAP
