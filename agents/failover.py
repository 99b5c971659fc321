"""When a room gets its agent back: what the worker's watch decides, as tables, without a clock.

An expired lease tells of a dead job only to who has looked without a break for one time to live:
after a start, after the leases were away and after their clock leapt, every living job gets the
time to beat first.

========  ===============  ===============  ==============
sight     one ttl passed   leases are away  a break [1]_
========  ===============  ===============  ==============
BLIND     BLIND            BLIND            SETTLING
SETTLING  CLEAR            BLIND            SETTLING
CLEAR     CLEAR            BLIND            SETTLING
========  ===============  ===============  ==============

.. [1] The first look, one long after the last (this host slept, and its jobs with it), or a clock
   of the leases that did not go as fast as ours.

A room's jobs that die one after the other are asked for again after 0, 1, 2, 4 and 8 s, then every
5 minutes, until one lives for a minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Final

from pipelines.lease import Lease, LeaseKey, Tombstone

PER_SECOND: Final = 5.0
"""Rooms that are replaced in a second at most: a host that died has many."""

WINDOW: Final = 60.0
"""Seconds in which deaths of a room's jobs count together."""

PAUSES: Final = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds before a job is asked for again, by how many died in ``WINDOW`` before this one."""

LONG_PAUSE: Final = 300.0
"""Seconds where more than ``PAUSES`` died: a plugin kills it, and trying again does not help."""

ARRIVES_WITHIN: Final = 10.0
"""Seconds in which a room that opened, or was dispatched to, gets its agent without us."""


class Sight(Enum):
    """What an expired lease tells."""

    BLIND = "nothing: the leases are away, or nobody has looked yet"
    SETTLING = "nothing yet: living jobs have the time to beat"
    CLEAR = "that its job is dead"


class _Seen(Enum):
    SETTLED = "one ttl passed"
    AWAY = "leases are away"
    BREAK = "a break"


_SIGHT: Final[Mapping[Sight, Mapping[_Seen, Sight]]] = {
    Sight.BLIND: {
        _Seen.SETTLED: Sight.BLIND,
        _Seen.AWAY: Sight.BLIND,
        _Seen.BREAK: Sight.SETTLING,
    },
    Sight.SETTLING: {
        _Seen.SETTLED: Sight.CLEAR,
        _Seen.AWAY: Sight.BLIND,
        _Seen.BREAK: Sight.SETTLING,
    },
    Sight.CLEAR: {
        _Seen.SETTLED: Sight.CLEAR,
        _Seen.AWAY: Sight.BLIND,
        _Seen.BREAK: Sight.SETTLING,
    },
}


class Watch:
    """Says which expired leases to take, look by look.

    Args:
        ttl: Seconds that a lease lives without a beat.
        per_second: Leases to be taken in a second at most.
    """

    def __init__(self, ttl: float, *, per_second: float = PER_SECOND) -> None:
        self.sight = Sight.BLIND
        self._ttl = ttl
        self._per_second = per_second
        self._last: tuple[float, float] | None = None
        self._settles_at = 0.0
        self._allowed = 0.0

    def away(self) -> None:
        """Take that the leases could not be read."""
        self._see(_Seen.AWAY)
        self._last = None

    def look(
        self,
        leases: Sequence[Lease],
        *,
        now: float,
        clock: float,
        seen: Mapping[LeaseKey, float] | None = None,
    ) -> list[Lease]:
        """Return the leases to take now; the others wait.

        First come those that were not taken for the longest time, so that rooms that wait keep no
        other one waiting; of those the longest expired.

        Args:
            leases: Every one that this worker sees to; none while another one does.
            now: Seconds of a clock that nobody sets.
            clock: Seconds of the clock that the leases expire by.
            seen: When leases were taken before, and are expired still; seconds of any clock.
        """
        passed = self._passed(now, clock)
        self._last = (now, clock)
        if passed is None:
            self._see(_Seen.BREAK)
            self._settles_at = now + self._ttl
        elif now >= self._settles_at:
            self._see(_Seen.SETTLED)
        self._allowed = min(self._per_second, self._allowed + (passed or 0.0) * self._per_second)
        if self.sight is not Sight.CLEAR:
            return []
        before = seen or {}
        expired = sorted(
            (one for one in leases if one.expired),
            key=lambda lease: (before.get(lease.key, -inf), lease.left),
        )
        taken = expired[: int(self._allowed)]
        self._allowed -= len(taken)
        return taken

    def spare(self) -> None:
        """Take that a lease was taken for a room that is not replaced now: it costs nothing."""
        self._allowed = min(self._per_second, self._allowed + 1.0)

    def _passed(self, now: float, clock: float) -> float | None:
        """Return the seconds since the last look; None for a break."""
        if self._last is None:
            return None
        passed, by_clock = now - self._last[0], clock - self._last[1]
        # A holder beats three times in a ttl: it has half of one to spare.
        unbroken = passed <= self._ttl / 2 and abs(by_clock - passed) <= self._ttl / 2
        return passed if unbroken else None

    def _see(self, seen: _Seen) -> None:
        self.sight = _SIGHT[self.sight][seen]


@dataclass(frozen=True, slots=True)
class Restart:
    """What follows the death of a room's job.

    Args:
        after: Seconds until the next one is asked for.
        restarts: When the last ones were asked for, this one included, oldest first.
        loops: Whether so many died that people are told.
    """

    after: float
    restarts: tuple[float, ...]
    loops: bool


def restart(restarts: Sequence[float], now: float) -> Restart:
    """Decide when a job is asked for after one died: at once, then later and later.

    Whoever dies again soon after a ``LONG_PAUSE`` waits as long again.

    Args:
        restarts: What the last :func:`restart` of this room said.
        now: Seconds, of the clock of ``restarts``.
    """
    most = len(PAUSES)
    looped = len(restarts) > most and now - restarts[-1] < WINDOW
    row = tuple(restarts) if looped else tuple(at for at in restarts if now - at < WINDOW)
    loops = len(row) >= most
    after = LONG_PAUSE if loops else PAUSES[len(row)]
    return Restart(after, (*row[-most:], now + after), loops)


@dataclass(frozen=True, slots=True)
class OpenRoom:
    """A room that LiveKit has.

    Args:
        sid: Its SID.
        people: How many are in it; agents and recorders are none.
        asks: Whether its metadata asks for agents.
        age: Seconds since it was made.
        dispatched: Seconds since the agent was last dispatched to it; None where it never was.
    """

    sid: str
    people: int
    asks: bool
    age: float
    dispatched: float | None = None


class Fate(Enum):
    """What becomes of a room whose lease is expired."""

    REPLACE = "another job is asked for"
    WAIT = "it is looked at again"
    FORGET = "its lease is let go: the meeting is over"


def fate(room: OpenRoom | None, *, sid: str, silent: float, continues: float) -> Fate:
    """Decide about a room whose lease is expired.

    Args:
        room: The room of that name; None where none is open.
        sid: Of the room that was served.
        silent: Seconds since the last sign of life.
        continues: Seconds in which a room that is made anew continues the meeting.
    """
    if silent > continues and (room is None or room.sid != sid):
        return Fate.FORGET
    # Whoever comes into a room that all have left is served then.
    return Fate.REPLACE if room and room.people else Fate.WAIT


class Lack(Enum):
    """What the sweep makes of an open room."""

    NONE = "it is served, or is not to be"
    SOON = "its agent may be on its way"
    AGENT = "it lacks its agent: dispatch"


def lack(
    room: OpenRoom, lease: Lease | None, tombstone: Tombstone | None, *, explicit: bool
) -> Lack:
    """Decide whether a room that nobody serves is to be dispatched to.

    ``AGENT`` in spite of a tombstone: it is of a room that all had left, and to be taken away.

    Args:
        room: As LiveKit has it now.
        lease: The room's, held, waiting or expired; the watch sees to that one.
        tombstone: Of this room's SID.
        explicit: Whether the agent is of a kind that only who asks for it gets: La Suite Meet's.
    """
    stopped = tombstone not in {None, "empty"}
    if explicit or stopped or lease or not room.people or not room.asks:
        return Lack.NONE
    since = room.age if room.dispatched is None else min(room.age, room.dispatched)
    return Lack.AGENT if since >= ARRIVES_WITHIN else Lack.SOON
