"""Dialogs in browsers, old ones too: one at a time, and again after a reload or a crash."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

from agents.approvals.approval import State
from agents.approvals.calls import Pending, ToolCall
from agents.approvals.showing import OLD_TIMEOUT
from agents.roles import Role
from pipelines.errors import UnknownOutcomeError
from pipelines.events import ParticipantJoined, ParticipantLeft
from tests.unit.approval_world import (
    TIMEOUT,
    Browser,
    World,
    unsupported,
)
from tests.unit.virtual_time import in_virtual_time


@in_virtual_time
async def test_one_dialog_at_a_time_for_each_person() -> None:
    world = World()
    async with world.job() as job:
        first, second = await job.ask(text="1"), await job.ask(text="2")
        hers = await job.ask("post", "3", "grace")
        await asyncio.sleep(10)
        assert world.shown == [("ada", first), ("grace", hers)]
        await job.decide("ada", first, "reject")
        assert world.shown[2:] == [("ada", second)]
        assert await job.listed("ada") == [second]
        assert await job.listed("grace", Role.MODERATOR) == [second, hers]
        assert await job.listed("ada", open_only=False) == [first, second]


@in_virtual_time
async def test_who_reloads_is_shown_it_again_and_has_no_more_time_for_it() -> None:
    world = World()
    async with world.job() as job:
        one = await job.ask()
        await asyncio.sleep(TIMEOUT / 2)
        job.approvals.receive(ParticipantLeft(0.0, "ada", "Ada"))
        job.approvals.receive(ParticipantJoined(0.0, "ada", "Ada"))
        await asyncio.sleep(0.01)
        assert world.shown == [("ada", one)] * 2
        await asyncio.sleep(TIMEOUT / 2 + 1)
        assert world.state(one) is State.EXPIRED


@in_virtual_time
async def test_a_dialog_that_could_not_be_shown_is_tried_again() -> None:
    world = World()
    failures = 2

    async def deaf(_method: str, _payload: str) -> str:
        nonlocal failures
        failures -= 1
        if not failures:
            del world.browsers["ada"]
        await asyncio.sleep(60)
        return ""

    world.browsers["ada"] = deaf
    async with world.job() as job:
        one = await job.ask()
        await asyncio.sleep(30)
        assert world.shown == [("ada", one)]


@in_virtual_time
async def test_after_a_crash_the_next_job_shows_what_is_open_and_gives_time_for_it() -> None:
    world = World()
    async with world.job() as job:
        one = await job.ask()
        await asyncio.sleep(0.75 * TIMEOUT)
    async with world.job() as job:
        assert world.shown == [("ada", one)] * 2
        await asyncio.sleep(0.75 * TIMEOUT)
        await job.decide("ada", one, "approve")
        assert world.received == {one: 1}


@in_virtual_time
async def test_a_question_nobody_answers_makes_room_and_comes_back_with_its_person() -> None:
    world = World()
    async with world.job() as job:
        one = await job.ask("send")
        world.outcomes = [UnknownOutcomeError("no answer")]
        await job.decide("ada", one, "approve")
        await asyncio.sleep(2)
        other = await job.ask("post", "other")
        assert world.shown == [("ada", one)] * 2
        await asyncio.sleep(TIMEOUT)
        assert world.shown[2:] == [("ada", other)]
        await job.decide("ada", other, "reject")
        await asyncio.sleep(10)
        assert world.shown[3:] == []
        job.approvals.receive(ParticipantJoined(0.0, "ada", "Ada"))
        await asyncio.sleep(0.01)
        assert world.shown[3:] == [("ada", one)]


def _old(*answers: str | float) -> tuple[Browser, list[dict[str, Any]]]:
    """Return a browser that knows MeetAI's call only, and what it was asked."""
    asked: list[dict[str, Any]] = []
    given: Iterator[str | float] = iter(answers)

    async def answer(method: str, payload: str) -> str:
        if method != "approveCalendarEvent":
            raise unsupported()
        asked.append(json.loads(payload))
        found = next(given)
        if isinstance(found, float):
            await asyncio.sleep(found)
            return '{"approved": true}'
        await asyncio.sleep(3)
        return found

    return answer, asked


def _silent() -> tuple[Browser, list[str]]:
    """Return a browser that knows no call of ours, and what it was called with."""
    called: list[str] = []

    async def answer(method: str, _payload: str) -> str:
        called.append(method)
        raise unsupported()

    return answer, called


