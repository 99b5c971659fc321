"""Tools of an MCP server that the operator named, for as long as it answers.

The transports are livekit-agents'; the session is MCP's own, because livekit-agents' tools do not
tell what a server says of its tools' effects. Those words (``readOnlyHint``) are believed: the
operator has chosen the server.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, cast

import mcp.types
from livekit.agents.llm.mcp import MCPServer, MCPServerHTTP, MCPServerStdio
from mcp import ClientSession, MCPError
from yarl import URL

from agents import shutdown
from agents.tools.effects import Effects
from agents.tools.tool import Tool, ToolContext
from pipelines.errors import ToolError, UnknownOutcomeError
from pipelines.mcp_address import McpAddress

log = logging.getLogger(__name__)

# Their errors quote what a server sends, and addresses with the tokens in them; "client" is MCP's
# session. What is wrong is said here, without either.
for _logger in ("mcp", "client", "httpx2", "httpcore2"):
    logging.getLogger(_logger).setLevel(logging.CRITICAL)

CONNECT: Final = 60.0
"""Seconds until a server has begun: a command may first have to be fetched and installed."""

LOOK: Final = 30.0
"""Seconds between two looks at a server's tools; one that does not answer is connected again."""

PAUSES: Final = (1.0, 2.0, 5.0, 15.0, 30.0)
"""Seconds before the next try to connect."""

MOST_TOOLS: Final = 200
"""Tools of one server that are taken."""

KEY: Final = "greffier/key"
"""Field of a call's ``_meta`` with the idempotency key: the same for every try."""

_LONGEST_TEXT: Final = 500
_NOT_BEGUN: Final = frozenset(
    {mcp.types.INVALID_PARAMS, mcp.types.METHOD_NOT_FOUND, mcp.types.INVALID_REQUEST}
)
"""JSON-RPC errors for a request that the server has not acted on."""


class McpConnection:
    """One server: connected by :meth:`run`, and again whenever it is lost.

    Args:
        address: Where it is.
        timeout: Seconds that it may take for a call.
    """

    def __init__(self, address: McpAddress, *, timeout: float) -> None:
        self._address = address
        self._timeout = timeout
        self._session: ClientSession | None = None
        self._begun = False
        self._lost = asyncio.Event()
        self.tools: list[Tool] = []

    @property
    def name(self) -> str:
        """The operator's name of the server."""
        return self._address.name

    async def run(self) -> None:
        """Keep the server connected and its tools known, until it is cancelled."""
        failures = 0
        while True:
            try:
                await self._connected()
            except Exception as error:
                # Transports raise groups of anything; their texts may hold the address's token.
                cause = type(_first(error)).__name__
                log.warning("MCP server is away", extra={"server": self.name, "cause": cause})
                failures = 0 if self._begun else failures + 1
            await asyncio.sleep(PAUSES[min(failures, len(PAUSES) - 1)])

    async def _connected(self) -> None:
        self._begun = False
        # A server that hangs is told good-bye by a request that may wait for minutes.
        async with asyncio.timeout(None) as closing, AsyncExitStack() as stack:
            try:
                streams = await stack.enter_async_context(_server(self._address).client_streams())
                session = await stack.enter_async_context(
                    ClientSession(streams[0], streams[1], read_timeout_seconds=CONNECT)
                )
                await session.initialize()
                self._lost.clear()
                self._session, self._begun = session, True
                await self._look(session)
            finally:
                self._session, self.tools = None, []
                clock = asyncio.get_running_loop().time
                closing.reschedule(clock() + shutdown.CLOSE_TOOLS)
        raise ConnectionResetError

    async def _look(self, session: ClientSession) -> None:
        """Read the server's tools again and again, until it is lost."""
        while not self._lost.is_set():
            self.tools = await self._read_tools(session)
            try:
                await asyncio.wait_for(self._lost.wait(), LOOK)
            except TimeoutError:
                continue

    async def _read_tools(self, session: ClientSession) -> list[Tool]:
        found: list[mcp.types.Tool] = []
        cursor: str | None = None
        while len(found) < MOST_TOOLS:
            page = await session.list_tools(
                params=mcp.types.PaginatedRequestParams(cursor=cursor) if cursor else None
            )
            found += page.tools
            if not (cursor := page.next_cursor):
                break
        tools: dict[str, Tool] = {}
        for one in found[:MOST_TOOLS]:
            try:
                tools[one.name] = self._tool(one)
            except ValueError as error:
                # Its name or its schema: the text says which, and quotes no more than the name.
                cause = {"server": self.name, "cause": str(error)}
                log.warning("MCP tool can't be used", extra=cause)
        return list(tools.values())

    def _tool(self, told: mcp.types.Tool) -> Tool:
        async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Any:
            result = await self._call(told.name, arguments, key=context.key)
            if result.is_error:
                raise self._failed(effects, _text(result))
            return result.structured_content or _text(result)

        hints = told.annotations
        effects = _effects(hints)
        return Tool(
            name=f"{self.name}.{told.name}",
            description=(told.description or "")[: 8 * _LONGEST_TEXT],
            arguments=told.input_schema,
            effects=effects,
            run=run,
            title=told.title or (hints.title if hints else None) or "",
            isolation="inline",
        )

    def _failed(self, effects: Effects, words: str) -> ToolError | UnknownOutcomeError:
        """Return what a failure is that the tool itself tells of, perhaps half-way through."""
        sentence = words[:_LONGEST_TEXT] or f"{self.name} failed"
        return ToolError(sentence) if effects == "none" else UnknownOutcomeError(sentence)

    def _lose(self) -> None:
        self.tools = []
        self._lost.set()

    async def _call(
        self, name: str, arguments: Mapping[str, Any], *, key: str
    ) -> mcp.types.CallToolResult:
        if (session := self._session) is None:
            raise ToolError(f"{self.name} is not connected")
        try:
            result = await session.call_tool(
                name,
                dict(arguments),
                read_timeout_seconds=self._timeout,
                meta=cast("mcp.types.RequestParamsMeta", {KEY: key}),
                allow_input_required=True,
            )
        except MCPError as error:
            if error.code in _NOT_BEGUN:
                raise ToolError(f"{self.name} refused the call ({error.code})") from None
            if error.code == mcp.types.CONNECTION_CLOSED:
                self._lose()
            raise UnknownOutcomeError(f"{self.name} gave no answer ({error.code})") from None
        except Exception as error:
            # A broken pipe or stream, in the words of any transport.
            self._lose()
            cause = type(error).__name__
            raise UnknownOutcomeError(f"{self.name} gave no answer ({cause})") from None
        if not isinstance(result, mcp.types.CallToolResult):
            raise ToolError(f"{self.name} asks for more input, which we do not give")
        return result


def _server(address: McpAddress) -> MCPServer:
    if address.command:
        program, *arguments = address.command
        return MCPServerStdio(program, arguments, env=dict(address.env))
    old = URL(address.url).path.rstrip("/").endswith("/sse")
    return MCPServerHTTP(
        address.url,
        transport_type="sse" if old else "streamable_http",
        headers=dict(address.headers),
    )


def _effects(hints: mcp.types.ToolAnnotations | None) -> Effects:
    if hints and hints.read_only_hint:
        return "none"
    return "idempotent" if hints and hints.idempotent_hint else "at_most_once"


def _text(result: mcp.types.CallToolResult) -> str:
    parts = [
        part.text if isinstance(part, mcp.types.TextContent) else json.dumps({"omitted": part.type})
        for part in result.content
    ]
    return "\n".join(parts)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
