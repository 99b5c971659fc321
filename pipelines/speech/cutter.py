"""Where to cut speech that goes on for long: pure, seconds in, a decision out."""

from __future__ import annotations

from typing import Final

SOFT_LIMIT: Final = 20.0
"""Seconds after which the first quiet chunk ends a piece."""
HARD_LIMIT: Final = 30.0
"""Seconds that no piece is longer than; Whisper's window."""
QUIET: Final = 0.35
"""A chunk below this probability of speech is quiet."""
_ROUNDING: Final = 1e-6


class Cutter:
    """Say after which chunk a span of speech is cut, so that its text does not wait for its end.

    A piece ends after the first quiet chunk past the soft limit, and before the hard limit in any
    case. Chunks are expected to be much shorter than the distance between the two.
    """

    def __init__(self, *, soft: float = SOFT_LIMIT, hard: float = HARD_LIMIT) -> None:
        self._soft = soft
        self._hard = hard
        self._seconds = 0.0

    def cut_after(self, seconds: float, speech: float) -> bool:
        """Take the length of the next chunk; return True if the piece ends with this chunk.

        Args:
            seconds: Length of the chunk.
            speech: Probability that somebody speaks in it, 0 to 1.
        """
        self._seconds += seconds
        quiet = self._seconds >= self._soft - _ROUNDING and speech < QUIET
        full = self._seconds + seconds > self._hard + _ROUNDING
        if quiet or full:
            self._seconds = 0.0
            return True
        return False
