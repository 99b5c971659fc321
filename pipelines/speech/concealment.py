"""When no audio came: pure.

WebRTC delivers frames at full rate whatever comes: where packets are missing it makes up sound,
then silence, and counts the samples. Measured: a sender, or this process, that is stopped for 3 s
counts 2.98 s. It counts nothing, however, where the last packet was one of silence: of that there
are still 2.5 a second, so that the age of the last one tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RATE: Final = 48_000
"""Samples in a second of WebRTC's counters."""

LEAST_RUN: Final = 0.25
"""Seconds from which what is made up in one go is a cut, and not a few packets that came late."""

STALE: Final = 0.6
"""Seconds after the last packet that no silence explains."""

LEAST: Final = 1.2
"""Seconds without audio that are told."""


PUNCTUAL: Final = 3.0
"""Seconds between two looks; after more, this process itself stood still, and WebRTC with it."""


@dataclass(frozen=True, slots=True)
class _Look:
    at: float
    concealed: int
    events: int
    age: float


@dataclass(slots=True)
class _Cut:
    """What was made up in one go, as far as it is known.

    Args:
        since: When it began at the earliest, Unix seconds.
        until: When it ended at the latest, or the last look.
        made_up: Seconds of it in the first look's interval, perhaps of several.
        missing: Seconds of it.
        looks: How many saw it.
    """

    since: float
    until: float
    made_up: float
    missing: float
    looks: int = 1


class Concealment:
    """Follows the counters of one track."""

    def __init__(self) -> None:
        self._first: _Look | None = None
        self._last: _Look | None = None
        self._least_age = 0.0
        self._cut: _Cut | None = None
        self._quiet_since: float | None = None

    @property
    def since(self) -> float | None:
        """Since when no audio comes, Unix seconds; None while it does."""
        if self._quiet_since is not None:
            return self._quiet_since
        return self._cut.since if self._cut and self._cut.missing >= LEAST_RUN else None

    def look(
        self, at: float, *, concealed: int, events: int, packet_at: float
    ) -> tuple[float, float] | None:
        """Take the counters as they are now.

        Args:
            at: Unix seconds.
            concealed: Samples made up so far.
            events: How often that began.
            packet_at: When the last packet came, by WebRTC's clock; seconds.

        Returns:
            From when to when no audio came, once it has come again; None where it was less than
            ``LEAST`` seconds. A cut between two looks has their times.
        """
        now = _Look(at, concealed, events, at - packet_at)
        last, self._last = self._last, now
        if last is None or self._first is None or concealed < last.concealed:
            found = self.end()  # Another receiver counts from 0.
            self._first, self._least_age = now, now.age
            return found
        self._least_age = min(self._least_age, now.age)
        found = self._count(last, now)
        quiet = now.age - self._least_age
        if quiet > STALE:
            if self._quiet_since is None:
                self._quiet_since = max(self._first.at, at - quiet)
        elif self._quiet_since is not None:
            since, self._quiet_since = self._quiet_since, None
            if self._cut is None:  # It began in silence: nothing was made up for it.
                return (since, at) if at - since >= LEAST else found
            self._cut.since = min(self._cut.since, since)
            self._cut.missing = self._cut.until - self._cut.since
        return found

    def end(self) -> tuple[float, float] | None:
        """Return the cut that is not over, as :meth:`look` does, and begin anew."""
        cut, self._cut = self._cut, None
        since, self._quiet_since = self._quiet_since, None
        if since is not None and self._last:
            until = max(self._last.at, cut.until if cut else 0.0)
            return (since, until) if until - since >= LEAST else None
        return (cut.since, cut.until) if cut and cut.missing >= LEAST else None

    def _count(self, last: _Look, now: _Look) -> tuple[float, float] | None:
        """Follow what is made up; return a cut that is over."""
        made_up, begun = (now.concealed - last.concealed) / RATE, now.events - last.events
        if self._cut and made_up and not begun:
            self._go_on(self._cut, last.at, now.at, made_up)
            return None
        cut, self._cut = self._cut, None
        if made_up:
            several = begun > 1 and made_up < LEAST_RUN * begun
            self._cut = _Cut(last.at, now.at, made_up, 0.0 if several else made_up)
        return (cut.since, cut.until) if cut and cut.missing >= LEAST else None

    def _go_on(self, cut: _Cut, last: float, at: float, made_up: float) -> None:
        if cut.looks == 1 and last - cut.since <= PUNCTUAL:
            # It was going on at the last look: all of it was right before that.
            cut.since = last - cut.made_up
        cut.until = min(at, last + made_up)
        cut.missing += made_up
        cut.looks += 1
