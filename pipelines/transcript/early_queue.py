"""Which lines go next to the store that has them early, and who need not wait any longer.

Pure: the sender says what happened.

::

    state       event               next        what waits
    prompt      a deadline missed   suspended   nobody waits; what is on its way may still arrive
    prompt      a batch failed      suspended   nobody waits; the batch goes again, first
    suspended   answered in time    prompt      captions wait again, up to the deadline
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from pipelines.transcript.line import Line

WAITING: Final = 2_000
"""Newest lines that wait at most; the oldest go by the flusher alone. They are the same objects
that the journal holds in memory."""


@dataclass(slots=True)
class EarlyQueue:
    """Lines on their way; at most one batch is out at a time.

    Args:
        batch: Most lines in a batch.
    """

    batch: int
    suspended: bool = field(default=False, init=False)
    offered: int = field(default=0, init=False)
    _arrived: int = field(default=0, init=False)
    _out: list[Line] = field(default_factory=list, init=False)
    _waiting: deque[Line] = field(default_factory=lambda: deque(maxlen=WAITING), init=False)

    def offer(self, line: Line) -> None:
        """Add a line after those that wait."""
        self.offered += 1
        self._waiting.append(line)

    def take(self) -> list[Line]:
        """Return the batch that goes next: the one that failed, else the oldest lines, or none."""
        if not self._out:
            size = min(self.batch, len(self._waiting))
            self._out = [self._waiting.popleft() for _ in range(size)]
        return self._out

    def arrived(self) -> None:
        """Note that the batch taken last is in the store."""
        self._out = []
        self._arrived = self.offered - len(self._waiting)

    def settled(self, offered: int) -> bool:
        """Tell whether nobody need wait for the first ``offered`` lines."""
        return self.suspended or self._arrived >= offered

    def __len__(self) -> int:
        return len(self._out) + len(self._waiting)
