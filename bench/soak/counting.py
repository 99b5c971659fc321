"""Numbers as speech: what people count aloud, and which numbers a caption has.

A number is two coded words (``pipelines/testing/coded_speech.py``) laid over real speech: the
detector of speech hears a voice, the double of the engine hears each number exactly or not at all.
No number has two words of the same half, so half a number is never taken for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from bench.audio_file import Samples
from bench.voice import voice
from pipelines.testing import coded_speech
from pipelines.testing.coded_speech import RATE, WORD, WORDS

_HALF: Final = len(WORDS) // 2
_FIRST, _SECOND = WORDS[:_HALF], WORDS[_HALF : 2 * _HALF]
_HIGH: Final = {word: number for number, word in enumerate(_FIRST)}
_LOW: Final = {word: number for number, word in enumerate(_SECOND)}

NUMBERS: Final = _HALF * _HALF
"""How many numbers there are, 0 the first."""
NUMBER: Final = 2 * WORD
"""Seconds of one number."""
LEAD: Final = 0.2
"""Seconds of voice before the first number and after the last: no edge of speech cuts a number."""

_BETWEEN_TONES: Final = 0.15  # of the voice's level, as in bench/long_speech.py


def words_of(number: int) -> tuple[str, str]:
    """Return the two words of a number."""
    return _FIRST[number // _HALF], _SECOND[number % _HALF]


def numbers_in(text: str) -> list[int]:
    """Return the whole numbers of a text, in their order."""
    words = text.split()
    return [
        _HIGH[first] * _HALF + _LOW[second]
        for first, second in pairwise(words)
        if first in _HIGH and second in _LOW
    ]


class Voice:
    """Somebody's voice, in which numbers are said; each speaker begins elsewhere in it.

    Args:
        place: 0 to 1, where.
    """

    def __init__(self, place: float) -> None:
        self._speech = voice()
        self._at = round(place * len(self._speech))

    def say(self, numbers: Sequence[int], *, rate: int) -> Samples:
        """Return the sound of ``numbers`` at ``rate`` samples a second, with ``LEAD`` around it."""
        tones = coded_speech.say([word for number in numbers for word in words_of(number)])
        lead = np.zeros(round(LEAD * RATE))
        coded = np.concatenate([lead, tones, lead])
        word = np.ones(round(WORD * RATE))
        word[-round(coded_speech.GAP * RATE) :] = _BETWEEN_TONES
        words = np.tile(word, 2 * len(numbers))[: len(tones)]
        level = np.concatenate([lead + 1, words, lead + 1])
        at = (self._at + np.arange(len(coded))) % len(self._speech)
        self._at = int(at[-1]) + 1
        return _resample(self._speech[at] * level + coded, rate)


def _resample(sound: np.ndarray[tuple[int], np.dtype[np.float64]], rate: int) -> Samples:
    count = round(len(sound) * rate / RATE)
    louder = np.fft.irfft(np.fft.rfft(sound), count) * (count / len(sound))
    samples: Samples = louder.clip(-32768, 32767).astype(np.int16)
    return samples
