"""Agents that a moderator starts and stops: until the metadata says something else of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import MagicMock

import pytest

from agents.host import AgentHost
from agents.meeting import Desk
from agents.plugin import AgentSettings, AgentSpec, MeetingInfo
from agents.switchboard import Switchboard
from pipelines.errors import RoomSettingsError
from pipelines.settings import Settings


class Needs(AgentSettings):
    """Settings that have no default."""

    whom: str


SPECS = {
    "notes": AgentSpec("notes", lambda _: None),  # type: ignore[arg-type, return-value]
    "needs": AgentSpec("needs", lambda _: None, settings=Needs),  # type: ignore[arg-type, return-value]
}


@dataclass
class Ledger:
    """Keeps the state, through a crash of the job."""

    kept: dict[str, Any] = field(default_factory=dict)

    def append(self, _kind: str, data: Mapping[str, Any], *, at: float) -> None:
        self.kept[data["key"]] = json.loads(json.dumps(data["value"]))

    def state(self, key: str) -> Any:
        return self.kept.get(key)


@dataclass
class Host:
    """Runs names."""

    names: frozenset[str] = frozenset()
    hears: bool = False

    def start(self, spec: AgentSpec, _settings: AgentSettings, *, so_far: list[Any]) -> None:
        self.names |= {spec.name}

    async def stop(self, name: str, *, deadline: float) -> None:
        self.names -= {name}

    def configure(self, name: str, settings: AgentSettings) -> None:
        pass


class Job:
    """One job's switchboard, which follows the metadata as the sitting does."""

    def __init__(self, ledger: Ledger, agents: Mapping[str, Any]) -> None:
        self.host = Host()
        self.rtc_room = SimpleNamespace(metadata="")
        self.says(agents)
        self.desk = MagicMock(ledger=ledger, rtc_room=self.rtc_room)
        self.desk.info = MeetingInfo("m", "r", 1, 0.0)
        self.switchboard = Switchboard(Settings(), SPECS, "")

    def says(self, agents: Mapping[str, Any], **more: Any) -> None:
        self.rtc_room.metadata = json.dumps({"agents": agents, **more})

    async def connect(self) -> frozenset[str]:
        await self.switchboard.connect(cast("AgentHost", self.host), cast("Desk", self.desk))
        return self.host.names

    async def follow(self) -> frozenset[str]:
        await self.switchboard.follow(cast("AgentHost", self.host), cast("Desk", self.desk))
        return self.host.names

    async def switch(self, name: str, *, on: bool) -> frozenset[str]:
        desk = cast("Desk", self.desk)
        switching = asyncio.create_task(self.switchboard.switch(name, on=on, by="mo", desk=desk))
        await asyncio.sleep(0)
        names = await self.follow()
        await switching
        return names


async def test_a_switch_holds_through_changes_of_other_things_and_a_crash() -> None:
    ledger = Ledger()
    job = Job(ledger, {"notes": True})
    assert await job.connect() == {"notes"}
    assert await job.switch("notes", on=False) == set()
    job.says({"notes": True}, language="fr")
    assert await job.follow() == set()

    successor = Job(ledger, {"notes": True})
    assert await successor.connect() == set()
    assert await successor.switch("notes", on=True) == {"notes"}


async def test_the_room_is_told_which_agents_run_and_that_metadata_is_mended() -> None:
    job = Job(Ledger(), {"notes": True})
    await job.connect()
    await job.switch("notes", on=False)
    await job.switch("notes", on=True)
    job.says({"nobody": True})
    await job.follow()
    job.says({"notes": True})
    await job.follow()
    states = ["running", "off", "running"]
    assert [call.args for call in job.desk.captions.tell.call_args_list] == [
        *(("agent", {"agent": "notes", "state": state}) for state in states),
        ("error", {"source": "metadata", "message": ""}),
    ]


@pytest.mark.parametrize("crash", [False, True])
async def test_a_switch_ends_once_the_metadata_says_something_else_of_the_agent(
    crash: bool,
) -> None:
    ledger = Ledger()
    job = Job(ledger, {"notes": True})
    await job.connect()
    await job.switch("notes", on=False)
    if crash:
        job = Job(ledger, {})
        assert await job.connect() == set()
    else:
        job.says({})
        assert await job.follow() == set()
    job.says({"notes": True})
    assert await job.follow() == {"notes"}


async def test_an_agent_that_ended_by_itself_is_started_again_by_hand() -> None:
    job = Job(Ledger(), {"notes": True})
    await job.connect()
    job.host.names = frozenset()  # It has failed.
    job.says({"notes": True}, language="fr")
    assert await job.follow() == set()
    assert await job.switch("notes", on=True) == {"notes"}


async def test_an_agent_that_needs_settings_is_not_started_without() -> None:
    job = Job(Ledger(), {})
    await job.connect()
    with pytest.raises(RoomSettingsError):
        await job.switch("needs", on=True)
