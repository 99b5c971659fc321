"""The tools of one meeting: the installed ones, and those of MCP servers while they answer."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from agents.tools.thread import call_in_thread
from agents.tools.tool import MAX_SIZE, Tool, ToolContext
from pipelines.errors import ToolError, UnknownOutcomeError, UnknownToolError
from pipelines.tool_settings import ToolSettings

if TYPE_CHECKING:
    from agents.tools.mcp_servers import McpConnection

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
"""Runs of one tool at the same time; one that was given up counts until its thread ends."""


class Toolbox:
    """Finds, checks and runs tools.

    Args:
        tools: The installed ones; see :func:`agents.tools.registry.load_tools`.
        settings: Which are allowed, where the MCP servers are, how long a tool may take.
    """

    def __init__(self, tools: Iterable[Tool], settings: ToolSettings) -> None:
        self._tools = {tool.name: tool for tool in tools if settings.allows_tool(tool.name)}
        self._settings = settings
        self._servers: list[McpConnection] = []
        self._free: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(AT_ONCE)
        )

    def get(self, name: str) -> Tool | None:
        """Return the tool of that name, or None."""
        return next((tool for tool in self.list() if tool.name == name), None)

    def list(self) -> list[Tool]:
        """Return every tool there is now, in order of their names."""
        found = dict(self._tools)
        for server in self._servers:
            found |= {one.name: one for one in server.tools if self._settings.allows_tool(one.name)}
        return [found[name] for name in sorted(found)]

    def validate(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments as they are kept and shown.

        Raises:
            UnknownToolError: There is no such tool now.
            InvalidArgumentsError: They do not follow its schema.
        """
        return self._tool(name).validate(arguments)

    async def execute(self, name: str, arguments: Mapping[str, Any], context: ToolContext) -> Any:
        """Run a tool once and return its result, a JSON value of at most 32 KB.

        Args:
            name: The tool.
            arguments: As :meth:`validate` returned them.
            context: With the key of the approved call.

        Raises:
            ToolError: It did not happen, such as where the tool has had too much to do for as
                long as it may take; the sentence is for people.
            UnknownOutcomeError: It may have happened.
        """
        tool = self._tool(name)
        seconds = tool.timeout or self._settings.tool_timeout
        await self._place(tool, seconds)
        try:
            async with asyncio.timeout(seconds):
                result = await self._run(tool, context, arguments)
        except (ToolError, UnknownOutcomeError):
            raise
        except TimeoutError:
            raise _no_result(tool, f"{name} gave no answer in {seconds:g} s") from None
        except Exception as error:
            # A tool may raise anything, and its text may quote what was said.
            log.warning("tool failed", extra={"tool": name, "cause": type(error).__name__})
            raise _no_result(tool, f"{name} failed ({type(error).__name__})") from error
        return _json_of(tool, result)

    async def run(self) -> None:
        """Hold the connections to the MCP servers until it is cancelled."""
        if not self._settings.mcp_servers:
            return
        self._servers = await asyncio.to_thread(_connections, self._settings)
        async with asyncio.TaskGroup() as tasks:
            for server in self._servers:
                tasks.create_task(server.run(), name=f"mcp {server.name}")

    async def _place(self, tool: Tool, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._free[tool.name].acquire()
        except TimeoutError:
            raise ToolError(f"{tool.name} is busy; try again later") from None

    async def _run(self, tool: Tool, context: ToolContext, arguments: Mapping[str, Any]) -> Any:
        """Run a tool in the place that was taken for it."""
        release = self._free[tool.name].release
        if tool.isolation == "thread":
            return await call_in_thread(tool, context, arguments, ended=release)
        try:
            return await tool.call(context, arguments)
        finally:
            release()

    def _tool(self, name: str) -> Tool:
        if (tool := self.get(name)) is None:
            raise UnknownToolError(f"there is no tool {name[:64]!r}")
        return tool


def _connections(settings: ToolSettings) -> list[McpConnection]:
    # MCP's library takes 18 MB and most of a second: who names no server pays neither.
    from agents.tools.mcp_servers import McpConnection  # noqa: PLC0415

    return [McpConnection(one, timeout=settings.tool_timeout) for one in settings.mcp_servers]


def _no_result(tool: Tool, sentence: str) -> ToolError | UnknownOutcomeError:
    if tool.effects == "none":
        return ToolError(sentence)
    return UnknownOutcomeError(sentence)


def _json_of(tool: Tool, result: Any) -> Any:
    """Return the result as JSON has it; what was done is done, so a wrong one is no failure."""
    with suppress(TypeError, ValueError, RecursionError):
        text = json.dumps(result, allow_nan=False)
        if len(text) <= MAX_SIZE:
            return json.loads(text)
    log.warning("tool's result can't be kept", extra={"tool": tool.name})
    return {"omitted": f"the result is no JSON value of at most {MAX_SIZE} bytes"}
