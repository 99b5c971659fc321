"""Words as tones: whole words are heard, parts of words are not."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.testing import coded_speech
from pipelines.testing.coded_speech import GAP, RATE, WORD, WORDS


def heard(samples: np.ndarray[tuple[int], np.dtype[np.int16]]) -> list[str]:
    return [word.text for word in coded_speech.hear(samples.tobytes())]


def test_every_word_is_heard_where_it_was_said() -> None:
    words = coded_speech.hear(coded_speech.say(WORDS).tobytes())
    assert tuple(word.text for word in words) == WORDS
    for number, word in enumerate(words):
        assert abs(word.start - number * WORD) < 0.02
        assert abs(word.end - (number + 1) * WORD + GAP) < 0.03


@given(st.floats(0.0, 3.0), st.floats(0.5, 3.0))
def test_a_cut_makes_no_word_of_a_part(begin: float, length: float) -> None:
    said = coded_speech.words(30)
    part = coded_speech.say(said)[round(begin * RATE) : round((begin + length) * RATE)]
    found = heard(part)
    first = said.index(found[0]) if found else 0
    assert found == said[first : first + len(found)]
    assert len(found) >= length // WORD - 2


def test_a_word_is_heard_under_noise_and_quietly() -> None:
    words = coded_speech.words(20)
    sound = coded_speech.say(words).astype(np.float64) * 0.2
    sound += np.random.default_rng(1).normal(0, 100, len(sound))
    assert heard(sound.astype(np.int16)) == words


def test_silence_and_noise_are_no_words() -> None:
    noise = np.random.default_rng(1).normal(0, 2000, 60 * RATE).astype(np.int16)
    assert heard(noise) == heard(np.zeros(RATE, np.int16)) == []
