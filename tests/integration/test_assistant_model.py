"""The assistant's conversation with a server that speaks OpenAI's protocol, well and badly.

The server is real, and streams; tools and approvals are doubles, and there is no room.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from pydantic import SecretStr

from agents.approvals.approvals import Approvals
from agents.approvals.calls import Asked, Pending, Ran, Refused, ToolCall
from agents.assistant import session as session_module
from agents.assistant.model import open_model
from agents.assistant.session import Conversation, NoAnswerError
from agents.assistant.tool_calls import APPROVAL_FROM, MOST_CALLS, ToolCalls
from agents.tools.tool import Tool, ToolContext, tool
from agents.tools.toolbox import Toolbox
from pipelines.post_meeting.llm_settings import LLMSettings
from pipelines.testing import faults
from pipelines.testing.openai_protocol import Reply
from pipelines.testing.scripted_llm import ScriptedLLM

SECRET = "the merger is called Bluebird"


@tool(effects="none")
async def add(_context: ToolContext, *, a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool(effects="at_most_once")
async def send_letter(_context: ToolContext, *, to: str) -> None:
    """Send a letter."""


@dataclass
class Office:
    """Tools and approvals: takes calls, lets nothing happen."""

    tools: Sequence[Tool] = (add, send_letter)
    asked: list[ToolCall] = field(default_factory=list)
    refused: list[tuple[ToolCall, str]] = field(default_factory=list)

    def list(self) -> Sequence[Tool]:
        return self.tools

    async def ask(self, call: ToolCall) -> Asked:
        self.asked.append(call)
        if call.tool == "add":
            return Ran(call.arguments["a"] + call.arguments["b"])
        return Pending(("1",), "It waits for approval.")

    def refuse(self, call: ToolCall, reason: str) -> Refused:
        self.refused.append((call, reason))
        return Refused(reason)


class Model:
    """Answers in turn; ``seen`` has what it was asked."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.seen: list[Mapping[str, Any]] = []

    def __call__(self, body: Mapping[str, Any]) -> Reply:
        self.seen.append(body)
        return self.replies.pop(0) if self.replies else Reply("done")

    @property
    def results(self) -> list[dict[str, Any]]:
        """What it was told of its calls."""
        messages = self.seen[-1]["messages"]
        return [json.loads(one["content"]) for one in messages if one["role"] == "tool"]


@asynccontextmanager
async def talking(
    model: Model, office: Office, **settings: Any
) -> AsyncIterator[tuple[Conversation, ToolCalls, ScriptedLLM]]:
    calls = ToolCalls(cast("Toolbox", office), cast("Approvals", office), "assistant")
    calls.asker = "ada"
    async with ScriptedLLM(model) as server:
        asked = LLMSettings(llm_model="scripted", llm_base_url=server.url, **settings)
        opened = open_model(asked)
        assert opened
        async with Conversation(
            opened, calls, instructions="You are Iris.", settings=asked
        ) as conversation:
            yield conversation, calls, server


async def test_a_streamed_answer_is_put_together_and_the_conversation_goes_on() -> None:
    model = Model(Reply("Nine o'clock, in room 3."), Reply("Yes."))
    async with talking(model, Office()) as (conversation, _, _):
        assert await conversation.answer("Ada (ada): when?") == "Nine o'clock, in room 3."
        assert await conversation.answer("Ada (ada): sure?") == "Yes."
    said = [(one["role"], one["content"]) for one in model.seen[1]["messages"]]
    assert said == [
        ("system", "You are Iris."),
        ("user", "Ada (ada): when?"),
        ("assistant", "Nine o'clock, in room 3."),
        ("user", "Ada (ada): sure?"),
    ]
    assert model.seen[0]["stream"] is True


