"""What the old job of a hand-over tells the new one."""

from __future__ import annotations

import asyncio

from agents.handover import PATIENCE, Cuts, Successor, takeover
from pipelines.lease import LeaseKey
from pipelines.testing.memory_leases import MemoryLeases
from tests.unit.virtual_time import in_virtual_time


def memory() -> MemoryLeases:
    return MemoryLeases(asyncio.get_running_loop().time)


@in_virtual_time
async def test_the_new_job_is_told_each_speakers_cut_as_it_becomes_known() -> None:
    leases = memory()
    old, new = Cuts(leases, "AJ_1"), Cuts(leases, "AJ_2")
    assert await new.told() is None
    assert await old.tell("AJ_2", {"ada": 7.5, "james": None})
    assert await new.told() == {"ada": 7.5, "james": None}
    assert await old.tell("AJ_2", {"ada": 7.5, "james": 9.0})
    assert await new.told() == {"ada": 7.5, "james": 9.0}
    assert await old.told() is None  # It is not for whoever asks.
    await new.forget()
    assert await new.told() is None


@in_virtual_time
async def test_where_the_leases_are_away_nothing_is_told_and_nobody_fails() -> None:
    leases = memory()
    leases.away = True
    cuts = Cuts(leases, "AJ_1")
    assert not await cuts.tell("AJ_2", {})
    assert await cuts.told() is None
    await cuts.forget()


@in_virtual_time
async def test_a_successor_that_has_come_may_be_slow_to_hear() -> None:
    leases, key = memory(), LeaseKey("room", ("standup", "greffier", ""))
    clock = asyncio.get_running_loop().time
    waiting = asyncio.create_task(takeover(leases, key))
    await asyncio.sleep(PATIENCE - 1)
    await leases.claim(key, holder="AJ_2", epoch=8, ttl=60.0, state={})
    await asyncio.sleep(5)
    assert not waiting.done()
    told = {"takeover_at": 1234.5}
    await leases.beat(key, holder="AJ_2", epoch=8, ttl=60.0, state=told)
    assert await waiting == Successor("AJ_2", 1234.5)
    began = clock()
    assert await takeover(memory(), key) is None
    assert clock() - began < PATIENCE + 1
