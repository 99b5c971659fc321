"""Where in a recording its frames lie, whatever their timestamps say: pure.

A timestamp is believed where it leaves room for what nobody recorded (a muted track, a pause) and
the frame after it agrees. One that goes back, jumps too far or is missing is not: its frame follows
the one before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final

SLACK: Final = 0.25
"""Seconds by which a timestamp may differ from the audio before it without meaning anything."""
LONGEST_GAP: Final = 3 * 3600.0
"""Seconds without audio that are believed."""

_ROUNDING: Final = 0.003  # seconds; WebM counts milliseconds


@dataclass(slots=True)
class Timeline:
    """Says how much silence goes before each frame.

    ``position`` is the length of what was placed so far, in seconds, silence included.
    """

    position: float = 0.0
    _origin: float | None = None
    _trusted: bool = True

    def place(self, start: float | None, duration: float, following: float | None) -> float:
        """Place the next frame.

        Args:
            start: Its timestamp, seconds; None where it has none.
            duration: Its length, seconds.
            following: The timestamp of the frame after it; None where that has none.

        Returns:
            Seconds of silence that go before it.
        """
        gap = self._gap(start, duration, following)
        self.position += gap + duration
        return gap

    def _gap(self, start: float | None, duration: float, following: float | None) -> float:
        if start is None:
            return 0.0
        if self._origin is None:
            self._origin = start - self.position
        gap = start - self._origin - self.position
        if abs(gap) <= SLACK:
            return 0.0
        off = abs(following - start - duration) if following is not None else inf
        confirmed = off <= max(_ROUNDING, duration / 4)
        if confirmed and self._trusted and 0.0 < gap <= LONGEST_GAP:
            return gap
        if confirmed or gap < 0.0:
            # Another clock from here on, and nobody knows how long it stood still.
            self._origin = start - self.position
        if gap < 0.0:
            self._trusted = False
        return 0.0
