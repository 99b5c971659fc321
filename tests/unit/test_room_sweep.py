"""Which open rooms get their agent by the sweep, over leases in memory and a double of LiveKit."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from livekit.protocol.agent_dispatch import AgentDispatch

from agents import sweep
from agents.livekit_api import OURS
from agents.registry import load_specs
from agents.room_state import room_key
from agents.sweep import Sweep
from pipelines.la_suite import TRANSCRIBER
from pipelines.lease import Tombstone
from pipelines.metrics import metrics
from pipelines.settings import Settings
from pipelines.testing.memory_leases import MemoryLeases
from tests.unit.livekit_double import LiveKit, stand_in

NAME = "greffier"
ASKS = json.dumps({"agents": {"metadata": True}})
KEY = room_key("weekly", NAME, "")


@pytest.fixture
def leases() -> MemoryLeases:
    return MemoryLeases(time.monotonic)


@pytest.fixture
def livekit(monkeypatch: pytest.MonkeyPatch) -> LiveKit:
    livekit = LiveKit()
    stand_in(monkeypatch, livekit, "agents.sweep")
    return livekit


def sweeping(leases: MemoryLeases, **settings: object) -> Sweep:
    return Sweep(Settings(agent_name=NAME, **settings), load_specs(), leases)  # type: ignore[arg-type] # a table


def made(livekit: LiveKit, room: str = "weekly") -> list[tuple[str, dict[str, str]]]:
    """Metadata and attributes of the dispatches that we made."""
    return [
        (one.metadata, dict(one.attributes))
        for one in livekit.dispatches[room]
        if OURS in one.attributes
    ]


def missing() -> float:
    """Return how many rooms were found without their agent, by the metrics."""
    (family,) = metrics().replacements.collect()
    totals = (one for one in family.samples if one.name.endswith("_total"))
    return sum(one.value for one in totals if one.labels["cause"] == "missing")


async def buried(leases: MemoryLeases, kind: Tombstone) -> None:
    await leases.claim(KEY, holder="AJ_1", epoch=7, ttl=3.0, state={})
    await leases.release(KEY, epoch=7, tombstone=kind, sid="RM_1")


async def test_a_room_whose_metadata_asks_gets_its_agent_and_any_other_does_not(
    leases: MemoryLeases, livekit: LiveKit
) -> None:
    counted = missing()
    livekit.open("weekly", metadata=ASKS)
    livekit.open("other")
    await sweeping(leases).look()
    assert made(livekit) == [("", {OURS: ""})]
    assert made(livekit, "other") == []
    assert missing() == counted + 1


async def test_a_dispatch_that_livekit_dropped_is_made_good_and_remains_the_first(
    leases: MemoryLeases, livekit: LiveKit
) -> None:
    livekit.open("weekly")
    first = livekit.ask("weekly", NAME, "m")
    livekit.ask("weekly", NAME, "later", age=30.0)
    await sweeping(leases).look()
    assert made(livekit) == [("m", {OURS: first.id})]


async def test_each_sweep_makes_its_own_dispatch_anew_and_leaves_one(
    leases: MemoryLeases, livekit: LiveKit
) -> None:
    livekit.open("weekly")
    livekit.ask("weekly", NAME)
    livekit.ask("weekly", NAME, attributes={OURS: "AD_1"}, age=30.0)
    await sweeping(leases).look()
    assert [one.id for one in livekit.dispatches["weekly"]] == ["AD_1", "AD_3"]


async def test_a_dispatch_for_another_agent_is_not_ours_to_make_good(
    leases: MemoryLeases, livekit: LiveKit
) -> None:
    livekit.open("weekly", metadata=ASKS)
    livekit.ask("weekly", "another")
    await sweeping(leases).look()
    assert made(livekit) == []


async def test_a_room_that_somebody_holds_is_served(leases: MemoryLeases, livekit: LiveKit) -> None:
    livekit.open("weekly", metadata=ASKS)
    await leases.claim(KEY, holder="AJ_1", epoch=7, ttl=3.0, state={})
    await sweeping(leases).look()
    assert made(livekit) == []


async def test_a_recording_that_somebody_holds_is_served(
    leases: MemoryLeases, livekit: LiveKit
) -> None:
    recording = "7f3c2f0e-6b1d-4d58-9a53-0c5b1f6b7a11"
    livekit.open("weekly")
    livekit.ask("weekly", NAME, recording)
    key = room_key("weekly", NAME, recording)
    await leases.claim(key, holder="AJ_1", epoch=7, ttl=3.0, state={})
    await sweeping(leases).look()
    assert made(livekit) == []


@pytest.mark.parametrize("kind", ["withdrawn"])
async def test_a_room_whose_agent_was_stopped_gets_none(
    leases: MemoryLeases, livekit: LiveKit, kind: Tombstone
) -> None:
    livekit.open("weekly", metadata=ASKS)
    await buried(leases, kind)
    await sweeping(leases).look()
    assert made(livekit) == []


async def test_who_is_hidden_alone_gets_no_agent_as_it_would_leave_an_empty_room(
    leases: MemoryLeases, livekit: LiveKit
) -> None:
    livekit.open("weekly", metadata=ASKS)
    livekit.inside["weekly"][0].permission.hidden = True
    await sweeping(leases).look()
    assert made(livekit) == []


async def test_whoever_comes_into_a_room_that_all_had_left_is_served(
    leases: MemoryLeases, livekit: LiveKit
) -> None:
    livekit.open("weekly", metadata=ASKS, people=0)
    await buried(leases, "empty")
    sweeper = sweeping(leases)
    await sweeper.look()
    assert made(livekit) == []
    livekit.open("weekly", metadata=ASKS)
    await leases.nudge("weekly", "participant_joined")
    await sweeper.look()
    assert len(made(livekit)) == 1
    assert await leases.tombstone(KEY, "RM_1") is None


async def test_an_agent_that_may_be_on_its_way_is_waited_for_whatever_is_nudged_meanwhile(
    leases: MemoryLeases, livekit: LiveKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "SOON", 0.05)
    livekit.open("weekly")
    asked = livekit.ask("weekly", NAME, age=1.0)
    sweeper = sweeping(leases)
    await sweeper.look()
    assert made(livekit) == []
    await leases.nudge("other", "room_started")
    await sweeper.look()
    asked.state.created_at -= int(60e9)
    await asyncio.sleep(0.06)
    await sweeper.look()
    assert len(made(livekit)) == 1


async def test_rooms_that_ask_for_nobody_take_turns(
    leases: MemoryLeases, livekit: LiveKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "OTHERS", 2)
    for number in range(6):
        livekit.open(f"room-{number}", sid=f"RM_{number}")
        livekit.ask(f"room-{number}", NAME)
    sweeper = sweeping(leases, room_sweep_interval=0.01)
    served = []
    for _ in range(3):
        await sweeper.look()
        served.append(sum(bool(made(livekit, room)) for room in livekit.rooms))
        await asyncio.sleep(0.02)
    assert served == [2, 4, 6]


async def test_under_la_suite_s_names_nobody_is_dispatched(
    leases: MemoryLeases, livekit: LiveKit
) -> None:
    livekit.open("weekly", metadata=ASKS)
    livekit.ask("weekly", TRANSCRIBER)
    await Sweep(Settings(agent_name=TRANSCRIBER), load_specs(), leases).look()
    assert made(livekit) == []


async def test_a_nudge_is_read_by_every_agent_names_sweep(
    leases: MemoryLeases, livekit: LiveKit
) -> None:
    sweeps = [
        Sweep(Settings(agent_name=name), load_specs(), leases) for name in (TRANSCRIBER, "a", "b")
    ]
    for one in sweeps:
        await one.look()
    for room, name in (("weekly", "a"), ("daily", "b")):
        livekit.open(room)
        livekit.ask(room, name)
        await leases.nudge(room, "room_started")
    for one in sweeps:
        await one.look()
    assert [len(made(livekit, room)) for room in ("weekly", "daily")] == [1, 1]


async def test_a_nudged_room_that_could_not_be_looked_at_is_looked_at_again(
    leases: MemoryLeases, livekit: LiveKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "SOON", 0.02)
    sweeper = sweeping(leases)
    await sweeper.look()
    livekit.open("weekly", metadata=ASKS)
    await leases.nudge("weekly", "room_started")
    livekit.away = 1
    await sweeper.look()
    assert made(livekit) == []
    await asyncio.sleep(0.03)
    await sweeper.look()
    assert len(made(livekit)) == 1


async def test_a_room_that_is_over_is_no_reason_to_look(
    leases: MemoryLeases, livekit: LiveKit
) -> None:
    sweeper = sweeping(leases)
    await sweeper.look()
    livekit.open("weekly", metadata=ASKS)
    await leases.nudge("weekly", "room_finished")
    await sweeper.look()
    assert made(livekit) == []


async def test_an_agent_that_comes_at_last_keeps_its_dispatch(
    leases: MemoryLeases, livekit: LiveKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    livekit.open("weekly", metadata=ASKS)
    slow = livekit.ask("weekly", NAME, attributes={OURS: ""})
    create = livekit.create_dispatch

    async def created(request: Any) -> AgentDispatch:
        await leases.claim(KEY, holder="AJ_1", epoch=7, ttl=10.0, state={})
        return await create(request)

    monkeypatch.setattr(livekit, "create_dispatch", created)
    await sweeping(leases).look()
    assert slow in livekit.dispatches["weekly"]
