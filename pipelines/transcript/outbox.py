"""Which caption goes next: every final, in order, and of the interims only the latest.

Pure: the sender asks with its own clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from pipelines.events import CaptionFinal, CaptionInterim

_REMEMBERED: Final = 1_000
"""Settled segments whose late interims are known to be late."""


@dataclass(slots=True)
class Outbox:
    """Captions on their way to the room.

    Args:
        interval: Least seconds between two interims of one speaker.
    """

    interval: float
    _finals: deque[CaptionFinal] = field(default_factory=deque)
    _interims: dict[str, CaptionInterim] = field(default_factory=dict)
    _settled: dict[str, None] = field(default_factory=dict)
    _next_interim: dict[str, float] = field(default_factory=dict)

    def offer(self, caption: CaptionInterim | CaptionFinal) -> None:
        """Add a caption; an interim replaces the segment's last one, a final ends them."""
        if isinstance(caption, CaptionFinal):
            self._interims.pop(caption.segment, None)
            self._settled[caption.segment] = None
            if len(self._settled) > _REMEMBERED:
                del self._settled[next(iter(self._settled))]
            self._finals.append(caption)
        elif caption.segment not in self._settled:
            self._interims[caption.segment] = caption

    def take(self, now: float) -> CaptionInterim | CaptionFinal | None:
        """Remove and return what goes next at ``now`` seconds, or None."""
        if self._finals:
            return self._finals.popleft()
        for segment, caption in self._interims.items():
            if now >= self._next_interim.get(caption.identity, 0.0):
                del self._interims[segment]
                self._next_interim[caption.identity] = now + self.interval
                return caption
        return None

    def put_back(self, caption: CaptionInterim | CaptionFinal) -> None:
        """Return a caption that could not be sent: a final is next again, an interim is old."""
        if isinstance(caption, CaptionFinal):
            self._finals.appendleft(caption)

    def wait(self, now: float) -> float | None:
        """Return the seconds after ``now`` until something may go, or None if nothing waits."""
        if self._finals:
            return 0.0
        speakers = {caption.identity for caption in self._interims.values()}
        due = [max(0.0, self._next_interim.get(who, 0.0) - now) for who in speakers]
        return min(due, default=None)

    def __len__(self) -> int:
        return len(self._finals)
