"""The watcher over leases in memory, in virtual time: who looks, and what is done about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from agents.failover import PER_SECOND
from agents.watcher import AGAIN, COUNTS, LOOKS, Watcher
from pipelines.lease import Lease, LeaseKey, Scope
from pipelines.metrics import metrics
from pipelines.testing.memory_leases import MemoryLeases
from tests.unit.virtual_time import in_virtual_time

TTL = 3.0
SETTLED = 1.5 * TTL  # seconds
ROOM = LeaseKey("room", ("weekly", "greffier", ""))


def memory() -> MemoryLeases:
    return MemoryLeases(asyncio.get_running_loop().time)


async def dead(leases: MemoryLeases, key: LeaseKey = ROOM) -> Lease:
    """Return a lease whose holder does not beat."""
    return await leases.claim(key, holder="dead job", epoch=7, ttl=0.0, state={})


@asynccontextmanager
async def watching(
    leases: MemoryLeases, see_to: Callable[[Lease], Coroutine[Any, Any, bool]]
) -> AsyncIterator[None]:
    async def sweep() -> None:
        pass

    watcher = Watcher(leases, "greffier", ttl=TTL, see_to=see_to, sweep=sweep)
    task = asyncio.create_task(watcher.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


class Replaced:
    """Notes what it is given, and takes it as a replacement does."""

    def __init__(self, leases: MemoryLeases) -> None:
        self.leases = leases
        self.given: list[Lease] = []
        self.at: list[float] = []

    async def __call__(self, lease: Lease) -> bool:
        self.given.append(lease)
        self.at.append(asyncio.get_running_loop().time())
        await self.leases.take(lease.key, epoch=lease.epoch, floor=0, ttl=TTL, state={})
        return True


@in_virtual_time
async def test_of_two_workers_one_sees_to_silent_rooms() -> None:
    leases = memory()
    seen: dict[str, int] = {"one": 0, "other": 0}

    def count(name: str) -> Callable[[Lease], Coroutine[Any, Any, bool]]:
        async def see_to(_lease: Lease) -> bool:
            seen[name] += 1
            return False

        return see_to

    await dead(leases)
    async with watching(leases, count("one")), watching(leases, count("other")):
        await asyncio.sleep(SETTLED + 3 * AGAIN)
    assert sorted(map(bool, seen.values())) == [False, True]


@in_virtual_time
async def test_a_worker_that_lost_the_watch_gets_it_back_when_the_other_one_dies() -> None:
    leases = memory()
    replaced = Replaced(leases)
    watch = LeaseKey("watch", ("greffier",))
    async with watching(leases, replaced):
        await asyncio.sleep(SETTLED)
        held = await leases.read(watch)
        assert held
        await leases.take(watch, epoch=held.epoch, floor=0, ttl=TTL, state={}, force=True)
        await leases.claim(watch, holder="another", epoch=1, ttl=TTL, state={})
        await dead(leases)
        await asyncio.sleep(TTL / 2)
        assert replaced.given == []
        await asyncio.sleep(TTL)
    assert len(replaced.given) == 1


@in_virtual_time
async def test_when_the_worker_that_watches_dies_the_next_one_acts_within_a_ttl() -> None:
    leases = memory()
    one, other = Replaced(leases), Replaced(leases)
    async with watching(leases, other):
        async with watching(leases, one):
            await asyncio.sleep(SETTLED)
        await dead(leases)
        await asyncio.sleep(TTL)
    assert len(one.given + other.given) == 1


@in_virtual_time
async def test_rooms_of_another_agent_name_are_left_alone() -> None:
    leases = memory()
    replaced = Replaced(leases)
    await dead(leases, LeaseKey("room", ("weekly", "collector", "")))
    async with watching(leases, replaced):
        await asyncio.sleep(3 * TTL)
    assert replaced.given == []


@pytest.mark.parametrize("outage", [TTL / 6, 10 * TTL])
def test_for_a_ttl_after_the_leases_were_away_nobody_is_replaced(outage: float) -> None:
    @in_virtual_time
    async def test() -> None:
        leases = memory()
        replaced = Replaced(leases)
        async with watching(leases, replaced):
            await asyncio.sleep(SETTLED)
            await dead(leases)
            leases.away = True
            await asyncio.sleep(outage)
            leases.away = False
            back = asyncio.get_running_loop().time()
            await asyncio.sleep(2 * TTL)
        assert TTL <= replaced.at[0] - back <= 1.5 * TTL

    test()


@in_virtual_time
async def test_a_room_that_waits_is_looked_at_again() -> None:
    leases = memory()
    looks: list[float] = []

    async def wait(_lease: Lease) -> bool:
        looks.append(asyncio.get_running_loop().time())
        return False

    await dead(leases)
    async with watching(leases, wait):
        await asyncio.sleep(SETTLED + 5 * AGAIN)
    assert len(looks) >= 4
    assert min(later - at for at, later in pairwise(looks)) >= AGAIN


@in_virtual_time
async def test_a_room_that_can_not_be_seen_to_stops_no_watch() -> None:
    leases = memory()
    tried: list[str] = []

    async def fail(lease: Lease) -> bool:
        tried.append(lease.key.parts[0])
        raise RuntimeError("a part of ours is broken")

    await dead(leases)
    async with watching(leases, fail):
        await asyncio.sleep(SETTLED + 2 * AGAIN)
    assert len(tried) >= 2


@in_virtual_time
async def test_a_room_that_is_being_seen_to_is_not_seen_to_twice_and_holds_up_no_other() -> None:
    leases = memory()
    begun: list[str] = []

    async def hang(lease: Lease) -> bool:
        begun.append(lease.key.parts[0])
        await asyncio.sleep(10 * TTL)
        return True

    await dead(leases)
    async with watching(leases, hang):
        await asyncio.sleep(SETTLED)
        await dead(leases, LeaseKey("room", ("daily", "greffier", "")))
        await asyncio.sleep(TTL)
    assert sorted(begun) == ["daily", "weekly"]


@in_virtual_time
async def test_rooms_that_wait_keep_no_dead_one_waiting() -> None:
    leases = memory()
    replaced = Replaced(leases)

    async def see_to(lease: Lease) -> bool:
        # Nobody is in the others.
        return lease.key == ROOM and await replaced(lease)

    for n in range(30):
        await dead(leases, LeaseKey("room", (f"empty-{n}", "greffier", "")))
    async with watching(leases, see_to):
        await asyncio.sleep(SETTLED + 5 * AGAIN)
        await dead(leases)
        died = asyncio.get_running_loop().time()
        await asyncio.sleep(TTL)
    assert replaced.at[0] - died < AGAIN


@in_virtual_time
async def test_rooms_that_wait_are_looked_at_more_often_than_rooms_may_be_replaced() -> None:
    leases = memory()
    looks: list[Lease] = []

    async def wait(lease: Lease) -> bool:
        looks.append(lease)
        return False

    for n in range(30):
        await dead(leases, LeaseKey("room", (f"empty-{n}", "greffier", "")))
    async with watching(leases, wait):
        await asyncio.sleep(SETTLED + 10.0)
    assert len(looks) > 1.5 * 10.0 * PER_SECOND


@in_virtual_time
async def test_who_can_not_reach_livekit_leaves_the_watch_to_one_who_can() -> None:
    leases = memory()
    replaced = Replaced(leases)

    async def cut_off(_lease: Lease) -> bool:
        await asyncio.sleep(0.8 * TTL / LOOKS)  # Its own next look is the first one after this.
        raise ConnectionError

    async with watching(leases, cut_off):
        await asyncio.sleep(TTL / 2 + 0.6 * TTL / LOOKS)  # It has the watch.
        async with watching(leases, replaced):
            await asyncio.sleep(SETTLED)
            await dead(leases)
            await asyncio.sleep(TTL)
            assert len(replaced.given) == 1


@in_virtual_time
async def test_who_can_not_reach_livekit_tries_again_where_there_is_no_other() -> None:
    leases = memory()
    tried: list[float] = []

    async def cut_off(_lease: Lease) -> bool:
        tried.append(asyncio.get_running_loop().time())
        raise ConnectionError

    await dead(leases)
    async with watching(leases, cut_off):
        await asyncio.sleep(SETTLED + 4 * TTL)
    assert len(tried) >= 3


class SlowToList(MemoryLeases):
    """Leases that were long away when they list what was expired before."""

    slow = False

    async def leases(self, scope: Scope, *, expired: bool = False) -> list[Lease]:
        found = await super().leases(scope, expired=expired)
        if self.slow and found:
            self.slow = False
            await asyncio.sleep(0.7 * TTL)
        return found


@in_virtual_time
async def test_leases_that_were_slow_to_list_tell_of_no_dead_job() -> None:
    leases = SlowToList(asyncio.get_running_loop().time)
    replaced = Replaced(leases)
    async with watching(leases, replaced):
        await asyncio.sleep(SETTLED)
        leases.slow = True
        late = await dead(leases)
        await asyncio.sleep(TTL)
        await leases.beat(ROOM, holder=late.holder, epoch=late.epoch, ttl=3 * TTL, state={})
        await asyncio.sleep(TTL)
    assert replaced.given == []


def counted_waiting() -> float:
    (family,) = metrics().rooms_waiting.collect()
    return family.samples[0].value


@in_virtual_time
async def test_who_watches_counts_the_rooms_that_wait_and_who_does_not_counts_none() -> None:
    leases = memory()
    for room, agent_name in (("one", "greffier"), ("two", "greffier"), ("three", "another")):
        key = LeaseKey("room", (room, agent_name, ""))
        await leases.take(key, epoch=1, floor=0, ttl=300.0, state={})
    held = LeaseKey("room", ("served", "greffier", ""))
    await leases.claim(held, holder="AJ_1", epoch=1, ttl=300.0, state={})
    async with watching(leases, Replaced(leases)):
        await asyncio.sleep(TTL)
        assert counted_waiting() == 2
        await leases.claim(LeaseKey("room", ("one", "greffier", "")), **held_by("AJ_2"))
        await asyncio.sleep(2 * COUNTS)
        assert counted_waiting() == 1
        watch = LeaseKey("watch", ("greffier",))
        await leases.take(watch, epoch=1, floor=0, ttl=TTL, state={}, force=True)
        await leases.claim(watch, **held_by("another"))
        await asyncio.sleep(TTL)
        assert counted_waiting() == 0


def held_by(job: str) -> dict[str, Any]:
    return {"holder": job, "epoch": 1, "ttl": 300.0, "state": {}}
