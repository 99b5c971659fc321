"""What is approved is carried out: once, and after crashes too."""

from __future__ import annotations

import asyncio

import pytest

from agents.approvals.approval import Approval, State
from agents.approvals.effects import PAUSES
from agents.rpc.errors import Code
from pipelines.errors import ToolError, UnknownOutcomeError
from tests.unit.approval_world import (
    KeptActions,
    World,
)
from tests.unit.virtual_time import in_virtual_time


@in_virtual_time
async def test_what_is_approved_is_done_once_and_who_asked_is_told() -> None:
    world = World()
    async with world.job() as job:
        news: list[Approval] = []
        job.approvals.watch("bob", news.append)
        one = await job.ask("send", "hello")
        assert world.shown == [("ada", one)]
        assert world.said == []
        assert await job.decide("ada", one, "approve") == "approved"
        assert world.said == ["hello"]
        assert await job.refused("ada", one, "approve") is Code.ALREADY_DECIDED
        await asyncio.sleep(10)
        assert world.received == {one: 1}
        assert [(one.state, one.result) for one in news] == [
            (State.APPROVED, None),
            (State.DONE, "said hello"),
        ]
        events = [line.data["event"] for line in world.ledger.actions]
        assert events == ["requested", "shown", "approved", "started", "done", "not_taken"]
        assert world.told[0] == (one, "requested", ("ada",))
        assert world.told[-1] == (one, "done", ("ada",))


@pytest.mark.parametrize("name", ["post", "send"])
def test_what_was_decided_and_not_begun_before_a_crash_is_done_once(name: str) -> None:
    @in_virtual_time
    async def scene() -> None:
        world = World()
        async with world.job() as job:
            one = await job.ask(name)
            job.approvals._effects.stop()  # It dies before it gets to it.
            await job.decide("ada", one, "approve")
            assert world.received == {}
        async with world.job():
            await asyncio.sleep(1)
            assert world.received == {one: 1}
            assert world.state(one) is State.DONE
        async with world.job():
            await asyncio.sleep(1)
            assert world.received == {one: 1}

    scene()


@in_virtual_time
async def test_after_a_crash_in_the_middle_an_idempotent_tool_runs_again_with_its_key() -> None:
    world = World()
    async with world.job() as job:
        one = await job.ask("post")
        world.outcomes = [5.0]
        await job.decide("ada", one, "approve")
        job.crash_here()
    async with world.job():
        await asyncio.sleep(1)
        assert world.received == {one: 2}
        assert world.state(one) is State.DONE


@in_virtual_time
async def test_after_a_crash_in_the_middle_a_person_is_asked_about_an_at_most_once_tool() -> None:
    world = World()
    async with world.job() as job:
        one = await job.ask("send")
        world.outcomes = [5.0]
        await job.decide("ada", one, "approve")
        job.crash_here()
    world.leases.empty()  # Redis may have lost them: the line alone must do.
    async with world.job() as job:
        news: list[Approval] = []
        job.approvals.watch("bob", news.append)
        await asyncio.sleep(2)
        assert world.state(one) is State.UNKNOWN
        assert world.shown == [("ada", one)] * 2
        assert await job.refused("grace", one, "happened") is Code.NOT_ADDRESSED
        assert await job.refused("ada", one, "approve") is Code.ALREADY_DECIDED
        assert await job.decide("ada", one, "did_not_happen") == "settled"
        assert [(one.state, one.happened) for one in news][-1] == (State.SETTLED, False)
    async with world.job():
        await asyncio.sleep(2)
        assert world.received == {one: 1}


@in_virtual_time
async def test_of_two_jobs_in_a_split_network_one_does_it_and_the_other_asks() -> None:
    world, other = World(), World()
    other.leases, other.received = world.leases, world.received
    async with world.job() as job:
        one = await job.ask("send")
        other.ledger = KeptActions(2, list(world.ledger.actions))
        async with other.job() as beside:
            await asyncio.gather(
                job.decide("ada", one, "approve"), beside.decide("ada", one, "approve")
            )
            await asyncio.sleep(1)
            assert world.received == {one: 1}
            assert {world.state(one), other.state(one)} == {State.DONE, State.UNKNOWN}


@in_virtual_time
async def test_where_it_cant_be_made_sure_that_it_happens_once_it_does_not() -> None:
    world = World()
    async with world.job() as job:
        one, other = await job.ask("send"), await job.ask("post")
        world.leases.away = True
        await job.decide("ada", one, "approve")
        await job.decide("ada", other, "approve")
        assert world.state(one) is State.FAILED
        assert world.received == {other: 1}


@pytest.mark.parametrize(
    ("name", "tries", "state"),
    [("post", 1 + len(PAUSES), State.UNKNOWN), ("send", 1, State.UNKNOWN)],
)
def test_only_what_may_be_doubled_is_tried_again(name: str, tries: int, state: State) -> None:
    @in_virtual_time
    async def scene() -> None:
        world = World()
        world.outcomes = [UnknownOutcomeError("no answer")] * 9
        async with world.job() as job:
            one = await job.ask(name)
            await job.decide("ada", one, "approve")
            await asyncio.sleep(sum(PAUSES) + 1)
            assert world.received == {one: tries}
            assert world.state(one) is state

    scene()


@in_virtual_time
async def test_after_a_try_that_may_have_done_it_no_refusal_says_that_it_did_not_happen() -> None:
    world = World()
    world.outcomes = [UnknownOutcomeError("no answer"), *[ToolError("no connection")] * 9]
    async with world.job() as job:
        one, crashed = await job.ask(), await job.ask("post", "crashed", "grace")
        await job.decide("ada", one, "approve")
        await asyncio.sleep(sum(PAUSES) + 1)
        assert world.state(one) is State.UNKNOWN
        world.outcomes = [5.0]
        await job.decide("grace", crashed, "approve")
        job.crash_here()
    world.outcomes = [ToolError("no connection")] * 9
    async with world.job():
        await asyncio.sleep(sum(PAUSES) + 1)
        assert world.state(crashed) is State.UNKNOWN


@in_virtual_time
async def test_what_a_tool_says_did_not_happen_is_told_as_that() -> None:
    world = World()
    world.outcomes = [ToolError("the calendar is full")]
    async with world.job() as job:
        news: list[Approval] = []
        job.approvals.watch("bob", news.append)
        await job.decide("ada", await job.ask(), "approve")
        assert (news[-1].state, news[-1].because) == (State.FAILED, "the calendar is full")


@in_virtual_time
async def test_what_the_jobs_end_cuts_off_is_unknown_if_it_must_not_be_doubled() -> None:
    world = World()
    async with world.job() as job:
        one, other = await job.ask("send"), await job.ask("post", "other")
        world.outcomes = [60.0, 60.0]
        await job.decide("ada", one, "approve")
        await job.decide("ada", other, "approve")
        await job.end()
    assert world.state(one) is State.UNKNOWN
    assert world.state(other) is State.STARTED


@in_virtual_time
async def test_a_watcher_that_fails_stops_nothing() -> None:
    world = World()

    def fails(_: Approval) -> None:
        raise RuntimeError

    async with world.job() as job:
        job.approvals.watch("bob", fails)
        one = await job.ask()
        await job.decide("ada", one, "approve")
        assert world.state(one) is State.DONE
