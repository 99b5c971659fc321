"""Words as tones: speech of which a test can tell, word by word, what arrived.

A word is three tones of 50 ms between 5.0 and 7.3 kHz, where speech has little, and 60 ms without.
They survive Opus and WebRTC, can be laid over real speech, and cost a spectrum to recognise. A word
that is cut in the middle, or said twice, is not taken for a whole one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

RATE: Final = 16_000
TONE: Final = 0.05
"""Seconds of one tone."""
GAP: Final = 0.06
"""Seconds without a tone after each word."""
WORD: Final = 3 * TONE + GAP
"""Seconds from one word to the next."""
LEVEL: Final = 3000
"""Amplitude of a tone, of 32,767."""

_TONES: Final = tuple(5000.0 + 150.0 * number for number in range(16))
_HOP: Final = RATE // 100
_WINDOW: Final = 2 * _HOP
_SILENCE: Final = 3  # steps without a tone that end a word
_SHORTEST: Final = 2  # steps from the first to the last of a whole tone
_LEAST_AMPLITUDE: Final = 60.0
_CLEARER: Final = 2.5  # times as strong as any other tone but its neighbours


def _code(first: int, second: int) -> tuple[int, int, int]:
    return first, second, (3 * first + 5 * second + 7) % 16


_CODES: Final = tuple(
    code
    for code in (_code(first, second) for second in range(16) for first in range(16))
    if abs(code[0] - code[1]) > 1 and abs(code[1] - code[2]) > 1
)
WORDS: Final = tuple(f"w{number:03d}" for number in range(len(_CODES)))
"""Every word there is; two neighbours of a long speech are never the same."""
_BY_CODE: Final[dict[tuple[int, ...], str]] = dict(zip(_CODES, WORDS, strict=True))
_NUMBER: Final = {word: number for number, word in enumerate(WORDS)}


@dataclass(frozen=True, slots=True)
class Word:
    """A word that was recognised; times in seconds from the first sample."""

    text: str
    start: float
    end: float


def words(count: int, *, first: int = 0) -> list[str]:
    """Return ``count`` words in their order, from number ``first`` on; they begin anew at the end.

    Words whose order shows a loss: any shorter run of them is found in one place only.
    """
    return [WORDS[(first + number) % len(WORDS)] for number in range(count)]


def say(text: str | Iterable[str], *, level: int = LEVEL) -> npt.NDArray[np.int16]:
    """Return the sound of words.

    Args:
        text: Words of ``WORDS``, in one string or apart.
        level: Amplitude.

    Raises:
        KeyError: A word is not in ``WORDS``.
    """
    spoken = text.split() if isinstance(text, str) else list(text)
    length = round(TONE * RATE)
    at = np.arange(length) / RATE
    envelope = np.minimum(1.0, np.minimum(at, TONE - at) / 0.004)
    tones = [level * envelope * np.sin(2 * np.pi * pitch * at) for pitch in _TONES]
    gap = np.zeros(round(GAP * RATE))
    parts = [part for word in spoken for part in (*(tones[n] for n in _CODES[_NUMBER[word]]), gap)]
    return np.concatenate(parts).astype(np.int16) if parts else np.zeros(0, np.int16)


def hear(pcm: bytes) -> list[Word]:
    """Return the words in int16 samples at 16,000 Hz, whatever else is in them."""
    return [
        Word(word, run[0][1] * _HOP / RATE, (run[-1][2] + 1) * _HOP / RATE)
        for run in _runs(_symbols(np.frombuffer(pcm, dtype=np.int16)))
        if (word := _BY_CODE.get(tuple(symbol for symbol, _, _ in run)))
    ]


def _symbols(samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int64]:
    """Return the tone of each 10 ms, or -1."""
    count = (len(samples) - _WINDOW) // _HOP + 1
    if count <= 0:
        return np.zeros(0, np.int64)
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP][:count]
    window = np.hanning(_WINDOW)
    at = np.arange(_WINDOW) / RATE
    waves = np.exp(-2j * np.pi * np.outer(at, _TONES)) * window[:, None] * (2 / window.sum())
    strength = np.abs(frames.astype(np.float64) @ waves)
    best = strength.argmax(axis=1)
    rows = np.arange(count)
    peak = strength[rows, best]
    near = np.abs(np.arange(len(_TONES))[None, :] - best[:, None]) <= 1
    other = np.where(near, 0.0, strength).max(axis=1)
    clear = (peak >= _LEAST_AMPLITUDE) & (peak >= _CLEARER * other)
    return np.where(clear, best, -1)


def _runs(symbols: npt.NDArray[np.int64]) -> Iterable[Sequence[tuple[int, int, int]]]:
    """Return the runs of each word: (tone, first step, last step), between two silences."""
    word: list[tuple[int, int, int]] = []
    silent = 0
    for step, symbol in enumerate((*symbols.tolist(), -1, -1, -1)):
        if symbol < 0:
            silent += 1
            if silent >= _SILENCE and word:
                yield [run for run in word if run[2] - run[1] >= _SHORTEST]
                word = []
            continue
        silent = 0
        if word and word[-1][0] == symbol and word[-1][2] >= step - 2:
            word[-1] = (symbol, word[-1][1], step)
        else:
            word.append((symbol, step, step))
