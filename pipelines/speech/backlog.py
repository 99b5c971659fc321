"""How much audio waits for engines in this job, and who gives way when it is too much."""

from __future__ import annotations

from typing import Final, Protocol

from pipelines.speech.heard import RATE

CAP: Final = 600 * RATE
"""Samples that wait together before the oldest span gives way: ten minutes of speech, 19 MB. No
more than twice as much is ever held."""


class Holder(Protocol):
    """A span that holds audio which no engine has settled."""

    def give_way(self) -> None:
        """Go on to another engine; without one, give the audio up and tell."""

    def give_up(self) -> None:
        """Give the audio up and tell."""


class Backlog:
    """Counts what all spans hold.

    Past the cap the oldest spans give way to the fallback, past twice the cap they are given up.

    Args:
        cap: Samples that wait together.
    """

    def __init__(self, cap: int = CAP) -> None:
        self._cap = cap
        self._held: dict[Holder, int] = {}  # In the order in which the spans began.
        self._asked: set[Holder] = set()
        self._total = 0

    @property
    def seconds(self) -> float:
        """Audio that waits."""
        return self._total / RATE

    def hold(self, holder: Holder, samples: int) -> None:
        """Note that ``holder`` holds ``samples`` now."""
        self._total += samples - self._held.get(holder, 0)
        self._held[holder] = samples
        if self._total > 2 * self._cap:
            next(held for held, count in self._held.items() if count).give_up()
        elif self._total - sum(self._held[asked] for asked in self._asked) > self._cap:
            oldest = next(held for held in self._held if held not in self._asked)
            self._asked.add(oldest)
            oldest.give_way()

    def release(self, holder: Holder) -> None:
        """Note that ``holder`` is done."""
        self._asked.discard(holder)
        self._total -= self._held.pop(holder, 0)
