"""A job that took over leaves when the dispatch that asked first is deleted, and only then."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from livekit.protocol.agent_dispatch import AgentDispatch, AgentDispatchState

from agents import first_dispatch
from agents.first_dispatch import oldest_like, until_withdrawn
from pipelines.transcript import epochs


class LiveKit:
    """A server with one room and its dispatches; ``away`` counts the answers it does not give."""

    def __init__(self) -> None:
        self.sid = "RM_1"
        self.dispatches = {"AD_1", "AD_2"}
        self.metadata: dict[str, str] = {}
        self.away = 0
        self.asked = 0
        self.room = self.agent_dispatch = self

    async def list_rooms(self, _request: Any) -> Any:
        return SimpleNamespace(rooms=[SimpleNamespace(sid=self.sid)])

    async def list_dispatch(self, _room: str) -> Any:
        self.asked += 1
        if self.away:
            self.away -= 1
            raise aiohttp.ClientError
        return [
            AgentDispatch(
                id=one,
                agent_name="other" if one == "AD_0" else "captions",
                metadata=self.metadata.get(one, ""),
                state=AgentDispatchState(created_at=int(one.removeprefix("AD_"))),
            )
            for one in self.dispatches
        ]


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_dispatch, "INTERVAL", 0.001)


async def withdrawn(livekit: LiveKit) -> bool:
    """Whether the dispatch was there before it was gone."""
    return await until_withdrawn(livekit, room="r", sid="RM_1", dispatch="AD_1")  # type: ignore[arg-type] # a double


async def is_withdrawn(livekit: LiveKit) -> bool:
    try:
        async with asyncio.timeout(0.1):
            await withdrawn(livekit)
    except TimeoutError:
        return False
    return True


async def test_it_goes_when_the_first_dispatch_is_gone() -> None:
    livekit = LiveKit()
    assert not await is_withdrawn(livekit)
    livekit.dispatches.remove("AD_1")
    assert await is_withdrawn(livekit)


async def test_it_is_known_whether_it_was_gone_before_this_job_came() -> None:
    livekit = LiveKit()
    waiting = asyncio.create_task(withdrawn(livekit))
    await asyncio.sleep(0.01)
    livekit.dispatches.remove("AD_1")
    assert await waiting
    assert not await withdrawn(livekit)


async def test_a_room_that_was_made_anew_has_other_dispatches_and_tells_nothing() -> None:
    livekit = LiveKit()
    livekit.dispatches, livekit.sid = set(), "RM_2"
    assert not await is_withdrawn(livekit)


async def test_a_server_that_does_not_answer_is_asked_again() -> None:
    livekit = LiveKit()
    livekit.dispatches, livekit.away = {"AD_2"}, 3
    assert await is_withdrawn(livekit)
    assert livekit.asked == 4


def test_the_first_dispatch_is_the_oldest_of_this_opening_of_the_room() -> None:
    opened = [
        {"room_sid": "RM_0", "dispatch": "AD_0"},
        {"room_sid": "RM_1"},
        {"room_sid": "RM_1", "dispatch": "AD_1"},
        {"room_sid": "RM_1", "dispatch": "AD_2"},
    ]
    assert epochs.first_dispatch(opened, "RM_1") == "AD_1"
    assert epochs.first_dispatch(opened, "RM_2") == ""


async def test_of_two_dispatches_at_one_moment_the_older_one_counts_whichever_came_first() -> None:
    livekit: Any = LiveKit()
    livekit.dispatches |= {"AD_0", "AD_3"}  # Of another agent, and a later one.
    assert await oldest_like(livekit, room="r", dispatch="AD_2") == "AD_1"
    assert await oldest_like(livekit, room="r", dispatch="AD_1") == "AD_1"
    livekit.metadata["AD_2"] = "another recording"
    assert await oldest_like(livekit, room="r", dispatch="AD_2") == "AD_2"
    livekit.away = 1
    assert await oldest_like(livekit, room="r", dispatch="AD_3") == "AD_3"