async def test_a_streamed_call_of_a_tool_runs_and_the_model_is_told_its_result() -> None:
    model = Model(Reply(tools=[("add", {"a": 2, "b": 3})]), Reply("Five."))
    office = Office()
    async with talking(model, office) as (conversation, _, _):
        assert await conversation.answer("Ada (ada): 2 + 3?") == "Five."
    assert model.results == [{"status": "done", "result": 5}]
    assert office.asked == [ToolCall("add", {"a": 2, "b": 3}, asked_by="assistant", to=("ada",))]


async def test_a_call_with_effects_is_asked_of_who_asks_or_of_whom_the_model_names() -> None:
    letter = {"to": "Zoe"}
    named = {**letter, APPROVAL_FROM: ["Bob", "Cleo"]}
    model = Model(Reply(tools=[("send_letter", letter), ("send_letter", named)]), Reply("Asked."))
    office = Office()
    async with talking(model, office) as (conversation, _, _):
        assert await conversation.answer("Ada (ada): write to Zoe") == "Asked."
    assert model.results == [{"status": "pending", "note": "It waits for approval."}] * 2
    assert [(call.arguments, call.to) for call in office.asked] == [
        (letter, ("ada",)),
        (letter, ("Bob", "Cleo")),
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("add", '{"a": 1, "b": ', "the arguments must be a JSON object"),
        ("add", f'["{SECRET}"]', "the arguments must be a JSON object"),
        ("add", json.dumps({"a": "x" * 40_000}), "the arguments must be a JSON object"),
        ("approval.resolve", '{"id": "1", "decision": "approve"}', "there is no such tool"),
        (SECRET, "{}", "there is no such tool; there are add, send_letter"),
    ],
    ids=["malformed", "no object", "too long", "not a tool", "no tool's name"],
)
async def test_a_call_that_cannot_be_read_is_refused_kept_and_answered(
    name: str, arguments: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    model = Model(Reply(tools=[(name, arguments)]), Reply("I can't."))
    office = Office()
    async with talking(model, office) as (conversation, _, _):
        assert await conversation.answer("Ada (ada): do it") == "I can't."
    assert not office.asked
    ((call, reason),) = office.refused
    assert call.tool == name
    assert reason.startswith(why)
    assert model.results == [{"status": "refused", "reason": reason}]
    assert all(SECRET not in str(vars(record)) for record in caplog.records)


async def test_what_one_answer_calls_is_bounded() -> None:
    model = Model(Reply(tools=[("add", {"a": 1, "b": n}) for n in range(MOST_CALLS + 2)]))
    office = Office()
    async with talking(model, office) as (conversation, _, _):
        await conversation.answer("Ada (ada): count")
    assert len(office.asked) == MOST_CALLS
    assert len(office.refused) == 2


async def test_a_model_that_only_calls_tools_comes_to_an_end() -> None:
    model = Model(*[Reply(tools=[("add", {"a": 1, "b": n})]) for n in range(100)])
    async with talking(model, Office()) as (conversation, _, _):
        with pytest.raises(NoAnswerError):
            await conversation.answer("Ada (ada): go on")
    assert len(model.seen) <= session_module.MOST_STEPS + 2  # The last one may call none.


async def test_news_are_told_and_call_no_tool() -> None:
    model = Model(Reply("Bob said no.", tools=[("send_letter", {"to": "Zoe"})]))
    office = Office()
    async with talking(model, office) as (conversation, _, _):
        assert await conversation.tell("Bob said no to it.") == "Bob said no."
    assert not office.asked
    assert not office.refused
    assert "tools" not in model.seen[0]


async def test_only_the_tools_that_the_room_allows_are_offered() -> None:
    model = Model(Reply(tools=[("send_letter", {"to": "Zoe"})]))
    office = Office()
    async with talking(model, office) as (conversation, calls, _):
        calls.only = ("add",)
        await conversation.answer("Ada (ada): write to Zoe")
    assert [one["function"]["name"] for one in model.seen[0]["tools"]] == ["add"]
    assert not office.asked


async def test_a_tools_name_that_openai_does_not_take_is_put_in_other_letters() -> None:
    dotted = Tool("notes.add", "Notes.", {"type": "object"}, "idempotent", send_letter.run)
    model = Model(Reply(tools=[("notes__add", {})]))
    office = Office(tools=(dotted,))
    async with talking(model, office) as (conversation, _, _):
        await conversation.answer("Ada (ada): note it")
    assert [call.tool for call in office.asked] == ["notes.add"]


async def test_a_refusal_is_no_answer_and_the_next_question_has_one() -> None:
    model = Model(Reply(refusal="I won't."), Reply("Of course."))
    async with talking(model, Office()) as (conversation, _, _):
        with pytest.raises(NoAnswerError, match="I have no answer"):
            await conversation.answer("Ada (ada): something bad")
        assert await conversation.answer("Ada (ada): something good") == "Of course."


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (faults.busy(), "too busy at the moment"),
        (faults.HANG, "does not answer at the moment"),
        (faults.REFUSE, "can't be reached"),
        (faults.UNAVAILABLE, "can't be reached"),
        (faults.WRONG_KEY, "refuses my question"),
        (faults.GARBAGE, "no answer"),
    ],
    ids=lambda it: f"{it.kind} {it.status}" if isinstance(it, faults.Fault) else "",
)
async def test_a_server_in_trouble_is_told_in_words_and_the_next_question_is_answered(
    fault: faults.Fault, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    model = Model(Reply("one two three four five six"))
    settings = {"llm_timeout": 0.5, "llm_retries": 0, "llm_api_key": SecretStr("sk-secret-key")}
    async with talking(model, Office(), **settings) as (conversation, _, server):
        for _ in range(5):  # Of LiveKit's own, the fourth ends the session.
            server.faults.add(1, fault)
            with pytest.raises(NoAnswerError, match=problem):
                await conversation.answer(f"Ada (ada): {SECRET}")
        model.replies = [Reply("Here I am.")]
        assert await conversation.answer("Ada (ada): and now?") == "Here I am."
    logged = "".join(str(vars(record)) for record in caplog.records)
    assert SECRET not in logged
    assert "sk-secret" not in logged
    assert "told to fail" not in logged  # The server's words, which may quote either.


async def test_an_answer_that_breaks_off_says_so() -> None:
    model = Model(Reply("one two three four"))
    async with talking(model, Office()) as (conversation, _, server):
        server.faults.add(1, faults.cut(3))
        answer = await conversation.answer("Ada (ada): count")
    assert answer.startswith("one two …\nMy language model can't be reached")


async def test_a_server_that_puts_us_off_is_asked_again_when_it_says() -> None:
    model = Model(Reply("At last."))
    async with talking(model, Office()) as (conversation, _, server):
        server.faults.add(1, faults.busy(retry_after=0.1))
        assert await conversation.answer("Ada (ada): now?") == "At last."


async def test_an_answer_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "ANSWER_WITHIN", 0.5)
    model = Model(Reply("Soon."))
    async with talking(model, Office()) as (conversation, _, server):
        server.faults.add(1, faults.slow(5.0))
        with pytest.raises(NoAnswerError, match="takes too long"):
            await conversation.answer("Ada (ada): hurry")
        assert await conversation.answer("Ada (ada): now?") == "Soon."


async def test_a_long_conversation_is_cut_to_what_the_model_reads() -> None:
    model = Model(*[Reply("A " + "long " * 400) for _ in range(12)])
    limits = {"llm_context_tokens": 4000, "llm_answer_tokens": 500}
    async with talking(model, Office(), **limits) as (conversation, _, _):
        for number in range(12):
            await conversation.answer(f"Ada (ada): question {number}")
    last = model.seen[-1]["messages"]
    assert last[0] == {"role": "system", "content": "You are Iris."}
    assert last[-1]["content"] == "Ada (ada): question 11"
    assert 3 < len(last) < 20
    assert sum(len(str(one["content"]).split()) for one in last) < 3500
