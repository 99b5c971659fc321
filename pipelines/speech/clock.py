"""Media time to wall time.

A frame arrives some time after it was captured: network, jitter buffer, decoding. The least delayed
frames of the last seconds say best how media time and wall time lie to each other, so the offset
is a low quantile of (arrival - media time), and neither jitter nor a stalled loop is in it.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from dataclasses import dataclass, field
from typing import Final

WINDOW: Final = 10.0
"""Seconds of arrivals that count."""

SHORTEST_PATH: Final = 0.015
"""Seconds from the microphone to the arrival that even the least delayed audio takes: a packet of
20 ms is complete before it is sent, and the decoder gives 10 ms at a time. What the network adds is
not known here; a recording of the room has it too."""

QUANTILE: Final = 0.05
"""Low, but not the minimum: one wrong early stamp must not set the offset."""


@dataclass(slots=True)
class MediaClock:
    """Maps the media time of one audio stream to wall time; make a new one when it re-opens."""

    _offsets: deque[tuple[float, float]] = field(default_factory=deque)
    _sorted: list[float] = field(default_factory=list)

    def observe(self, media: float, arrival: float) -> None:
        """Note that media up to ``media`` seconds had arrived at wall time ``arrival``."""
        offset = arrival - media
        self._offsets.append((media, offset))
        insort(self._sorted, offset)
        while self._offsets[0][0] < media - WINDOW:
            self._sorted.remove(self._offsets.popleft()[1])

    def wall(self, media: float) -> float:
        """Return when ``media`` seconds left the microphone; call :meth:`observe` first."""
        return media + self._sorted[int(len(self._sorted) * QUANTILE)] - SHORTEST_PATH
