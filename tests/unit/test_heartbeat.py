"""A job's hold on its room, over leases in memory, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from agents.handover import NOTICE, PATIENCE, Successor
from agents.heartbeat import BEAT_EVERY, CUT_OFF, Heartbeat
from agents.room_state import RoomState, room_key
from pipelines.errors import FencedError, LeaseError
from pipelines.lease import Lease
from pipelines.leases.redis import LONGEST_CALL
from pipelines.metrics import metrics
from pipelines.testing.memory_leases import MemoryLeases
from tests.unit.virtual_time import in_virtual_time

TTL = 3.0
KEY = room_key("weekly", "greffier", "")
JOB, NEXT = "AJ_1", "AJ_2"
OWN = RoomState(sid="RM_1", meeting="weekly/RM_1", first="AD_1", dispatch="AD_1")


def memory() -> MemoryLeases:
    return MemoryLeases(asyncio.get_running_loop().time)


async def claimed(leases: MemoryLeases, *, state: RoomState = OWN) -> Lease:
    return await leases.claim(KEY, holder=JOB, epoch=7, ttl=10.0, state=state.as_dict())


def heartbeat(
    leases: MemoryLeases, holder: str = JOB, *, epoch: int = 7, ttl: float = TTL
) -> Heartbeat:
    return Heartbeat(leases, KEY, holder=holder, epoch=epoch, ttl=ttl, state=OWN)


async def begun(leases: MemoryLeases, *, state: RoomState = OWN, ttl: float = TTL) -> Heartbeat:
    """Return the heartbeat of a job that was accepted with ``state`` and has begun."""
    await claimed(leases, state=state)
    beats = heartbeat(leases, ttl=ttl)
    await beats.begin()
    return beats


@asynccontextmanager
async def beating(
    beats: Heartbeat, connected: Callable[[], bool] = lambda: True
) -> AsyncIterator[asyncio.Task[Successor]]:
    task = asyncio.create_task(beats.run(lambda state: state, connected))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, FencedError):
            await task


@asynccontextmanager
async def living(
    leases: MemoryLeases, *, ttl: float = TTL
) -> AsyncIterator[asyncio.Task[Successor]]:
    """Have a job that has begun beat; yields its task."""
    async with beating(await begun(leases, ttl=ttl)) as task:
        yield task


async def alive(leases: MemoryLeases, holder: str = JOB) -> bool:
    lease = await leases.read(KEY)
    return bool(lease and lease.holder == holder and not lease.expired)


async def taken(leases: MemoryLeases, state: RoomState = OWN) -> Lease:
    held = await leases.read(KEY)
    assert held
    lease = await leases.take(
        KEY, epoch=held.epoch, floor=0, ttl=20.0, state=state.as_dict(), force=True
    )
    assert lease
    return lease


@in_virtual_time
async def test_a_job_begins_with_the_state_that_it_was_accepted_with() -> None:
    beats = await begun(memory(), state=replace(OWN, heard_until=90.0, first="AD_0"))
    assert beats.known
    assert (beats.state.heard_until, beats.state.first) == (90.0, "AD_0")


@in_virtual_time
async def test_a_job_that_lives_is_never_taken_for_dead() -> None:
    leases = memory()
    async with living(leases):
        for _ in range(100):
            await asyncio.sleep(TTL / 10)
            assert await alive(leases)


class HangsOnce(MemoryLeases):
    """Leases whose second beat gets no answer, as from a Redis that is far or stalls."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop().time)
        self.asked = 0
        self.beaten: list[float] = []

    async def beat(self, *args: Any, **kwargs: Any) -> Lease:
        self.asked += 1
        if self.asked == 2:
            await asyncio.sleep(LONGEST_CALL)
            raise LeaseError
        self.beaten.append(asyncio.get_running_loop().time())
        return await super().beat(*args, **kwargs)


@in_virtual_time
async def test_one_call_that_hangs_is_no_jobs_death() -> None:
    leases = HangsOnce()
    async with living(leases):
        await asyncio.sleep(2 * TTL)
    assert max(later - at for at, later in pairwise(leases.beaten)) < 0.8 * TTL


