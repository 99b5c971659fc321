"""How a worker answers dispatches, over leases in memory and a double of LiveKit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.protocol.agent import Job
from livekit.protocol.models import Room

from agents.dispatch import Dispatcher
from agents.livekit_api import OURS
from agents.meeting_id import noted_meeting
from agents.registry import load_specs
from agents.room_state import RoomState, room_key
from agents.waiting_job import FIRST_BEAT, kept_alive
from pipelines.lease import Tombstone
from pipelines.settings import Settings
from pipelines.testing.memory_leases import MemoryLeases
from tests.unit.livekit_double import LiveKit, stand_in
from tests.unit.virtual_time import in_virtual_time

NAME = "greffier"
ROOM = "weekly"
MOST = 2
SID = f"RM_of_{ROOM}"
KEY = room_key(ROOM, NAME, "")


class Request:
    """A dispatch; whoever accepts it waits until it has a process, as LiveKit's worker does."""

    def __init__(
        self, number: int, *, dispatch: str = "AD_1", room_name: str = ROOM, **attributes: str
    ) -> None:
        room = Room(name=room_name, sid=f"RM_of_{room_name}")
        self.job = Job(id=f"AJ_{number}", dispatch_id=dispatch, room=room, attributes=attributes)
        self.accepted: dict[str, Any] = {}
        self.rejected: bool | None = None
        self.has_process = asyncio.Event()

    async def accept(self, **options: Any) -> None:
        self.accepted = options
        await self.has_process.wait()

    async def reject(self, *, terminate: bool) -> None:
        self.rejected = terminate


@pytest.fixture
def leases() -> MemoryLeases:
    return MemoryLeases(time.monotonic)


@pytest.fixture
def dispatcher(leases: MemoryLeases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dispatcher:
    livekit = LiveKit()
    livekit.open(ROOM)
    stand_in(monkeypatch, livekit, "agents.dispatch")
    server: Any = SimpleNamespace(active_jobs=[])
    return Dispatcher(
        Settings(agent_name=NAME, data_dir=tmp_path, max_jobs=MOST), load_specs(), server, leases
    )


@asynccontextmanager
async def answering(dispatcher: Dispatcher, *requests: Request) -> AsyncIterator[None]:
    """Have dispatches answered at the same moment; in the end each has its process."""
    async with asyncio.TaskGroup() as tasks:
        for request in requests:
            tasks.create_task(dispatcher.on_request(request))  # type: ignore[arg-type] # a double
        while not all(one.accepted or one.rejected is not None for one in requests):  # noqa: ASYNC110 - the code under test tells nobody
            await asyncio.sleep(0.001)
        yield
        for request in requests:
            request.has_process.set()


async def state_of(leases: MemoryLeases) -> RoomState:
    lease = await leases.read(KEY)
    assert lease
    return RoomState.of(lease.state)


async def test_of_two_dispatches_at_one_moment_one_is_served(dispatcher: Dispatcher) -> None:
    one, other = Request(1), Request(2, dispatch="AD_2")
    async with answering(dispatcher, one, other):
        assert one.accepted
        assert other.rejected is True


async def test_once_another_one_serves_a_job_that_waits_for_a_process_is_in_nobody_s_way(
    dispatcher: Dispatcher, leases: MemoryLeases
) -> None:
    async with answering(dispatcher, Request(1)):
        held = await leases.read(KEY)
        assert held
        await leases.take(KEY, epoch=held.epoch, floor=0, ttl=3.0, state={}, force=True)
        again = Request(2, dispatch="AD_2", **{OURS: "AD_1"})
        async with answering(dispatcher, again):
            assert again.accepted
            assert (await state_of(leases)).dispatch == "AD_2"


async def test_while_the_leases_are_away_a_worker_knows_whom_it_has_accepted(
    dispatcher: Dispatcher, leases: MemoryLeases
) -> None:
    leases.away = True
    async with answering(dispatcher, Request(1)):
        again = Request(2)
        async with answering(dispatcher, again):
            assert again.rejected is True


async def test_jobs_that_wait_for_a_process_count_among_what_a_worker_may_hold(
    dispatcher: Dispatcher,
) -> None:
    rooms = [Request(number, room_name=f"room-{number}") for number in range(MOST)]
    async with answering(dispatcher, *rooms):
        one_more = Request(MOST)
        async with answering(dispatcher, one_more):
            assert one_more.rejected is False  # Another worker is asked.


async def test_a_room_that_went_on_with_a_meeting_is_that_meeting_s_also_once_it_was_over(
    dispatcher: Dispatcher, leases: MemoryLeases
) -> None:
    before = RoomState(sid="RM_before", meeting=f"{ROOM}/RM_before")
    await leases.claim(KEY, holder="AJ_0", epoch=1, ttl=0.0, state=before.as_dict())
    for number in (1, 2):
        async with answering(dispatcher, Request(number)):
            assert (await state_of(leases)).meeting == before.meeting
        lease = await leases.read(KEY)
        assert lease
        await leases.release(KEY, epoch=lease.epoch)
    assert await noted_meeting(leases, KEY, "RM_after") == ""


async def test_the_first_is_somebody_else_s_dispatch_never_one_of_ours(
    dispatcher: Dispatcher, leases: MemoryLeases
) -> None:
    async with answering(dispatcher, Request(1, dispatch="AD_9", **{OURS: "AD_1"})):
        state = await state_of(leases)
    assert (state.first, state.dispatch) == ("AD_1", "AD_9")


@pytest.mark.parametrize(("ours", "left"), [(False, None), (True, "withdrawn")])
async def test_who_asks_again_for_an_agent_that_was_stopped_gets_it_and_keeps_it(
    dispatcher: Dispatcher, leases: MemoryLeases, *, ours: bool, left: Tombstone | None
) -> None:
    await leases.claim(KEY, holder="AJ_0", epoch=7, ttl=3.0, state={})
    await leases.release(KEY, epoch=7, tombstone="withdrawn", sid=SID)
    request = Request(1, **({OURS: ""} if ours else {}))
    async with answering(dispatcher, request):
        assert request.accepted
    assert await leases.tombstone(KEY, SID) == left


@in_virtual_time
async def test_a_job_that_waits_for_a_process_is_not_taken_for_dead() -> None:
    leases = MemoryLeases(asyncio.get_running_loop().time)
    state = RoomState(sid="RM_1")
    lease = await leases.claim(KEY, holder="AJ_1", epoch=7, ttl=FIRST_BEAT, state=state.as_dict())
    async with kept_alive(leases, KEY, holder="AJ_1", epoch=lease.epoch, state=state):
        await asyncio.sleep(5 * FIRST_BEAT)
        leases.away = True
        await asyncio.sleep(FIRST_BEAT)
        leases.away = False
        await asyncio.sleep(FIRST_BEAT)
        held = await leases.read(KEY)
        assert held
        assert not held.expired
        taken = await leases.take(KEY, epoch=held.epoch, floor=0, ttl=3.0, state={}, force=True)
        assert taken
        await asyncio.sleep(FIRST_BEAT)
        fenced = await leases.read(KEY)
        assert fenced
        assert (fenced.epoch, fenced.holder) == (taken.epoch, "")
