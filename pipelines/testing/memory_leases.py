"""Leases in memory, by a clock that a test moves; they go away and forget as they are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pipelines.errors import FencedError, HeldError, LeaseError
from pipelines.lease import REMEMBERED, Lease, LeaseKey, Scope, Tombstone
from pipelines.leases.rules import (
    Record,
    beaten,
    claimed,
    encoded,
    lease_of,
    released,
    taken,
)


class MemoryLeases:
    """Keeps leases of one process, by the same rules as the real ones.

    Args:
        clock: Returns seconds, such as the running loop's ``time``.
        away: Whether every call fails; may be changed at any time.
    """

    shared = False

    def __init__(self, clock: Callable[[], float], *, away: bool = False) -> None:
        self._clock = clock
        self._records: dict[LeaseKey, Record] = {}
        self._tombstones: dict[tuple[LeaseKey, str], tuple[Tombstone, float]] = {}
        self._nudges: list[str] = []
        self.away = away

    def empty(self) -> None:
        """Forget everything, as a Redis that is started without its data."""
        self._records.clear()
        self._tombstones.clear()
        self._nudges.clear()

    async def claim(
        self, key: LeaseKey, *, holder: str, epoch: int, ttl: float, state: Mapping[str, Any]
    ) -> Lease:
        """See :meth:`pipelines.lease.Leases.claim`."""
        rule = partial(claimed, holder=holder, epoch=epoch, ttl=ttl, state=encoded(state))
        done, lease = self._change(key, rule)
        if not done:
            raise HeldError(lease)
        return lease

    async def beat(
        self, key: LeaseKey, *, holder: str, epoch: int, ttl: float, state: Mapping[str, Any]
    ) -> Lease:
        """See :meth:`pipelines.lease.Leases.beat`."""
        rule = partial(beaten, holder=holder, epoch=epoch, ttl=ttl, state=encoded(state))
        done, lease = self._change(key, rule)
        if not done:
            raise FencedError(lease)
        return lease

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
        """See :meth:`pipelines.lease.Leases.take`."""
        rule = partial(taken, epoch=epoch, floor=floor, ttl=ttl, state=encoded(state), force=force)
        done, lease = self._change(key, rule)
        return lease if done else None

    async def release(
        self, key: LeaseKey, *, epoch: int, tombstone: Tombstone | None = None, sid: str = ""
    ) -> None:
        """See :meth:`pipelines.lease.Leases.release`."""
        done, _ = self._change(key, partial(released, epoch=epoch))
        if done and tombstone:
            self._tombstones[key, sid] = (tombstone, self._clock())

    async def tombstone(self, key: LeaseKey, sid: str) -> Tombstone | None:
        """See :meth:`pipelines.lease.Leases.tombstone`."""
        self._reach()
        kind, at = self._tombstones.get((key, sid), (None, 0.0))
        return kind if self._clock() - at <= REMEMBERED else None

    async def clear_tombstone(self, key: LeaseKey, sid: str, kind: Tombstone) -> None:
        """See :meth:`pipelines.lease.Leases.clear_tombstone`."""
        if await self.tombstone(key, sid) == kind:
            del self._tombstones[key, sid]

    async def read(self, key: LeaseKey) -> Lease | None:
        """See :meth:`pipelines.lease.Leases.read`."""
        self._reach()
        record = self._records.get(key)
        return None if record is None or record.gone else lease_of(key, record, self._clock())

    async def leases(self, scope: Scope, *, expired: bool = False) -> list[Lease]:
        """See :meth:`pipelines.lease.Leases.leases`."""
        self._reach()
        found = [await self.read(key) for key in self._records if key.scope == scope]
        wanted = (lease for lease in found if lease and (lease.expired or not expired))
        return sorted(wanted, key=lambda lease: lease.key.parts)

    async def time(self) -> float:
        """See :meth:`pipelines.lease.Leases.time`."""
        self._reach()
        return self._clock()

    async def nudge(self, room: str) -> None:
        """See :meth:`pipelines.lease.Leases.nudge`."""
        self._reach()
        self._nudges.append(room)

    async def nudges(self) -> list[str]:
        """See :meth:`pipelines.lease.Leases.nudges`."""
        self._reach()
        rooms, self._nudges = self._nudges, []
        return list(dict.fromkeys(rooms))

    async def aclose(self) -> None:
        """Nothing is held open."""

    def _change(
        self, key: LeaseKey, rule: Callable[[Record | None, float], Record | None]
    ) -> tuple[bool, Lease]:
        self._reach()
        now = self._clock()
        stored = self._records.get(key)
        record = rule(stored, now)
        found = record or stored
        assert found, "a rule refuses only what there is"
        self._records[key] = found
        return record is not None, lease_of(key, found, now)

    def _reach(self) -> None:
        if self.away:
            raise LeaseError
