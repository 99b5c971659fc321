"""Which engine a span is said to next: pure, seconds in, a choice out.

The engine that was asked for, again at once after its first failure, then the fallback, then
whichever may be asked first, with growing pauses. What an engine will not take is not said to it
twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipelines.speech.breaker import Breaker

DELAYS: Final = (0.1, 2.0, 4.0, 8.0, 15.0)
"""Seconds before an engine is asked again after its first, second... failure in a row."""
RETURN_AFTER: Final = 30.0
"""Seconds after a failure in which a span stays with the engine that took over."""


@dataclass(slots=True)
class _Engine:
    breaker: Breaker
    failures: int = 0
    not_before: float = 0.0
    back_from: float = 0.0
    out: bool = False


class Attempts:
    """The engines of one span, best first, and how they fared with what is not settled yet."""

    def __init__(self, breakers: Sequence[Breaker]) -> None:
        self._engines = [_Engine(breaker) for breaker in breakers]

    def choose(self, at: float) -> tuple[int | None, float]:
        """Choose an engine to ask now.

        Returns:
            Its number, or None and the seconds until it is worth choosing again; infinity where
            no engine takes this speech as things are.
        """
        soonest = math.inf
        for number, engine in enumerate(self._engines):
            if engine.out:
                continue
            wait = max(engine.not_before - at, engine.breaker.wait(at), 0.0)
            if wait == 0.0 and engine.breaker.ask(at):
                return number, 0.0
            if engine.failures == 1 and wait <= DELAYS[0]:
                return None, wait  # Most failures are gone a moment later.
            soonest = min(soonest, wait)
        return None, soonest

    def better_than(self, number: int, at: float) -> bool:
        """Return True if an engine that comes before ``number`` may be asked again."""
        return any(
            not engine.out and engine.back_from <= at and engine.breaker.wait(at) == 0.0
            for engine in self._engines[:number]
        )

    def others_than(self, number: int) -> bool:
        """Return True if another engine may take this speech, now or later."""
        return any(
            not engine.out and engine.breaker.wait(0.0) < math.inf
            for other, engine in enumerate(self._engines)
            if other != number
        )

    def failed(self, number: int, at: float, *, slow: bool = False) -> None:
        """Note a failure; a ``slow`` one cost a time-out, so another engine comes first."""
        engine = self._engines[number]
        engine.failures += 2 if slow else 1
        engine.back_from = at + RETURN_AFTER
        engine.not_before = at + DELAYS[min(engine.failures, len(DELAYS)) - 1]

    def first_failure(self, number: int) -> bool:
        """Return True if the engine has not failed with this speech so far."""
        return self._engines[number].failures == 0

    def exclude(self, number: int) -> None:
        """Note that an engine will not take this speech, however often it is asked."""
        self._engines[number].out = True

    def progressed(self, number: int) -> None:
        """Note that ``number`` settled something: the rest is new to it, and to who refused it."""
        for engine in self._engines:
            engine.out = False
        self._engines[number].failures, self._engines[number].not_before = 0, 0.0

    def renew(self) -> None:
        """Note that something was given up: what comes next is another matter."""
        for engine in self._engines:
            engine.failures, engine.not_before, engine.out = 0, 0.0, False
