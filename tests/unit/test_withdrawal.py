"""Why LiveKit ended a job, and whose dispatch it serves, over a double of LiveKit."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit.protocol.agent import Job
from livekit.protocol.models import Room

from agents import first_dispatch, job
from agents.ending import Ending
from agents.heartbeat import Heartbeat
from agents.job import MeetingJob
from agents.livekit_api import OURS
from agents.room_state import RoomState, room_key
from pipelines.settings import Settings
from pipelines.testing.memory_leases import MemoryLeases
from tests.unit.livekit_double import LiveKit, stand_in

ROOM, NAME = "weekly", "greffier"
KEY = room_key(ROOM, NAME, "")


@pytest.fixture
def livekit(monkeypatch: pytest.MonkeyPatch) -> LiveKit:
    livekit = LiveKit()
    stand_in(monkeypatch, livekit, "agents.job", "agents.first_dispatch")
    monkeypatch.setattr(job, "INTERVAL", 0.001)
    monkeypatch.setattr(first_dispatch, "INTERVAL", 0.001)
    livekit.open(ROOM)
    return livekit


class Serving:
    """A job in its room, with its heartbeat over leases in memory."""

    def __init__(self, dispatch: str, *, first: str, ours: bool) -> None:
        self.ended = asyncio.Event()
        self.leases = MemoryLeases(asyncio.get_running_loop().time)
        self.job = Job(
            id="AJ_1",
            dispatch_id=dispatch,
            room=Room(name=ROOM, sid="RM_1"),
            attributes={OURS: first} if ours else {},
        )
        state = RoomState(sid="RM_1", first=first, dispatch=dispatch)
        self.heartbeat = Heartbeat(self.leases, KEY, holder="AJ_1", epoch=7, ttl=3.0, state=state)
        ctx = SimpleNamespace(job=self.job, shutdown=lambda _reason: self.ended.set())
        self.meeting = MeetingJob(cast("Any", ctx), Settings(), {}, cast("Any", None))

    async def why(self, told: Ending | None = None) -> Ending:
        await self.heartbeat.begin()
        self.meeting._ending = told
        return await self.meeting._why(self.heartbeat)

    async def watch(self) -> None:
        await self.heartbeat.begin()
        ledger: Any = SimpleNamespace(opened=[])
        await self.meeting._leave_when_withdrawn(self.heartbeat, ledger)


@pytest.mark.parametrize("told", [None, Ending.REMOVED])
async def test_that_our_own_dispatch_is_gone_ends_no_meeting(
    livekit: LiveKit, told: Ending | None
) -> None:
    first = livekit.ask(ROOM, NAME)
    assert await Serving("AD_9", first=first.id, ours=True).why(told) is Ending.DROPPED
    assert await Serving("AD_9", first="", ours=True).why(told) is Ending.DROPPED


@pytest.mark.parametrize("told", [None, Ending.REMOVED])
async def test_that_the_first_dispatch_is_gone_does(livekit: LiveKit, told: Ending | None) -> None:
    own = livekit.ask(ROOM, NAME, attributes={OURS: "AD_0"})
    assert await Serving(own.id, first="AD_0", ours=True).why(told) is Ending.WITHDRAWN
    assert await Serving("AD_0", first="AD_0", ours=False).why(told) is Ending.WITHDRAWN


@pytest.mark.parametrize("told", [None, Ending.REMOVED])
async def test_with_its_dispatches_there_it_was_its_worker_or_somebody_who_removed_it(
    livekit: LiveKit, told: Ending | None
) -> None:
    own = livekit.ask(ROOM, NAME)
    assert await Serving(own.id, first=own.id, ours=False).why(told) is (told or Ending.WORKER)


async def test_who_asks_after_us_may_take_it_back(livekit: LiveKit) -> None:
    own = livekit.ask(ROOM, NAME, attributes={OURS: ""})
    serving = Serving(own.id, first="", ours=True)
    watching = asyncio.create_task(serving.watch())
    await asyncio.sleep(0.02)
    theirs = livekit.ask(ROOM, NAME, age=0.0)  # Refused: the room is served.
    await asyncio.sleep(0.02)
    assert serving.heartbeat.state.first == theirs.id
    assert not serving.ended.is_set()
    await livekit.delete_dispatch(theirs.id, ROOM)
    async with asyncio.timeout(1):
        await watching
    assert serving.ended.is_set()


@pytest.mark.parametrize("ours", [True, False])
async def test_only_a_dispatch_of_ours_is_ours_to_delete(livekit: LiveKit, *, ours: bool) -> None:
    own = livekit.ask(ROOM, NAME)
    served = Serving(own.id, first="", ours=ours).job
    await first_dispatch.forget(Settings(), served)
    assert livekit.dispatches[ROOM] == ([] if ours else [own])
