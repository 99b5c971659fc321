"""Who serves what: leases with a heartbeat and an epoch, for rooms and for work after a meeting.

Whoever serves something claims its lease, and beats it again and again. A lease that nobody beat
for its time to live is expired: somebody may *take* it, which raises its epoch and fences the old
holder, and see to it that a successor claims it. The clock is that of whoever keeps the leases:
Redis' own, or this host's.

::

    free ----claim----> held ----(no beat for its ttl)----> expired
                         | ^                                  |
                  release| |claim                             |take (or take by force)
                         v |                                  v
                        gone <----------release----------- waiting for a holder

Epochs only ever rise, also through ``gone``; a gone lease is remembered for a day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeAlias

Scope: TypeAlias = Literal["room", "watch", "work", "handover", "continued", "effect"]
"""Kinds of leases, listed apart from each other."""

Tombstone: TypeAlias = Literal["withdrawn", "empty"]
"""Why nobody is to serve the room again: its dispatch is deleted, or people have left."""

NudgeKind: TypeAlias = Literal["room_started", "participant_joined", "room_finished"]
"""What happened to a room, by LiveKit's name of the event."""

NUDGED: Final = 60
"""Seconds that a nudge is kept for those who have not read it; sweeps find what it was about."""

REMEMBERED: Final = 24 * 3600
"""Seconds that a gone lease's epoch and a tombstone are kept."""


@dataclass(frozen=True, slots=True)
class LeaseKey:
    """What is leased.

    Args:
        scope: Which kind: ``room`` is (room name, agent name, job key), ``watch`` is (agent name,),
            ``work`` is (meeting, seal, step), ``handover`` is (job that takes over,),
            ``continued`` is that of ``room`` and the room's SID, ``effect`` is (meeting, approval).
        parts: What it is, in that kind.
    """

    scope: Scope
    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        """The parts as text that is this key's alone, in ASCII."""
        return json.dumps(self.parts, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as it was when it was read.

    Args:
        key: What is leased.
        epoch: Above that of every earlier holder.
        holder: Who claimed it; "" where it was taken and waits for a holder.
        state: What the holder, or who took it, gave last.
        left: Seconds until it expires; 0 or less is expired.
        age: Seconds since it was last claimed, beaten or taken.
    """

    key: LeaseKey
    epoch: int
    holder: str
    state: Mapping[str, Any] = field(repr=False)
    left: float
    age: float

    @property
    def expired(self) -> bool:
        """Whether its holder is to be taken for dead."""
        return self.left <= 0


@dataclass(frozen=True, slots=True)
class Nudge:
    """A room to look at now.

    Args:
        room: Its name.
        kind: Why.
        at: When it was nudged last, by the clock that leases expire by.
    """

    room: str
    kind: NudgeKind
    at: float


class Leases(Protocol):
    """Keeps leases; safe for any number of processes.

    Every ``state`` is a JSON object, every ``ttl`` is in seconds, every ``epoch`` is below 2**53.
    Each call raises :class:`pipelines.errors.LeaseError` where the leases can't be reached, within
    two seconds. A call that was given up may have been done all the same; claiming, beating and
    releasing again is harmless.
    """

    shared: bool
    """Whether other hosts see these leases."""

    async def claim(
        self, key: LeaseKey, *, holder: str, epoch: int, ttl: float, state: Mapping[str, Any]
    ) -> Lease:
        """Become the holder of a lease that nobody alive holds.

        The lease's epoch is at least ``epoch`` and above every earlier holder's; one that was taken
        keeps the epoch that the taker gave it. The holder itself may claim again: it gets what it
        has.

        Args:
            key: What to hold.
            holder: Whom no other has the name of.
            epoch: The least epoch.
            ttl: Seconds until the first beat.
            state: Of the holder; nothing of an earlier one is left.

        Raises:
            HeldError: Another one holds it and is alive.
        """

    async def beat(
        self, key: LeaseKey, *, holder: str, epoch: int, ttl: float, state: Mapping[str, Any]
    ) -> Lease:
        """Say that the holder lives; make the lease again if it was lost, as by an emptied Redis.

        Raises:
            FencedError: The lease has a higher epoch, or the same and another holder, or it was
                released: whoever serves in ``epoch`` has to leave. :meth:`read` tells who is next.
        """

    async def take(
        self,
        key: LeaseKey,
        *,
        epoch: int,
        floor: int,
        ttl: float,
        state: Mapping[str, Any],
        force: bool = False,
    ) -> Lease | None:
        """Fence the holder: the epoch becomes max(``epoch``, ``floor``) + 1, and nobody holds it.

        Of several who take at once, one gets the lease. One that is lost is made.

        Args:
            key: What to take.
            epoch: That the lease has, as far as the caller knows.
            floor: Highest epoch known from elsewhere.
            ttl: Seconds in which somebody should claim it.
            state: What a successor is to know; nothing of an earlier one is left.
            force: Take it also while its holder is alive.

        Returns:
            The lease as it is now; None where its epoch is higher than ``epoch``, where it is alive
            and ``force`` is not given, or where it was released in ``epoch``.
        """

    async def release(
        self, key: LeaseKey, *, epoch: int, tombstone: Tombstone | None = None, sid: str = ""
    ) -> None:
        """Let go of the lease; nothing changes where it has a higher epoch.

        Args:
            key: What was held.
            epoch: Of the holder.
            tombstone: Why nobody is to serve it again, for a day, in the room of ``sid``.
            sid: SID of the room.
        """

    async def tombstone(self, key: LeaseKey, sid: str) -> Tombstone | None:
        """Return why nobody is to serve ``key`` in the room of ``sid``, or None."""

    async def clear_tombstone(self, key: LeaseKey, sid: str, kind: Tombstone) -> None:
        """Take away a tombstone of this kind; others stay."""

    async def read(self, key: LeaseKey) -> Lease | None:
        """Return the lease; None where there is none or it was released."""

    async def leases(self, scope: Scope, *, expired: bool = False) -> list[Lease]:
        """Return the leases of a kind in order of their keys: all, or only those that are expired.

        The latter costs the more the more of them are expired, and not the more there are.
        """

    async def time(self) -> float:
        """Return the seconds of the clock that leases expire by.

        A watcher that sees it leap knows that an expired lease tells nothing yet.
        """

    async def nudge(self, room: str, kind: NudgeKind) -> None:
        """Ask all who look after rooms to look at this one now."""

    async def nudges(self, after: float) -> list[Nudge]:
        """Return the nudges since ``after``, oldest first; of a room and kind the last one.

        Reading takes none away: each reader goes on after the last ``at`` that it has dealt with.
        """

    async def aclose(self) -> None:
        """Close the connections; never fails, and waits a second at most."""
