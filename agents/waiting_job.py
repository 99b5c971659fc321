"""A job that is accepted and waits for a process: its lease lives for as long as it waits.

A worker starts two processes at a time or so, in some seconds each. Of twenty rooms that open at
once on a busy machine, the last waits for a minute: it is not dead, and another job would wait as
long.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from agents.room_state import RoomState
from pipelines.errors import FencedError, LeaseError
from pipelines.lease import LeaseKey, Leases

FIRST_BEAT: Final = 10.0
"""Seconds that an accepted job has until its first heartbeat, from when its process begins."""

BEATS: Final = 3
"""Beats in ``FIRST_BEAT``."""


@asynccontextmanager
async def kept_alive(
    leases: Leases, key: LeaseKey, *, holder: str, epoch: int, state: RoomState
) -> AsyncIterator[None]:
    """Beat the lease of a job in its stead, until the block is left or somebody else serves.

    Args:
        leases: Where it is kept.
        key: Of the room's lease.
        holder: The job's id.
        epoch: Of the job.
        state: That the job begins with.
    """
    async with asyncio.TaskGroup() as tasks:
        beating = tasks.create_task(_beat(leases, key, holder, epoch, state), name="waiting job")
        try:
            yield
        finally:
            beating.cancel()


async def _beat(leases: Leases, key: LeaseKey, holder: str, epoch: int, state: RoomState) -> None:
    with suppress(FencedError):  # The job finds it out, and does not begin.
        while True:
            await asyncio.sleep(FIRST_BEAT / BEATS)
            with suppress(LeaseError):  # It is tried again, and nobody can take the lease either.
                await leases.beat(
                    key, holder=holder, epoch=epoch, ttl=FIRST_BEAT, state=state.as_dict()
                )
