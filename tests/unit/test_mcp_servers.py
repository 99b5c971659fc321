"""What an MCP server may do to us: a real one of MCP's library, in this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from mcp.server.lowlevel import Server
from mcp.shared.memory import MessageStream, create_client_server_memory_streams
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    TextContent,
    Tool,
    ToolAnnotations,
)

from agents import shutdown
from agents.tools import mcp_servers
from agents.tools.toolbox import Toolbox
from pipelines.errors import ToolError, UnknownOutcomeError
from pipelines.mcp_address import McpAddress
from pipelines.tool_settings import ToolSettings
from tests.unit.tool_room import Context

ADDRESS = McpAddress("web", "https://h.example.org/mcp")
ANY: dict[str, Any] = {"type": "object"}


@dataclass
class InProcess:
    """Stands in for livekit-agents' transports."""

    server: Server[Any]
    leave: Callable[[], Any]
    """Awaited when the connection is closed."""

    @asynccontextmanager
    async def client_streams(self) -> AsyncIterator[MessageStream]:
        async with create_client_server_memory_streams() as (ours, theirs):
            serving = asyncio.create_task(
                self.server.run(*theirs, self.server.create_initialization_options())
            )
            try:
                yield ours
            finally:
                await self.leave()
                serving.cancel()


def served(*tools: Tool, result: CallToolResult | None = None) -> Server[Any]:
    async def list_tools(*_: object) -> ListToolsResult:
        return ListToolsResult(tools=list(tools))

    async def call_tool(_: object, params: CallToolRequestParams) -> CallToolResult:
        assert result, params.name
        return result

    return Server("in-process", on_list_tools=list_tools, on_call_tool=call_tool)


async def at_once() -> None: ...


@asynccontextmanager
async def connected(
    monkeypatch: pytest.MonkeyPatch, server: Server[Any], leave: Callable[[], Any] = at_once
) -> AsyncIterator[tuple[Toolbox, asyncio.Task[None]]]:
    monkeypatch.setattr(mcp_servers, "_server", lambda _: InProcess(server, leave))
    toolbox = Toolbox([], ToolSettings(mcp_servers=(ADDRESS,), tool_timeout=5))
    running = asyncio.create_task(toolbox.run())
    try:
        async with asyncio.timeout(30):
            while not toolbox.list():  # noqa: ASYNC110 - nobody tells when a server is there
                await asyncio.sleep(0.01)
        yield toolbox, running
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_a_server_that_hangs_at_the_end_is_left_in_time_and_its_tools_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutdown, "CLOSE_TOOLS", 0.2)
    leaves = asyncio.Event()

    async def hang() -> None:
        leaves.set()
        await asyncio.sleep(30)

    one = Tool(name="one", input_schema=ANY)
    async with connected(monkeypatch, served(one), hang) as (toolbox, running):
        running.cancel()
        await leaves.wait()
        assert toolbox.list() == []
        ended, _ = await asyncio.wait({running}, timeout=10)
        assert running in ended


@pytest.mark.parametrize(
    ("hints", "told"),
    [
        (ToolAnnotations(read_only_hint=True), ToolError),
        (ToolAnnotations(idempotent_hint=True), UnknownOutcomeError),
        (None, UnknownOutcomeError),
    ],
)
async def test_a_tool_that_tells_of_a_failure_may_have_done_half_of_it(
    monkeypatch: pytest.MonkeyPatch, hints: ToolAnnotations | None, told: type[Exception]
) -> None:
    failure = CallToolResult(content=[TextContent(type="text", text="no fish")], is_error=True)
    one = Tool(name="one", input_schema=ANY, annotations=hints)
    async with connected(monkeypatch, served(one, result=failure)) as (toolbox, _):
        with pytest.raises(told, match="no fish") as caught:
            await toolbox.execute("web.one", {}, Context())
        assert type(caught.value) is told


@pytest.mark.parametrize(
    "wrong", [{"type": "sting"}, {"pattern": "("}, {"type": "string", "minLength": "1"}]
)
async def test_a_tool_whose_arguments_nobody_can_check_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, wrong: dict[str, Any]
) -> None:
    schema = {**ANY, "properties": {"a": wrong}}
    tools = (Tool(name="bad", input_schema=schema), Tool(name="one", input_schema=ANY))
    async with connected(monkeypatch, served(*tools)) as (toolbox, _):
        assert [one.name for one in toolbox.list()] == ["web.one"]
    assert "web.bad" in str([record.__dict__.get("cause") for record in caplog.records])


@pytest.mark.parametrize(
    "name", ["mcp.client.stdio", "mcp.client.streamable_http", "mcp.client.sse", "client", "httpx2"]
)
def test_the_librarys_errors_which_quote_payloads_and_addresses_are_not_logged(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    failure = ValueError("input_value='secret'")
    logging.getLogger(name).error("Failed to parse JSONRPC message", exc_info=failure)
    assert "secret" not in caplog.text
