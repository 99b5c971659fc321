"""Leases in files, by a clock that the tests move."""

from __future__ import annotations

from typing import Any

from pipelines.lease import Lease, LeaseKey
from pipelines.leases.files import FileLeases

ROOM = LeaseKey("room", ("weekly", "greffier", ""))
TTL = 3.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


async def claim(
    leases: FileLeases, holder: str, *, epoch: int = 10, key: LeaseKey = ROOM, **state: Any
) -> Lease:
    return await leases.claim(key, holder=holder, epoch=epoch, ttl=TTL, state=state)


async def beat(leases: FileLeases, lease: Lease, **state: Any) -> Lease:
    return await leases.beat(
        lease.key, holder=lease.holder, epoch=lease.epoch, ttl=TTL, state=state
    )


async def take(
    leases: FileLeases, epoch: int, *, floor: int = 0, force: bool = False, **state: Any
) -> Lease | None:
    return await leases.take(ROOM, epoch=epoch, floor=floor, ttl=TTL, state=state, force=force)
