"""Who decides what, and until when."""

from __future__ import annotations

import asyncio

from agents.approvals.approval import State
from agents.approvals.approvals import PATIENCE
from agents.approvals.calls import Refused, ToolCall
from agents.rpc.errors import Code
from pipelines.events import ParticipantLeft
from tests.unit.approval_world import (
    TIMEOUT,
    World,
)
from tests.unit.virtual_time import in_virtual_time


@in_virtual_time
async def test_a_person_says_no_or_yes_to_something_else_that_the_tool_takes() -> None:
    world = World()
    async with world.job() as job:
        no, other = await job.ask(text="no"), await job.ask(text="yes")
        assert await job.decide("ada", no, "reject", reason="not now") == "rejected"
        for arguments in ({"text": 1}, {"txt": "x"}, None):
            code = await job.refused("ada", other, "modify", arguments=arguments)
            assert code is Code.BAD_REQUEST
        assert await job.refused("ada", other, "approve", arguments={"text": "x"}) is (
            Code.BAD_REQUEST
        )
        await job.decide("ada", other, "modify", arguments={"text": "well"})
        assert world.said == ["well"]
        assert world.state(no) is State.REJECTED


@in_virtual_time
async def test_nobody_decides_for_another_person_and_each_attempt_is_kept() -> None:
    world = World()
    async with world.job() as job:
        one = await job.ask()
        assert await job.refused("grace", one, "approve") is Code.NOT_ADDRESSED
        assert await job.refused("ada", "forged", "approve") is Code.NOT_FOUND
        assert await job.refused("ada", one, "happened") is Code.CONFLICT
        kept = [(one["by"], one["because"]) for one in world.audit("not_taken")]
        assert kept == [("grace", "not_addressed"), ("ada", "not_found"), ("ada", "conflict")]
        assert world.said == []


@in_virtual_time
async def test_time_runs_out_after_it_is_shown_and_for_what_nobody_could_be_shown() -> None:
    world = World()
    async with world.job() as job:
        seen = await job.ask(text="seen")
        await asyncio.sleep(TIMEOUT / 2)
        assert world.state(seen) is State.SHOWN
        await asyncio.sleep(TIMEOUT / 2 + 2)
        assert world.state(seen) is State.EXPIRED
        assert await job.refused("ada", seen, "approve") is Code.EXPIRED
        away = await job.ask("post", "away", "grace")
        del world.people["grace"]
        job.approvals.receive(ParticipantLeft(0.0, "grace", "Grace"))
        world.ledger.actions.pop()  # As if she had gone before she was shown it.
    async with world.job():
        await asyncio.sleep(PATIENCE / 2)
        assert world.state(away) is State.REQUESTED
        await asyncio.sleep(PATIENCE / 2 + 2)
        assert world.state(away) is State.EXPIRED


@in_virtual_time
async def test_nothing_is_shown_or_decided_before_the_meeting_is_this_jobs_or_after_its_end() -> (
    None
):
    world = World()
    async with world.job() as job:
        one = await job.ask("send")
    world.shown.clear()
    async with world.job(begin=False) as job:
        await asyncio.sleep(5)
        assert world.shown == []
        assert await job.refused("ada", one, "approve") is Code.UNAVAILABLE
        job.approvals.begin()
        await asyncio.sleep(0.01)
        assert world.shown == [("ada", one)]
        await job.end()
        assert await job.refused("ada", one, "approve") is Code.UNAVAILABLE
        assert isinstance(
            await job.approvals.ask(ToolCall("post", {"text": ""}, "bob", ("ada",))), Refused
        )
        assert world.received == {}
