"""Who wants an approval: a participant by identity or an agent by name, and never both in one."""

from __future__ import annotations

import asyncio

import pytest

from agents.approvals.approval import Approval
from agents.approvals.calls import MOST_ASKED, Refused, ToolCall, by_agent, by_participant
from tests.unit.approval_world import World
from tests.unit.virtual_time import in_virtual_time


def test_no_identity_is_called_as_an_agent_is_or_as_another_is() -> None:
    identities = ["ada", "assistant", "agent:x", "participant:agent:x", "participant:ada"]
    called = [by_participant(one) for one in identities]
    assert called[:2] == ["ada", "assistant"]
    assert len({*called, by_agent("assistant"), by_agent("x")}) == len(identities) + 2


@pytest.mark.parametrize("identity", ["assistant", "agent:assistant"])
def test_who_has_an_agents_name_has_none_of_its_approvals(identity: str) -> None:
    @in_virtual_time
    async def scene() -> None:
        world = World()
        world.people[identity] = "Eve"
        async with world.job() as job:
            news: list[Approval] = []
            job.approvals.watch(by_agent("assistant"), news.append)
            one = await job.ask(by=by_agent("assistant"))
            assert await job.listed(identity) == []
            assert await job.listed("ada") == [one]
            own = await job.ask(text="own", by=by_participant(identity))
            assert await job.listed(identity) == [own]
            await job.decide("ada", one, "reject")
            await job.decide("ada", own, "reject")
            assert {told for told, _, to in world.told if identity in to} == {own}
            assert {told.id for told in news} == {one}

    scene()


@in_virtual_time
async def test_a_crowd_is_not_asked_and_that_is_one_line() -> None:
    world = World()
    async with world.job() as job:
        names = ("ada",) * (MOST_ASKED + 1)
        call = ToolCall("post", {"text": "x"}, asked_by="bob", to=names)
        assert isinstance(await job.approvals.ask(call), Refused)
        assert len(world.audit("refused")) == 1
        assert world.audit("requested") == []


@in_virtual_time
async def test_what_is_no_json_is_refused_and_kept_as_text() -> None:
    world = World()
    async with world.job() as job:
        call = ToolCall("post", {"text": float("nan")}, asked_by="bob", to=("ada",))
        assert isinstance(await job.approvals.ask(call), Refused)
        await asyncio.sleep(0.01)
        assert [one["arguments"] for one in world.audit("refused")] == [{"cut": '{"text": NaN}'}]
