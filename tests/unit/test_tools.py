"""What a tool is, how its arguments are checked, and what a run of it comes to."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import urllib.request
from datetime import date
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from agents.tools.effects import Effects
from agents.tools.registry import GROUP, load_tools
from agents.tools.tool import MAX_SIZE, Tool, ToolContext, tool
from agents.tools.toolbox import AT_ONCE, Toolbox
from pipelines.errors import (
    InvalidArgumentsError,
    PluginError,
    ToolError,
    UnknownOutcomeError,
    UnknownToolError,
)
from pipelines.events import ChatReceived
from pipelines.settings import Settings
from pipelines.tool_settings import ToolSettings
from tests.unit.tool_room import Context
from tests.unit.virtual_time import in_virtual_time


@tool(effects="none")
async def remind(
    context: ToolContext,
    *,
    what: Annotated[str, Field(max_length=20)],
    due: date,
    times: int = 1,
) -> str:
    """Remind of something.

    Args:
        context: Not an argument.
        what: Neither a part of the description.
        due: Likewise.
        times: Likewise.
    """
    return f"{context.asked_by} {what} {due.year} {times}"


GUIDE = Path(__file__).resolve().parents[2] / "docs/tools.md"

TWICE = [remind, remind]
NO_TOOL = [3]
DOTTED = Tool("server.tool", "", {"type": "object"}, "none", remind.run)


def given(settings: Settings) -> Tool:
    """Give a tool that depends on settings, as an entry point may."""
    return Tool("named", settings.display_name, {"type": "object"}, "none", remind.run)


def entry(attribute: str) -> EntryPoint:
    return EntryPoint(attribute.lower(), f"{__name__}:{attribute}", GROUP)


def raising(error: Exception, effects: Effects) -> Toolbox:
    async def run(_: ToolContext, __: Any) -> None:
        raise error

    return Toolbox([Tool("one", "", {"type": "object"}, effects, run)], ToolSettings())


async def returning(value: Any) -> Any:
    async def run(_: ToolContext, __: Any) -> Any:
        return value

    toolbox = Toolbox([Tool("one", "", {"type": "object"}, "idempotent", run)], ToolSettings())
    return await toolbox.execute("one", {}, Context())


def test_the_schema_is_the_functions_signature_and_the_description_its_docstring() -> None:
    assert remind.name == "remind"
    assert remind.description == "Remind of something."
    assert remind.schema["required"] == ["what", "due"]
    assert remind.schema["properties"]["due"] == {
        "format": "date",
        "title": "Due",
        "type": "string",
    }
    assert remind.schema["additionalProperties"] is False


async def test_a_tool_gets_typed_arguments_of_what_was_kept_as_json() -> None:
    kept = json.loads(json.dumps(remind.validate({"what": "tea", "due": "2026-01-05"})))
    assert kept == {"what": "tea", "due": "2026-01-05", "times": 1}
    assert await remind.call(Context(), kept) == "ada tea 2026 1"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"what": "tea"}, "due"),
        ({"what": "tea", "due": "soon"}, "due"),
        ({"what": "tea", "due": "2026-01-05", "times": "2"}, "times"),
        ({"what": "secret " * 9, "due": "2026-01-05"}, "what"),
        ({"what": "tea", "due": "2026-01-05", "approved": True}, "approved"),
        ({"what": "x" * MAX_SIZE, "due": "2026-01-05"}, "the arguments are"),
        ({"what": float("nan")}, "no JSON object"),
    ],
)
def test_arguments_that_do_not_follow_the_schema_are_refused_by_the_fields_name(
    arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidArgumentsError, match=field) as refused:
        remind.validate(arguments)
    assert "secret" not in str(refused.value)


def test_arguments_of_an_mcp_tool_are_checked_by_its_json_schema() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    one = Tool("s.t", "", schema, "none", remind.run)
    assert one.validate({"n": 3}) == {"n": 3}
    with pytest.raises(InvalidArgumentsError, match="n: must follow the schema's type"):
        one.validate({"n": "secret"})


def test_a_schema_that_names_an_address_makes_nobody_fetch_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetched: list[object] = []
    monkeypatch.setattr(urllib.request, "urlopen", fetched.append)
    one = Tool("s.t", "", {"$ref": "http://127.0.0.1:9/schema.json"}, "none", remind.run)
    with pytest.raises(InvalidArgumentsError, match="refers to another"):
        one.validate({})
    assert fetched == []


def test_a_servers_pattern_is_the_servers_to_try() -> None:
    endless = "^(a+)+$"  # It takes Python's `re` longer than anybody waits.
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"a": {"pattern": endless}, "again": {"$ref": "#"}},
        "patternProperties": {endless: {"pattern": endless}},
        "additionalProperties": False,
    }
    value = "a" * 60 + "b"
    arguments = {"a": value, value: value, "again": {"a": value}}
    assert Tool("s.t", "", schema, "none", remind.run).validate(arguments) == arguments


def test_a_schema_that_refers_to_itself_is_no_reason_to_fail() -> None:
    one = Tool("s.t", "", {"$ref": "#"}, "none", remind.run)
    with pytest.raises(InvalidArgumentsError, match="refers to itself"):
        one.validate({})


def test_a_schema_is_built_once_however_often_it_is_shown() -> None:
    assert remind.schema is remind.schema


def test_a_function_that_can_be_no_tool_is_refused_when_it_is_made() -> None:
    def now(context: ToolContext) -> None: ...

    async def untyped(context: ToolContext, what) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001 - the case

    with pytest.raises(TypeError, match="must be an async function"):
        tool(effects="none")(now)  # type: ignore[arg-type] # the case
    with pytest.raises(TypeError, match="'what' needs a type"):
        tool(effects="none")(untyped)


@pytest.mark.parametrize(
    ("effects", "error", "told"),
    [
        ("none", RuntimeError("secret"), ToolError),
        ("idempotent", RuntimeError("secret"), UnknownOutcomeError),
        ("at_most_once", TimeoutError(), UnknownOutcomeError),
        ("at_most_once", ToolError("the door is shut"), ToolError),
        ("at_most_once", UnknownOutcomeError("no answer"), UnknownOutcomeError),
    ],
)
async def test_a_tool_that_fails_did_nothing_only_if_it_says_so(
    effects: Effects, error: Exception, told: type[Exception]
) -> None:
    with pytest.raises(told) as caught:
        await raising(error, effects).execute("one", {}, Context())
    assert type(caught.value) is told
    assert "secret" not in str(caught.value)


@in_virtual_time
async def test_a_tool_that_hangs_is_given_up_after_its_own_time() -> None:
    async def run(_: ToolContext, __: Any) -> None:
        await asyncio.Event().wait()

    patient = Tool(
        "one", "", {"type": "object"}, "at_most_once", run, timeout=90, isolation="inline"
    )
    began = asyncio.get_running_loop().time()
    with pytest.raises(UnknownOutcomeError, match="no answer in 90 s"):
        await Toolbox([patient], ToolSettings(tool_timeout=5)).execute("one", {}, Context())
    assert asyncio.get_running_loop().time() - began == pytest.approx(90, abs=1)


async def test_a_result_that_can_not_be_kept_is_left_out_and_the_tool_has_run() -> None:
    assert await returning({"a": (1, 2)}) == {"a": [1, 2]}
    assert "omitted" in await returning("x" * MAX_SIZE)
    assert "omitted" in await returning(object())


async def test_what_the_operator_does_not_allow_is_not_there() -> None:
    other = Tool("other", "", {"type": "object"}, "none", remind.run)
    toolbox = Toolbox([remind, other], ToolSettings(allowed_tools=("other", "search.*")))
    assert [one.name for one in toolbox.list()] == ["other"]
    with pytest.raises(UnknownToolError):
        toolbox.validate("remind", {})
    with pytest.raises(UnknownToolError):
        await toolbox.execute("remind", {}, Context())


async def test_the_guides_tool_is_one() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    written: dict[str, Any] = {}
    exec(compile(code, str(GUIDE), "exec"), written)
    arguments = written["open_ticket"].validate({"title": "Broken"})
    assert await written["open_ticket"].call(Context(), arguments) == {"ticket": "k1"}


def test_the_built_in_tools_come_through_the_same_door_as_others(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, display_name="Clerk")
    assert {
        "create_calendar_event": "idempotent",
        "note_action_item": "idempotent",
        "post_to_chat": "at_most_once",
        "run_poll": "at_most_once",
        "search_transcript": "none",
    }.items() <= {one.name: one.effects for one in load_tools(settings)}.items()
    (named,) = load_tools(settings, [entry("given")])
    assert named.description == "Clerk"


@pytest.mark.parametrize(
    ("attribute", "problem"),
    [
        ("TWICE", "two tools are named 'remind'"),
        ("NO_TOOL", "is no Tool"),
        ("MISSING", "AttributeError"),
        ("DOTTED", "an MCP server's"),
    ],
)
def test_what_is_wrong_with_an_installed_tool_is_one_error(attribute: str, problem: str) -> None:
    with pytest.raises(PluginError, match=problem):
        load_tools(Settings(), [entry(attribute)])


async def test_a_tool_that_blocks_its_thread_blocks_nobody_and_is_given_up() -> None:
    freed, ended = threading.Event(), threading.Event()

    async def run(context: ToolContext, _: Any) -> None:
        freed.wait()
        try:
            await context.post_chat("too late")
        finally:
            ended.set()

    context = Context()
    blocking = Tool("one", "", {"type": "object"}, "at_most_once", run, timeout=0.2)
    with pytest.raises(UnknownOutcomeError):
        await Toolbox([blocking], ToolSettings()).execute("one", {}, context)
    freed.set()
    assert await asyncio.to_thread(ended.wait, 10)
    await asyncio.sleep(0)
    assert context.posted == []


async def test_a_tool_has_so_many_threads_and_no_more_until_one_ends() -> None:
    freed = threading.Event()
    begun: list[None] = []

    async def run(_: ToolContext, __: Any) -> str:
        begun.append(None)
        freed.wait()
        return "done"

    blocking = Tool("one", "", {"type": "object"}, "none", run, timeout=0.3)
    toolbox = Toolbox([blocking], ToolSettings())
    calls = [toolbox.execute("one", {}, Context()) for _ in range(AT_ONCE)]
    assert all(
        isinstance(one, ToolError) for one in await asyncio.gather(*calls, return_exceptions=True)
    )
    with pytest.raises(ToolError, match="busy"):
        await toolbox.execute("one", {}, Context())
    assert len(begun) == AT_ONCE
    freed.set()
    async with asyncio.timeout(10):
        for _ in range(AT_ONCE + 1):
            assert await toolbox.execute("one", {}, Context()) == "done"


async def test_a_tool_on_its_thread_reads_the_chat_and_writes_in_it() -> None:
    async def run(context: ToolContext, _: Any) -> dict[str, Any]:
        assert threading.current_thread() is not threading.main_thread()
        messages = context.chat()
        await context.post_chat("Who?")
        async for message in messages:
            await context.note("answer", {"text": message.text})
            break
        return {"said": len(await context.said()), "here": len(context.participants())}

    context = Context()
    context.inbox.put(ChatReceived(0.0, "ada", "me"))
    toolbox = Toolbox([Tool("one", "", {"type": "object"}, "none", run)], ToolSettings())
    assert await toolbox.execute("one", {}, context) == {"said": 0, "here": 2}
    assert (context.posted, context.notes) == (["Who?"], [("answer", {"text": "me"})])
