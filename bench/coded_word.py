"""A word whose first and last tenth of a second can be measured: speech between two chirps.

A detector of speech hears the speech in the middle. The chirps are the word's first and last sound:
each 20 ms of them is somewhere else in frequency, so what is missing is seen and not guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bench.audio_file import Samples, read_clip
from bench.script import SCRIPTED_MEETING

CODE: Final = 0.12
"""Seconds of each chirp."""

_BODY = SCRIPTED_MEETING.parent / "13-ada.ogg"
_SECONDS = 0.9  # of speech
_SLICE = 0.02  # seconds
_STRETCH = 0.15  # seconds by which a jitter buffer may have moved a chirp from the speech
_SEARCH = 0.06  # and a slice from its chirp
_LIKE = 0.5  # correlation from which a slice is there; noise and other slices are below 0.3
_LOUD = 6000.0

_Signal = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Match:
    """How much of a coded word there is in some audio.

    Args:
        start: Seconds from the audio's first sample to the word's; negative where the audio begins
            in the word.
        first: Of the slices of the first chirp, in order, whether each is there.
        last: The same of the last chirp.
    """

    start: float
    first: tuple[bool, ...]
    last: tuple[bool, ...]

    @property
    def begins_whole(self) -> bool:
        """Whether the word's beginning is all there."""
        return all(self.first)

    @property
    def ends_whole(self) -> bool:
        """Whether the word's end is all there."""
        return all(self.last)

    @property
    def lost(self) -> float:
        """Seconds of the word's beginning that are missing."""
        if self.begins_whole:
            return 0.0
        missing = len(self.first) - next(
            (n for n, there in enumerate(reversed(self.first)) if not there), len(self.first)
        )
        return max(-self.start, missing * _SLICE)


def coded_word(rate: int) -> Samples:
    """Return the word: int16 mono at ``rate`` samples a second."""
    body = read_clip(_BODY, rate).speech[: round(_SECONDS * rate)].astype(np.float64)
    word = np.concatenate([_chirp(rate, 500, 3000), body, _chirp(rate, 3000, 500)])
    return word.clip(-32768, 32767).astype(np.int16)


def find_word(audio: Samples, rate: int) -> Match | None:
    """Find the word in ``audio``; None where it is not, or where less than a part of it is."""
    word = coded_word(rate).astype(np.float64)
    heard = audio.astype(np.float64)
    if len(heard) < rate * _SECONDS / 2:
        return None
    lag, likeness = _align(heard, word)
    if likeness < _LIKE / 2:
        return None
    code = round(CODE * rate)
    first = _slices(heard, word[:code], lag, rate)
    last = _slices(heard, word[-code:], lag + len(word) - code, rate)
    return Match(lag / rate, first, last)


def _chirp(rate: int, low: float, high: float) -> _Signal:
    time = np.arange(round(CODE * rate)) / rate
    phase = 2 * np.pi * (low * time + (high - low) * time**2 / (2 * CODE))
    signal: _Signal = _LOUD * np.sin(phase)
    return signal


def _align(heard: _Signal, word: _Signal) -> tuple[int, float]:
    size = 1 << (len(heard) + len(word)).bit_length()
    product = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(word, size))
    correlation = np.fft.irfft(product, size)
    lag = int(np.argmax(correlation))
    strength = float(correlation[lag] / (np.linalg.norm(heard) * np.linalg.norm(word) + 1e-9))
    return (lag - size if lag > size // 2 else lag), strength


def _slices(heard: _Signal, chirp: _Signal, at: int, rate: int) -> tuple[bool, ...]:
    """Tell which slices of a chirp are there, ``at`` samples from the start or nearby."""
    step, near = round(_SLICE * rate), round(_STRETCH * rate)
    around, begin = _cut(heard, at - near, at + len(chirp) + near)
    at = begin + int(np.argmax(np.correlate(around, chirp, "full"))) - len(chirp) + 1
    search = round(_SEARCH * rate)
    return tuple(
        _is_there(_cut(heard, at + n - search, at + n + step + search)[0], chirp[n : n + step])
        for n in range(0, len(chirp), step)
    )


def _cut(signal: _Signal, begin: int, end: int) -> tuple[_Signal, int]:
    begin = min(max(0, begin), len(signal) - 1)
    return signal[begin : max(begin + 1, end)], begin


def _is_there(around: _Signal, piece: _Signal) -> bool:
    if len(around) < len(piece):
        return False
    windows = np.lib.stride_tricks.sliding_window_view(around, len(piece))
    norms = np.linalg.norm(windows, axis=1) * np.linalg.norm(piece)
    return bool(np.max(windows @ piece / (norms + 1.0)) > _LIKE)