@in_virtual_time
async def test_a_lease_that_lives_long_is_beaten_as_often() -> None:
    leases = memory()
    async with living(leases, ttl=60.0):
        for _ in range(50):
            await asyncio.sleep(0.1)
            lease = await leases.read(KEY)
            assert lease
            assert lease.age <= BEAT_EVERY


@in_virtual_time
async def test_a_job_that_is_cut_off_from_its_room_is_taken_for_dead() -> None:
    leases = memory()
    await claimed(leases)
    connected = [True]
    async with beating(heartbeat(leases), lambda: connected[0]):
        connected[0] = False
        await asyncio.sleep(CUT_OFF - TTL / 3)
        assert await alive(leases)  # Connections are mended all the time.
        await asyncio.sleep(2 * TTL)
        assert not await alive(leases)
        connected[0] = True
        await asyncio.sleep(TTL / 2)
        assert await alive(leases)


@in_virtual_time
async def test_that_the_leases_are_away_ends_no_job_and_they_are_made_again() -> None:
    leases = memory()
    async with living(leases) as task:
        leases.away = True
        await asyncio.sleep(10 * TTL)
        leases.away = False
        leases.empty()
        await asyncio.sleep(TTL / 2)
        assert not task.done()
        assert await alive(leases)


@in_virtual_time
async def test_a_job_that_was_accepted_while_the_leases_were_away_claims_its_own_later() -> None:
    leases = memory()
    leases.away = True
    beats = heartbeat(leases)
    await beats.begin()
    assert not beats.known
    async with beating(beats):
        leases.away = False
        await asyncio.sleep(TTL / 2)
        assert await alive(leases)


@in_virtual_time
async def test_a_job_that_learns_late_what_it_was_accepted_with_keeps_its_meeting() -> None:
    leases = memory()
    await claimed(leases, state=replace(OWN, meeting="weekly/RM_0", handover=NEXT, first="AD_0"))
    leases.away = True
    beats = heartbeat(leases)
    await beats.begin()
    async with beating(beats):
        leases.away = False
        await asyncio.sleep(TTL)
        lease = await leases.read(KEY)
        assert lease
        told = RoomState.of(lease.state)
        assert (told.meeting, told.handover, told.first) == (OWN.meeting, "", "AD_0")


@in_virtual_time
async def test_of_two_that_were_accepted_while_the_leases_were_away_one_leaves() -> None:
    leases = memory()
    leases.away = True
    first, second = heartbeat(leases), heartbeat(leases, NEXT, epoch=8)
    async with beating(first) as one, beating(second) as other:
        await asyncio.sleep(TTL)
        leases.away = False
        await asyncio.sleep(TTL)
        (leaves,) = [task for task in (one, other) if task.done()]
        assert isinstance(leaves.exception(), FencedError)


@in_virtual_time
async def test_a_job_that_somebody_took_over_from_leaves() -> None:
    leases = memory()
    beats = await begun(leases)
    async with beating(beats) as task:
        await taken(leases)
        await asyncio.sleep(TTL)
        assert isinstance(task.exception(), FencedError)
    assert await beats.is_fenced()


@in_virtual_time
async def test_a_job_that_comes_too_late_does_not_begin() -> None:
    leases = memory()
    await leases.claim(KEY, holder=NEXT, epoch=8, ttl=TTL, state={})
    with pytest.raises(FencedError):
        await heartbeat(leases).begin()


@in_virtual_time
async def test_a_job_hands_over_at_the_moment_that_its_successor_says() -> None:
    leases, counted = memory(), handovers()
    async with living(leases) as task:
        state = replace(OWN, handover=JOB)
        await taken(leases, state)
        await asyncio.sleep(2 * NOTICE)
        lease = await leases.claim(KEY, holder=NEXT, epoch=8, ttl=TTL, state=state.as_dict())
        await asyncio.sleep(NOTICE)
        assert not task.done()  # It has joined, and hears nothing yet.
        hears = replace(state, handover="", takeover_at=1234.5)
        await leases.beat(KEY, holder=NEXT, epoch=lease.epoch, ttl=TTL, state=hears.as_dict())
        await asyncio.sleep(NOTICE / 2)
        assert task.result() == Successor(NEXT, 1234.5)
    assert handovers() == counted + 1


