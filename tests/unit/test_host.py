"""Agents side by side: one that fails is told and harms nobody."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import pytest

from agents import host as host_module
from agents.host import AgentHost
from agents.meeting import Desk
from agents.plugin import (
    AgentSettings,
    AgentSpec,
    CaptionFinal,
    Meeting,
    ParticipantJoined,
    SettingsChanged,
)
from pipelines.events import Event

JOINED = ParticipantJoined(1.0, "ada", "Ada")


@dataclass
class Notices:
    """Takes what the room is told."""

    told: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def notify(self, kind: str, fields: Mapping[str, Any], *, about: str = "") -> None:
        self.told.append((kind, {**fields, "about": about}))


@dataclass
class PlainDesk:
    """Of the desk only what the host touches; calls of the meeting go over real loops."""

    captions: Notices = field(default_factory=Notices)
    stored: list[str] = field(default_factory=list)

    def unregister_rpc(self, _owner: str) -> None:
        pass


class Recorder:
    """An agent that writes down what it is given and on which thread."""

    def __init__(self, _settings: AgentSettings) -> None:
        self.events: list[Event] = []
        self.thread = ""

    async def run(self, meeting: Meeting) -> None:
        self.thread = threading.current_thread().name
        async for event in meeting.events():
            self.events.append(event)


def spec(name: str, create: Any, isolation: Literal["thread", "inline"] = "thread") -> AgentSpec:
    return AgentSpec(name=name, create=create, isolation=isolation)


@pytest.fixture
async def desk() -> PlainDesk:
    return PlainDesk()


@pytest.fixture
async def host(desk: PlainDesk) -> AsyncIterator[AgentHost]:
    async with asyncio.TaskGroup() as tasks:
        host = AgentHost(cast("Desk", desk), tasks)
        yield host
        await host.stop_all(deadline=2.0)


@pytest.mark.parametrize("isolation", ["thread", "inline"])
async def test_an_agent_gets_what_was_so_far_what_happens_and_its_new_settings(
    host: AgentHost, isolation: Literal["thread", "inline"]
) -> None:
    class New(AgentSettings):
        chat: bool = True

    agent = Recorder(AgentSettings())
    host.start(spec("a", lambda _: agent, isolation), AgentSettings(), so_far=[JOINED])
    host.spread(JOINED)
    host.configure("a", New())
    host.configure("a", New())
    await host.stop("a", deadline=5.0)
    assert agent.events[:2] == [JOINED, JOINED]
    assert [event.settings for event in agent.events[2:] if isinstance(event, SettingsChanged)] == [
        New()
    ]
    assert (agent.thread == threading.current_thread().name) == (isolation == "inline")


@pytest.mark.parametrize("isolation", ["thread", "inline"])
async def test_an_agent_that_raises_is_told_and_the_others_go_on(
    host: AgentHost, desk: PlainDesk, isolation: Literal["thread", "inline"]
) -> None:
    class Raises(Recorder):
        async def run(self, meeting: Meeting) -> None:
            raise RuntimeError

    other = Recorder(AgentSettings())
    host.start(spec("bad", Raises, isolation), AgentSettings(), so_far=[])
    host.start(spec("good", lambda _: other), AgentSettings(), so_far=[])
    async with asyncio.timeout(5):
        while host.names != {"good"}:  # noqa: ASYNC110 - the host tells nobody else
            await asyncio.sleep(0.01)
    host.spread(JOINED)
    await host.stop("good", deadline=5.0)
    assert desk.captions.told == [
        ("agent", {"agent": "bad", "state": "failed", "reason": "RuntimeError", "about": "bad"})
    ]
    assert other.events == [JOINED]


async def test_a_stall_of_the_whole_process_fails_nobody(
    host: AgentHost, desk: PlainDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_module, "SILENCE", 0.5)
    monkeypatch.setattr(host_module, "_ASK", 0.05)
    host.start(spec("a", Recorder), AgentSettings(), so_far=[])
    await asyncio.sleep(0.2)
    time.sleep(1)  # noqa: ASYNC251 - as after SIGSTOP, nobody could ask
    await asyncio.sleep(0.2)
    assert host.names == {"a"}
    assert desk.captions.told == []


async def test_what_is_still_captioned_at_the_end_is_told_to_the_other_agents(
    host: AgentHost,
) -> None:
    last_words = CaptionFinal(1.0, 2.0, "1", "ada", "Ada", "good bye")

    class Settles(Recorder):
        async def run(self, meeting: Meeting) -> None:
            await super().run(meeting)
            host.spread(last_words)

    other = Recorder(AgentSettings())
    hears = AgentSpec(name="hears", create=Settles, isolation="inline", hears=True)
    host.start(spec("a", lambda _: other), AgentSettings(), so_far=[])
    host.start(hears, AgentSettings(), so_far=[])
    await asyncio.sleep(0)
    await host.stop_all(deadline=4.0)
    assert other.events == [last_words]


async def test_a_thread_without_a_sign_of_life_is_failed_while_the_loop_goes_on(
    host: AgentHost, desk: PlainDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_module, "SILENCE", 0.5)
    monkeypatch.setattr(host_module, "_ASK", 0.05)

    class Blocks(Recorder):
        async def run(self, meeting: Meeting) -> None:
            time.sleep(3)  # noqa: ASYNC251 - what it is for

    host.start(spec("blocks", Blocks), AgentSettings(), so_far=[])
    longest = 0.0
    async with asyncio.timeout(5):
        while host.names:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)
    assert desk.captions.told[0][1]["reason"] == "TimeoutError"
    assert longest < 1.0
