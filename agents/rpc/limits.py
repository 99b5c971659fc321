"""How often one caller may call one method, and how fast calls of all are taken. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agents.rpc.method import MethodName, Rate

MOST_BUCKETS: Final = 1_000
"""Buckets held before the full ones, which say nothing, are let go."""

SPACING: Final = 0.012
"""Seconds from one call to the next, of all callers: a call takes some 5 ms of processor time
altogether, most of it in LiveKit's SDK, and captions go the same way as its answer."""

SHARE: Final = 0.25
"""Of the loop's time that the handlers of calls may take; the rest is left for the captions."""

LONGEST_QUEUE: Final = 8.0
"""Seconds that a call waits for its turn; LiveKit's clients wait 15 for the answer."""


class Pace:
    """Says when the next call may be taken: however many come, the loop has time for the rest."""

    def __init__(self) -> None:
        self._next = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until a call may be taken.

        Args:
            now: Seconds of a monotonic clock.
        """
        return max(0.0, self._next - now)

    def took(self, now: float) -> None:
        """A call was taken."""
        self._next = max(now, self._next) + SPACING

    def spent(self, seconds: float, now: float) -> None:
        """A call's handler has had the loop to itself.

        Args:
            seconds: For how long, up to now.
            now: Seconds of the monotonic clock.
        """
        self._next = max(now - seconds, self._next) + seconds / SHARE


@dataclass(slots=True)
class _Bucket:
    rate: Rate
    tokens: float
    at: float

    def fill(self, now: float) -> None:
        gained = max(0.0, now - self.at) * self.rate.per_second
        self.tokens = min(self.rate.burst, self.tokens + gained)
        self.at = now


class Limits:
    """The calls that each caller has left."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, MethodName], _Bucket] = {}

    def take(self, caller: str, method: MethodName, rate: Rate, *, now: float) -> float:
        """Take one call, if the caller has one left.

        Args:
            caller: Identity.
            method: What is called.
            rate: How often it may be.
            now: Seconds of a monotonic clock.

        Returns:
            Seconds until there is one; 0 where it was taken.
        """
        bucket = self._buckets.get((caller, method))
        if bucket is None:
            if len(self._buckets) >= MOST_BUCKETS:
                self._let_full_ones_go(now)
            bucket = self._buckets[caller, method] = _Bucket(rate, rate.burst, now)
        bucket.fill(now)
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / rate.per_second
        bucket.tokens -= 1
        return 0.0

    def _let_full_ones_go(self, now: float) -> None:
        for bucket in self._buckets.values():
            bucket.fill(now)
        self._buckets = {
            key: bucket
            for key, bucket in self._buckets.items()
            if bucket.tokens < bucket.rate.burst
        }
