"""What a worker does about its own jobs that died or hang, over leases in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.protocol.agent import Job
from livekit.protocol.models import Room

from agents import comeback
from agents.comeback import NOBODY_CAME, NOT_ASKED, Comeback
from agents.livekit_compat import ClosedJob
from agents.room_state import RoomState, room_key
from pipelines.lease import Lease
from pipelines.settings import Settings
from pipelines.testing.memory_leases import MemoryLeases
from tests.unit.livekit_double import LiveKit, stand_in
from tests.unit.virtual_time import in_virtual_time

NAME = "greffier"
ROOM = "weekly"
TTL = 3.0
KEY = room_key(ROOM, NAME, "")
JOB = Job(id="AJ_1", room=Room(name=ROOM, sid="RM_1"), metadata="m")


class Worker:
    """A worker with one job, and what becomes of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.livekit = LiveKit()
        self.livekit.open(ROOM)
        self.killed: list[str] = []
        accepted = SimpleNamespace(attributes={})
        self.active_jobs = [SimpleNamespace(job=JOB, accept_arguments=accepted)]
        self.draining = False
        self._pool: Any = None
        stand_in(monkeypatch, self.livekit, "agents.replacement", "agents.sweep")
        monkeypatch.setattr(comeback, "on_job_closed", lambda _server, tell: self._set(tell))
        monkeypatch.setattr(comeback, "kill_job", lambda _server, job: self._kill(job))

    def _set(self, tell: Any) -> None:
        self._pool = tell

    def _kill(self, job: str) -> bool:
        self.killed.append(job)
        return True

    def dies(self) -> None:
        self.active_jobs = []
        self._pool(ClosedJob(JOB, {}, -9))

    @asynccontextmanager
    async def watching(self, leases: MemoryLeases) -> AsyncIterator[None]:
        server: Any = self
        part = Comeback(Settings(agent_name=NAME, room_sweep_interval=0), server, {}, leases)
        part.start()
        try:
            yield
        finally:
            assert part._task
            part._task.cancel()


async def held(leases: MemoryLeases, *, dead: tuple[str, ...] = (), holder: str = "AJ_1") -> Lease:
    state = RoomState(sid="RM_1", first="AD_1", metadata="m", dead=dead)
    return await leases.claim(KEY, holder=holder, epoch=7, ttl=1000.0, state=state.as_dict())


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    return Worker(monkeypatch)


def test_a_job_whose_process_is_gone_is_replaced_at_once(worker: Worker) -> None:
    @in_virtual_time
    async def test() -> None:
        leases = MemoryLeases(asyncio.get_running_loop().time)
        await held(leases)
        async with worker.watching(leases):
            worker.dies()
            await asyncio.sleep(TTL / 100)
            (asked,) = worker.livekit.dispatches[ROOM]
            assert asked.metadata == "m"

    test()


def test_one_that_dies_while_it_hands_over_to_nobody_is_replaced_at_once(worker: Worker) -> None:
    @in_virtual_time
    async def test() -> None:
        leases = MemoryLeases(asyncio.get_running_loop().time)
        lease = await held(leases)
        state = replace(RoomState.of(lease.state), handover="AJ_1")
        await leases.take(KEY, epoch=7, floor=0, ttl=1000.0, state=state.as_dict(), force=True)
        async with worker.watching(leases):
            worker.dies()
            await asyncio.sleep(TTL / 100)
            assert len(worker.livekit.dispatches[ROOM]) == 1

    test()


@pytest.mark.parametrize("failures", [0, 1])
def test_a_worker_that_ends_asks_again_for_who_takes_its_room_over(
    worker: Worker, failures: int
) -> None:
    @in_virtual_time
    async def test() -> None:
        leases = MemoryLeases(asyncio.get_running_loop().time)
        await held(leases)
        worker.draining = True
        worker.livekit.away = failures
        async with worker.watching(leases):
            await asyncio.sleep(NOT_ASKED / 2)
            assert len(worker.livekit.dispatches[ROOM]) == 1 - failures
            await asyncio.sleep(NOT_ASKED)
            assert len(worker.livekit.dispatches[ROOM]) == 1
            lease = await leases.read(KEY)
            assert lease
            # Nobody came: the job has its lease again.
            await leases.claim(KEY, holder="AJ_1", epoch=7, ttl=1000.0, state=lease.state)
            await asyncio.sleep(NOBODY_CAME[0] + NOT_ASKED)
            assert len(worker.livekit.dispatches[ROOM]) == 2

    test()


def test_a_job_that_begins_when_the_worker_ends_already_is_handed_over_too(worker: Worker) -> None:
    @in_virtual_time
    async def test() -> None:
        leases = MemoryLeases(asyncio.get_running_loop().time)
        jobs, worker.active_jobs, worker.draining = worker.active_jobs, [], True
        async with worker.watching(leases):
            await asyncio.sleep(1)
            await held(leases)
            worker.active_jobs = jobs
            await asyncio.sleep(1)
            lease = await leases.read(KEY)
            assert lease
            assert RoomState.of(lease.state).handover == "AJ_1"

    test()


@pytest.mark.parametrize("ended", [True, False])
def test_one_that_ended_in_good_order_or_was_replaced_already_is_not(
    worker: Worker, *, ended: bool
) -> None:
    @in_virtual_time
    async def test() -> None:
        leases = MemoryLeases(asyncio.get_running_loop().time)
        lease = await held(leases, holder="AJ_1" if ended else "AJ_2")
        if ended:
            await leases.release(KEY, epoch=lease.epoch)
        async with worker.watching(leases):
            worker.dies()
            await asyncio.sleep(TTL)
            assert worker.livekit.dispatches[ROOM] == []

    test()


@pytest.mark.parametrize(("holder", "killed"), [("AJ_2", ["AJ_1"]), ("AJ_1", [])])
def test_a_job_that_was_taken_for_dead_is_killed_unless_it_has_its_room_again(
    worker: Worker, holder: str, killed: list[str]
) -> None:
    @in_virtual_time
    async def test() -> None:
        leases = MemoryLeases(asyncio.get_running_loop().time)
        await held(leases, dead=("AJ_1",), holder=holder)
        async with worker.watching(leases):
            await asyncio.sleep(3 * TTL)
            assert worker.killed == []  # It has the time to leave by itself.
            await asyncio.sleep(2 * TTL)
            assert worker.killed[:1] == killed

    test()