def handovers() -> float:
    (family,) = metrics().replacements.collect()
    totals = (one for one in family.samples if one.name.endswith("_total"))
    return sum(one.value for one in totals if one.labels["cause"] == "handover")


@in_virtual_time
async def test_a_job_that_nobody_takes_over_from_goes_on() -> None:
    leases = memory()
    beats = await begun(leases)
    async with beating(beats) as task:
        await taken(leases, replace(OWN, handover=JOB))
        await asyncio.sleep(PATIENCE + 2 * TTL)
        assert not task.done()
        assert await alive(leases)
        assert beats.state.handover == ""


@in_virtual_time
async def test_that_the_leases_are_away_when_nobody_takes_over_ends_no_job() -> None:
    leases = memory()
    async with living(leases) as task:
        await taken(leases, replace(OWN, handover=JOB))
        await asyncio.sleep(PATIENCE / 2)
        leases.away = True
        await asyncio.sleep(PATIENCE)
        leases.away = False
        await asyncio.sleep(PATIENCE + TTL)
        assert not task.done()
        assert await alive(leases)


@in_virtual_time
async def test_a_job_that_ends_while_it_is_to_beat_at_once_ends() -> None:
    leases = memory()
    await claimed(leases)
    beats = heartbeat(leases)
    async with beating(beats) as task:
        await asyncio.sleep(TTL / 10)
        beats.beat_soon()
        task.cancel()
        await asyncio.sleep(TTL)
        assert task.cancelled()


@in_virtual_time
async def test_who_can_not_ask_does_not_know_whether_it_is_fenced() -> None:
    leases = memory()
    beats = await begun(leases)
    assert await beats.is_fenced() is False
    leases.away = True
    assert await beats.is_fenced() is None


@in_virtual_time
async def test_a_job_whose_worker_was_told_to_end_before_it_began_waits_for_nobody() -> None:
    leases = memory()
    await claimed(leases)
    await taken(leases, replace(OWN, handover=JOB))
    beats = heartbeat(leases)
    await beats.begin()
    assert beats.state.handover == ""


@in_virtual_time
async def test_a_change_that_others_wait_for_is_told_at_once() -> None:
    leases = memory()
    beats = await begun(leases)
    async with beating(beats):
        await asyncio.sleep(0.01)
        beats.beat_soon()
        await asyncio.sleep(0.01)
        lease = await leases.read(KEY)
        assert lease
        assert lease.age < 0.02


@in_virtual_time
async def test_who_ends_in_good_order_lets_go_and_says_why() -> None:
    leases = memory()
    beats = await begun(leases)
    await beats.release("withdrawn")
    assert await leases.read(KEY) is None
    assert await leases.tombstone(KEY, "RM_1") == "withdrawn"
    leases.away = True
    await beats.release()


@in_virtual_time
async def test_a_change_in_the_midst_of_a_beat_is_told_by_the_next_one_at_once() -> None:
    leases = memory()
    beats = await begun(leases)
    at: list[float] = []

    def state(last: RoomState) -> RoomState:
        at.append(asyncio.get_running_loop().time())
        if len(at) == 1:
            asyncio.get_running_loop().call_soon(beats.beat_soon)
        return last

    async def slow_beat(*args: Any, **kwargs: Any) -> Lease:
        await asyncio.sleep(0.1)
        return await MemoryLeases.beat(leases, *args, **kwargs)

    leases.beat = slow_beat  # type: ignore[method-assign] # a slow one
    running = asyncio.create_task(beats.run(state, lambda: True))
    await asyncio.sleep(0.5)
    running.cancel()
    assert len(at) == 2
