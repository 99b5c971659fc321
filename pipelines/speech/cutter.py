"""Where to cut speech that goes on for long: pure, audio in, a decision out."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
import numpy.typing as npt

from pipelines.speech.heard import RATE, Samples

SOFT_LIMIT: Final = 20.0
"""Seconds after which a piece may end."""
HARD_LIMIT: Final = 30.0
"""Seconds that no piece is longer than; Whisper's window."""
QUIET: Final = 0.35
"""Below this probability of speech a chunk may be a pause, the best place there is."""
STEP: Final = RATE // 100
"""Samples whose loudness is looked at together: 10 ms, a fraction of a sound."""
CONTEXT: Final = 2
"""Steps on each side that must be quiet too: a gap between words, not a zero in a vowel."""
LOOKED_BACK: Final = 500
"""Steps that say how loud this speech is."""
_STRICT, _LAX = 0.01, 0.25
_SILENT: Final = 0.5  # of the median of what is around
_ROUNDING: Final = 1e-6


class Cutter:
    """Say where a span of speech is cut, so that its text does not wait for its end.

    A piece ends past the soft limit, in the first pause that is one. Somebody who makes none is cut
    between two words: in a place as quiet as the quietest hundredth of the last five seconds, and
    the bar rises towards the hard limit, where the quietest place of the chunk must do.

    Chunks are expected to be much shorter than the distance between the two limits.
    """

    def __init__(self, *, soft: float = SOFT_LIMIT, hard: float = HARD_LIMIT) -> None:
        self._soft = soft
        self._hard = hard
        self._seconds = 0.0
        self._levels: deque[float] = deque(maxlen=LOOKED_BACK)

    def cut(self, samples: Samples, speech: float) -> int | None:
        """Take the next chunk; return how many of its samples end the piece, or None.

        Args:
            samples: int16 mono at 16,000 Hz, shape ``(n,)``.
            speech: Probability that somebody speaks in it, 0 to 1.
        """
        seconds = len(samples) / RATE
        before, self._seconds = self._seconds, self._seconds + seconds
        steps = _levels(samples)
        self._levels.extend(steps)
        if self._seconds < self._soft - _ROUNDING:
            return None
        full = self._seconds + seconds > self._hard + _ROUNDING
        if len(steps) <= CONTEXT:
            return self._cut(samples, len(samples)) if full else None
        around = _around(np.array(self._levels))
        own = around[-len(steps) : -CONTEXT]  # What follows the last steps is not known yet.
        quietest = int(np.argmin(own))
        urgency = (before - self._soft) / (self._hard - self._soft)
        share = _STRICT + (_LAX - _STRICT) * min(max(urgency, 0.0), 1.0)
        gap = own[quietest] < np.quantile(around, share)
        # The detector is late: what it calls quiet may be the middle of a word.
        pause = speech < QUIET and own[quietest] <= _SILENT * np.median(around)
        if gap or pause or full:
            return self._cut(samples, quietest * STEP + STEP // 2)
        return None

    def _cut(self, samples: Samples, at: int) -> int:
        self._seconds = (len(samples) - at) / RATE
        return at


def _levels(samples: Samples) -> list[float]:
    whole = len(samples) // STEP * STEP
    steps = samples[:whole].astype(np.float64).reshape(-1, STEP)
    return [float(level) for level in np.sqrt(np.mean(steps**2, axis=1))] if whole else []


def _around(levels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return for each step the loudest within ``CONTEXT`` steps of it, as far as there are any."""
    padded = np.pad(levels, CONTEXT, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * CONTEXT + 1)
    loudest: npt.NDArray[np.float64] = windows.max(axis=1)
    return loudest
