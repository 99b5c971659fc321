"""The tools as the assistant's model sees them, and what is refused of its calls."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from livekit.agents import AgentSession, llm

from agents.approvals.approvals import Approvals
from agents.approvals.calls import MOST_ASKED, Asked, Pending, Refused, ToolCall
from agents.assistant.session import Conversation
from agents.assistant.tool_calls import APPROVAL_FROM, LONGEST_NAME, REFUSED, ToolCalls
from agents.tools.tool import Tool, ToolContext
from agents.tools.toolbox import Toolbox
from pipelines.post_meeting.llm_settings import LLMSettings

ROOM = 3_000


async def nothing(_context: ToolContext, _arguments: Any) -> None:
    """Do nothing."""


def made(name: str, schema: Mapping[str, Any] | None = None, *, about: str = "") -> Tool:
    return Tool(
        name, about, {"type": "object"} if schema is None else schema, "idempotent", nothing
    )


class Unreadable(Tool):
    """What a server or a plugin may offer."""

    @property
    def schema(self) -> Mapping[str, Any]:
        raise TypeError


class NoProperties(Tool):
    """As the types of MCP let through."""

    @property
    def schema(self) -> Mapping[str, Any]:
        return {"type": "object", "properties": None}


@dataclass
class Office:
    """Tools and approvals: takes calls, lets nothing happen."""

    tools: Sequence[Tool] = (made("post"),)
    asked: list[ToolCall] = field(default_factory=list)
    refused: list[tuple[ToolCall, str]] = field(default_factory=list)
    fails: bool = False

    def list(self) -> Sequence[Tool]:
        return self.tools

    async def ask(self, call: ToolCall) -> Asked:
        if self.fails:
            raise AttributeError
        self.asked.append(call)
        return Pending(("1",), "It waits.")

    def refuse(self, call: ToolCall, reason: str) -> Refused:
        self.refused.append((call, reason))
        return Refused(reason)

    def calls(self) -> ToolCalls:
        calls = ToolCalls(cast("Toolbox", self), cast("Approvals", self), "agent:assistant")
        calls.asker, calls.reason = "ada", "Ada's question."
        return calls


def offered(calls: ToolCalls, room: int = ROOM) -> dict[str, llm.RawFunctionTool[..., Any]]:
    """Return by name what the model may call."""
    tools = [one for one in calls.offer(room) if isinstance(one, llm.RawFunctionTool)]
    return {one.id: one for one in tools if one.id != REFUSED}


async def called(tool: llm.RawFunctionTool[..., Any], **arguments: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(await tool(raw_arguments=arguments))
    return told


async def test_each_tool_has_a_name_of_its_own_that_openai_takes() -> None:
    long = "server." + "x" * 100
    names = ["a.b", "a__b", "a_.b", "a._b", "plain", REFUSED, f"{long}1", f"{long}2"]
    office = Office([made(name) for name in names])
    tools = offered(office.calls())
    assert len(tools) == len(names)
    assert {"a__b", "plain"} <= tools.keys()
    assert all(len(name) <= LONGEST_NAME and "." not in name for name in tools)
    for tool in tools.values():
        await called(tool)
    assert [call.tool for call in office.asked] == names


def test_tools_take_no_more_than_the_room_they_are_given(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    big = [made(f"big{n}", about="many words " * 300) for n in range(5)]
    calls = Office([*big, made("small")]).calls()
    for _ in range(2):
        names = offered(calls)
    assert "small" in names
    assert 0 < len(names) - 1 < len(big)
    (told,) = caplog.records  # Once, not at each question.
    assert vars(told)["left_out"] == len(big) + 1 - len(names)


async def test_a_tool_whose_schema_is_none_harms_no_other() -> None:
    odd = NoProperties("odd", "", {}, "idempotent", nothing)
    office = Office([Unreadable("broken", "", {}, "none", nothing), odd, made("post")])
    tools = offered(office.calls())
    assert list(tools) == ["odd", "post"]
    assert (await called(tools["odd"]))["status"] == "pending"


async def test_a_call_that_could_not_be_asked_about_is_in_the_audit_trail() -> None:
    office = Office(fails=True)
    assert (await called(offered(office.calls())["post"], text="x"))["status"] == "refused"
    ((call, reason),) = office.refused
    assert (call.arguments, reason) == ({"text": "x"}, "it could not be asked for")


async def test_a_model_that_names_a_crowd_is_refused_in_one_line() -> None:
    office = Office()
    tool = offered(office.calls())["post"]
    told = await called(tool, **{APPROVAL_FROM: [f"{n} {'x' * 1_000}" for n in range(4_000)]})
    assert told["status"] == "refused"
    assert not office.asked
    ((call, _),) = office.refused
    assert len(call.to) == MOST_ASKED
    assert sum(map(len, call.to)) < 10_000


async def test_a_call_that_comes_late_is_not_put_to_the_next_who_asks() -> None:
    office = Office()
    calls = office.calls()
    hers = offered(calls)["post"]
    calls.end()
    calls.asker = "bob"
    his = offered(calls)["post"]
    assert (await called(hers))["status"] == "refused"
    assert (await called(his))["status"] == "pending"
    assert [call.to for call in office.asked] == [("bob",)]
    assert [(call.to, why) for call, why in office.refused] == [(("ada",), "the question is over")]


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_what_json_does_not_have_is_no_call(number: str) -> None:
    office = Office()
    calls = office.calls()
    offered(calls)
    call = llm.FunctionToolCall(name="post", arguments=f'{{"text": {number}}}', call_id="1")
    assert calls.readable(call, 0).name == REFUSED
    assert len(office.refused) == 1


async def test_a_session_that_cant_begin_leaves_no_client_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Model(llm.LLM[Any]):
        closed = 0

        def chat(self, **_: Any) -> Any:
            raise NotImplementedError

        async def aclose(self) -> None:
            self.closed += 1

    async def start(*_: Any, **__: Any) -> None:
        await asyncio.sleep(0)
        raise RuntimeError

    monkeypatch.setattr(AgentSession, "start", start)
    model = Model()
    talk = Conversation(model, Office().calls(), instructions="", settings=LLMSettings())
    with pytest.raises(RuntimeError):
        async with talk:
            pass
    assert model.closed == 1
