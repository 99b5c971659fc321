"""What becomes of what is approved where a job ends, a meeting ends, or another job takes over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agents.approvals.approval import State
from agents.approvals.effects import PAUSES, TOO_OLD
from pipelines.errors import UnknownOutcomeError
from pipelines.transcript.line import distinct
from tests.unit.approval_world import Job, KeptActions, World
from tests.unit.virtual_time import in_virtual_time


@in_virtual_time
async def test_what_is_approved_at_the_jobs_end_still_begins_and_gets_to_its_end() -> None:
    world = World()
    async with world.job() as job:
        begun, late = await job.ask("send"), await job.ask("post", "late", "grace")
        world.outcomes = [3.0, 3.0]
        await job.decide("ada", begun, "approve")
        job.approvals._deciding.take("grace", late, "approve", arguments=None, reason="")
        job.approvals.close()
        await job.approvals.finished()
        assert {world.state(begun), world.state(late)} == {State.DONE}
        assert world.received == {begun: 1, late: 1}


@in_virtual_time
async def test_a_meetings_end_leaves_nothing_open_and_nothing_on_its_way() -> None:
    world = World()
    async with world.job() as job:
        done, once, again = await job.ask(text="done"), await job.ask("send"), await job.ask()
        shown, waits = await job.ask("send", "shown", "grace"), await job.ask("send", "x", "grace")
        await job.decide("ada", done, "approve")
        world.outcomes = [60.0, 60.0]
        await job.decide("ada", once, "approve")
        await job.decide("ada", again, "approve")
        never = await job.ask("send", "never")
        await job.end()
        job.approvals._deciding.take("ada", never, "approve", arguments=None, reason="")
    job.approvals.end()
    states = [world.state(one) for one in (done, once, again, never, shown, waits)]
    unknown, withdrawn = State.UNKNOWN, State.WITHDRAWN
    assert states == [State.DONE, unknown, unknown, State.FAILED, withdrawn, withdrawn]


@in_virtual_time
async def test_a_job_that_is_to_leave_to_another_one_tries_nothing_again() -> None:
    world = World()
    world.outcomes = [UnknownOutcomeError("no answer")] * 9
    async with world.job() as job:
        one = await job.ask()
        await job.decide("ada", one, "approve")
        job.approvals.stop()
        await asyncio.sleep(sum(PAUSES) + 1)
        assert world.received == {one: 1}
        assert world.state(one) is State.STARTED
    world.outcomes.clear()
    async with world.job():
        await asyncio.sleep(1)
        assert world.state(one) is State.DONE


@pytest.mark.parametrize("where", ["at the tool", "at the lease"])
def test_what_a_job_that_leaves_has_not_begun_is_done_by_the_next(where: str) -> None:
    @in_virtual_time
    async def scene() -> None:
        world = World()
        async with world.job() as job:
            one = await job.ask("send")
            if where == "at the tool":
                job.toolbox._tools.pop("send")  # Its server is away, and then the job dies.
            claim = world.leases.claim

            async def claims(*given: object, **more: object) -> object:
                if where == "at the lease":
                    job.approvals.stop()
                return await claim(*given, **more)  # type: ignore[arg-type]  # passed on

            world.leases.claim = claims  # type: ignore[assignment,method-assign]  # for this job
            await job.decide("ada", one, "approve")
            await asyncio.sleep(1)
            world.leases.claim = claim  # type: ignore[method-assign]  # as it was
            assert world.state(one) is State.APPROVED
        async with world.job():
            await asyncio.sleep(1)
            assert (world.state(one), world.received) == (State.DONE, {one: 1})

    scene()


@pytest.mark.parametrize("late", [False, True])
def test_what_was_approved_long_ago_is_not_done_now(*, late: bool) -> None:
    @in_virtual_time
    async def scene() -> None:
        world = World()
        async with world.job() as job:
            begun, waits = await job.ask(), await job.ask("post", "waits", "grace")
            world.outcomes = [60.0]
            await job.decide("ada", begun, "approve")
            job.approvals._effects.stop()
            await job.decide("grace", waits, "approve")
            job.crash_here()
        world.received.clear()
        world.outcomes.clear()
        await asyncio.sleep(TOO_OLD + 1 if late else TOO_OLD - 5)
        async with world.job():
            await asyncio.sleep(1)
            states = (world.state(begun), world.state(waits))
            assert states == ((State.UNKNOWN, State.FAILED) if late else (State.DONE, State.DONE))
            assert len(world.received) == (0 if late else 2)

    scene()


@asynccontextmanager
async def taking_over(world: World) -> AsyncIterator[tuple[World, Job]]:
    """Run a job beside the one of ``world``, which leaves to it."""
    after = World(KeptActions(2, list(world.ledger.actions)), world.leases, world.received)
    async with after.job(begin=False) as job:
        job.approvals.begin(alone=False)
        yield after, job


def inherit(world: World, after: World, job: Job) -> None:
    """The old job has left: what it kept is known."""
    after.ledger.actions = distinct([*world.ledger.actions, *after.ledger.actions])
    job.approvals.inherit()


@pytest.mark.parametrize("name", ["post", "send"])
def test_what_a_predecessor_finishes_is_neither_done_beside_it_nor_asked_about(name: str) -> None:
    @in_virtual_time
    async def scene() -> None:
        world = World()
        async with world.job() as job:
            one = await job.ask(name)
            world.outcomes = [5.0]
            await job.decide("ada", one, "approve")
            async with taking_over(world) as (after, new):
                job.approvals.stop()
                await asyncio.sleep(4)
                assert after.state(one) is State.STARTED
                own = await new.ask("post", "own", "grace")
                await new.decide("grace", own, "approve")
                assert after.state(own) is State.DONE
                await asyncio.sleep(4)
                inherit(world, after, new)
                await asyncio.sleep(2)
                assert after.state(one) is State.DONE
                assert world.received == {one: 1, own: 1}

    scene()


@in_virtual_time
async def test_what_a_predecessor_leaves_undone_is_done_once_it_has_left() -> None:
    world = World()
    async with world.job() as job:
        one = await job.ask("send")
        job.approvals.stop()
        async with taking_over(world) as (after, new):
            await asyncio.sleep(1)
            await new.decide("ada", one, "approve")
            await asyncio.sleep(5)
            assert after.state(one) is State.APPROVED
            inherit(world, after, new)
            await asyncio.sleep(2)
            assert (after.state(one), world.received) == (State.DONE, {one: 1})