@in_virtual_time
async def test_an_old_browser_answers_the_call_it_knows() -> None:
    world = World()
    answers = (
        '{"approved": true}',
        '{"approved": true, "modifiedPayload": {"title": "Other"}}',
        '{"approved": false, "reason": "busy"}',
        '{"approved": true, "modifiedPayload": {"name": "Other"}}',
        '{"approved": "maybe"}',
        3 * OLD_TIMEOUT,
    )
    world.browsers["ada"], asked = _old(*answers)
    async with world.job() as job:
        states = []
        for n, _ in enumerate(answers):
            call = ToolCall("create_calendar_event", {"title": f"{n}"}, asked_by="b", to=("ada",))
            pending = await job.approvals.ask(call)
            assert isinstance(pending, Pending)
            await asyncio.sleep(OLD_TIMEOUT + 5)
            states.append(world.state(pending.ids[0]))
        done, no = State.DONE, State.REJECTED
        assert states == [done, done, no, no, no, State.EXPIRED]
        assert world.said == ["0", "Other"]
        assert asked[0].pop("invokedAt") > 0
        assert asked[0] == {
            "meetingId": "m",
            "agentId": "agent-1",
            "type": "create_calendar_event",
            "targetParticipant": "Ada",
            "payload": {"title": "0"},
            "timeoutMs": 60_000,
        }
        await job.ask("post", "something else")
        await asyncio.sleep(30)
        assert len(asked) == len(answers)


@in_virtual_time
async def test_a_hidden_agent_has_the_browser_ask() -> None:
    world = World(hidden=True)
    async with world.job() as job:
        one = await job.ask()
        assert (one, "requested", ("ada",)) in world.told
        assert world.state(one) is State.REQUESTED
        assert await job.listed("ada") == [one]
        assert world.state(one) is State.SHOWN
        await job.decide("ada", one, "approve")
        assert world.received == {one: 1}


@in_virtual_time
async def test_an_old_browser_that_reloads_and_is_not_ready_at_once_has_the_dialog_again() -> None:
    world = World()
    asked: list[float] = []

    async def page(method: str, payload: str) -> str:
        if method == "approval.show" or (len(asked) == 1 and not ready):
            raise unsupported()
        asked.append(json.loads(payload)["timeoutMs"] / 1000)
        await asyncio.sleep(3 if ready else 1000)
        return '{"approved": true}'

    ready = False
    world.browsers["ada"] = page
    async with world.job() as job:
        call = ToolCall("create_calendar_event", {"title": "t"}, asked_by="b", to=("ada",))
        pending = await job.approvals.ask(call)
        assert isinstance(pending, Pending)
        await asyncio.sleep(40)
        job.approvals.receive(ParticipantLeft(0.0, "ada", "Ada"))
        job.approvals.receive(ParticipantJoined(0.0, "ada", "Ada"))
        await asyncio.sleep(32)
        ready = True
        await asyncio.sleep(10)
        assert world.state(pending.ids[0]) is State.DONE
        # No longer than the person has.
        first, again = asked
        assert first == OLD_TIMEOUT
        assert again < TIMEOUT - 70


@in_virtual_time
async def test_a_question_that_an_old_browser_can_not_show_keeps_nothing_back() -> None:
    world = World()
    world.browsers["ada"], asked = _old('{"approved": true}', '{"approved": true}')
    world.outcomes = [UnknownOutcomeError("no answer")] * 3
    async with world.job() as job:
        for title in ("one", "two"):
            call = ToolCall("create_calendar_event", {"title": title}, asked_by="b", to=("ada",))
            assert isinstance(await job.approvals.ask(call), Pending)
            await asyncio.sleep(30)
        assert [one["payload"] for one in asked] == [{"title": "one"}, {"title": "two"}]
        world.browsers["ada"], tried = _silent()
        await asyncio.sleep(60)
        assert tried == []


@in_virtual_time
async def test_what_a_browser_can_not_show_keeps_nothing_back() -> None:
    world = World()
    world.browsers["ada"], asked = _old('{"approved": true}')
    async with world.job() as job:
        await job.ask("post", "not for an old browser")
        call = ToolCall("create_calendar_event", {"title": "t"}, asked_by="bob", to=("ada",))
        assert isinstance(await job.approvals.ask(call), Pending)
        await asyncio.sleep(30)
        assert len(asked) == 1
