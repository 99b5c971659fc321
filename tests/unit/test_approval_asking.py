"""What is asked of whom, and what is not even asked: refused with the reason, and kept."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agents.approvals.approval import State
from agents.approvals.asking import MOST_KEPT, MOST_OF_ONE, MOST_WAITING
from agents.approvals.audit import MOST_A_MINUTE
from agents.approvals.calls import Pending, Ran, Refused, Target, ToolCall, by_agent
from tests.unit.approval_world import (
    World,
)
from tests.unit.virtual_time import in_virtual_time


@in_virtual_time
async def test_the_same_request_in_flight_is_one_dialog_and_all_who_asked_are_told() -> None:
    world = World()
    async with world.job() as job:
        news: list[tuple[str, State]] = []
        job.approvals.watch("bob", lambda one: news.append(("bob", one.state)))
        job.approvals.watch("eve", lambda one: news.append(("eve", one.state)))
        one = await job.ask(by="bob")
        assert await job.ask(by="eve") == one
        assert world.shown == [("ada", one)]
        await job.decide("ada", one, "approve")
        assert set(news) == {(who, s) for who in ("bob", "eve") for s in ("approved", "done")}
        assert await job.ask(by="eve") != one  # It is done; this is another one.
        assert world.received == {one: 1}


@in_virtual_time
async def test_several_people_are_asked_each_for_their_own() -> None:
    world = World()
    async with world.job() as job:
        call = ToolCall(
            "post",
            {},
            asked_by="bob",
            targets=(Target("ada", {"text": "a"}), Target("grace", {"text": "g"}), Target("X", {})),
        )
        pending = await job.approvals.ask(call)
        assert isinstance(pending, Pending)
        assert len(pending.ids) == 2
        assert len(world.audit("refused")) == 1
        await asyncio.sleep(0.01)
        await job.decide("grace", pending.ids[1], "approve")
        assert world.said == ["g"]


@in_virtual_time
async def test_a_tool_without_effects_runs_at_once_and_is_kept() -> None:
    world = World()
    async with world.job(begin=False) as job:
        ran = await job.approvals.ask(ToolCall("look", {"text": "x"}, asked_by="bob"))
        assert ran == Ran("bob sees x")
        assert [one["outcome"] for one in world.audit("ran")] == ["done"]


@pytest.mark.parametrize(
    ("name", "arguments", "to"),
    [
        ("nothing", {"text": "x"}, ("ada",)),
        ("look", {"text": 1}, ()),
        ("post", {"text": 1}, ("ada",)),
        ("post", {"text": "x"}, ("a",)),
        ("post", {"text": "x"}, ("someone",)),
        ("post", {"text": "x"}, ()),
    ],
)
def test_what_can_not_be_asked_is_refused_with_the_reason_and_kept(
    name: str, arguments: dict[str, Any], to: tuple[str, ...]
) -> None:
    @in_virtual_time
    async def scene() -> None:
        world = World()
        async with world.job() as job:
            refused = await job.approvals.ask(ToolCall(name, arguments, asked_by="bob", to=to))
            assert isinstance(refused, Refused)
            assert refused.reason
            (kept,) = world.audit("refused")
            assert kept["because"] == refused.reason
            assert world.shown == []

    scene()


@in_virtual_time
async def test_nobody_is_buried_in_questions() -> None:
    world = World()
    async with world.job() as job:
        for n in range(MOST_WAITING):
            await job.ask(text=str(n), by=f"guest {n}")
        call = ToolCall("post", {"text": "one more"}, asked_by="bob", to=("ada",))
        assert isinstance(await job.approvals.ask(call), Refused)


@in_virtual_time
async def test_who_asks_much_of_somebody_keeps_nobody_else_from_being_heard() -> None:
    world = World()
    async with world.job() as job:
        first, second, *_ = [await job.ask(text=str(n), by="eve") for n in range(MOST_OF_ONE)]
        call = ToolCall("post", {"text": "one more"}, asked_by="eve", to=("ada",))
        assert isinstance(await job.approvals.ask(call), Refused)
        hers = await job.ask(text="honest", by="grace")
        for one in (first, hers):
            await job.decide("ada", one, "reject")
        assert [one for _, one in world.shown] == [first, hers, second]


@in_virtual_time
async def test_nobody_makes_the_audit_trail_long() -> None:
    world = World()
    async with world.job() as job:
        names = tuple(f"nobody {n} {'x' * 300}" for n in range(20))
        call = ToolCall("post", {"text": "y" * 30_000}, asked_by="eve", to=names)
        await job.approvals.ask(call)
        (line,) = world.audit("refused")
        assert len(str(line)) < MOST_KEPT + 4_000
        for _ in range(3 * MOST_A_MINUTE):
            await job.approvals.ask(call)
        assert len(world.audit("refused")) == MOST_A_MINUTE
        assert len(world.audit("not_kept")) == 1
        other = ToolCall("nothing", {}, asked_by=by_agent("assistant"))
        for _ in range(2 * MOST_A_MINUTE):  # It asks for everybody who talks to it.
            await job.approvals.ask(other)
        assert len(world.audit("refused")) == 3 * MOST_A_MINUTE
        await asyncio.sleep(61)
        await job.approvals.ask(call)
        assert world.audit("refused")[-1]["asked_by"] == "eve"
        assert job.book._lines == []
