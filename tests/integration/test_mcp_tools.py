"""Tools of real MCP servers: a process that is talked to by pipes, and one by HTTP."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from agents import shutdown
from agents.tools.tool import ToolContext
from agents.tools.toolbox import Toolbox
from bench.livekit_server import free_port
from pipelines.errors import InvalidArgumentsError, UnknownOutcomeError
from pipelines.mcp_address import McpAddress, parse_mcp_servers
from pipelines.tool_settings import ToolSettings

_SERVER = Path(__file__).parent / "mcp_tools.py"


@dataclass
class Keyed:
    """What a tool is given; an MCP server gets the key only."""

    key: str = "k1"


CONTEXT = cast("ToolContext", Keyed())


@asynccontextmanager
async def opened(*servers: McpAddress, patience: float = 10.0) -> AsyncIterator[Toolbox]:
    """Run a toolbox until it has tools of every server."""
    toolbox = Toolbox([], ToolSettings(mcp_servers=servers, tool_timeout=patience))
    running = asyncio.create_task(toolbox.run())
    try:
        async with asyncio.timeout(90):
            for server in servers:
                await has(toolbox, f"{server.name}.add")
        yield toolbox
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def has(toolbox: Toolbox, name: str) -> None:
    while toolbox.get(name) is None:  # noqa: ASYNC110 - nobody tells when a server is there
        await asyncio.sleep(0.05)


def told_of(caplog: pytest.LogCaptureFixture) -> set[object]:
    """Return the servers that our log names."""
    return {record.__dict__.get("server") for record in caplog.records}


def by_pipes(notes: Path) -> McpAddress:
    entry = {
        "command": sys.executable,
        "args": [str(_SERVER)],
        "env": {"MCP_NOTES": str(notes), "MCP_KEY": "secret"},
    }
    (address,) = parse_mcp_servers(json.dumps({"pipes": entry}))
    return address


@dataclass
class Served:
    """A server by HTTP."""

    address: McpAddress
    process: subprocess.Popen[bytes]


@pytest.fixture
def by_http(tmp_path: Path) -> Iterator[Served]:
    port = free_port()
    env = {"MCP_NOTES": str(tmp_path / "http.txt"), "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen([sys.executable, _SERVER, str(port)], env=env)
    try:
        yield Served(McpAddress("web", f"http://127.0.0.1:{port}/mcp"), process)
    finally:
        process.kill()
        process.wait()


async def test_tools_of_two_servers_are_called_by_pipes_and_by_http(
    tmp_path: Path, by_http: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREFFIER_LLM_API_KEY", "ours")
    notes = tmp_path / "pipes.txt"
    async with opened(by_pipes(notes), by_http.address) as toolbox:
        effects = {one.name: one.effects for one in toolbox.list()}
        assert effects["web.add"] == "none"
        assert effects["web.put"] == "idempotent"
        assert effects["web.fail"] == "at_most_once"
        for server in ("pipes", "web"):
            arguments = toolbox.validate(f"{server}.add", {"a": 2, "b": 3})
            assert await toolbox.execute(f"{server}.add", arguments, CONTEXT) == {"result": 5}
        with pytest.raises(InvalidArgumentsError, match="a: must follow"):
            toolbox.validate("web.add", {"a": "2", "b": 3})
        await toolbox.execute("pipes.put", {"text": "hello"}, CONTEXT)
        assert notes.read_text() == "hello k1\n"
        with pytest.raises(UnknownOutcomeError, match="no fish"):
            await toolbox.execute("web.fail", {"what": "fish"}, CONTEXT)
        names = await toolbox.execute("pipes.environment", {}, CONTEXT)
        assert "MCP_KEY" in names["result"]
        assert not [name for name in names["result"] if name.startswith("GREFFIER")]


async def test_a_server_that_hangs_or_dies_leaves_the_outcome_unknown_and_comes_back(
    tmp_path: Path,
) -> None:
    async with opened(by_pipes(tmp_path / "notes.txt"), patience=3.0) as toolbox:
        with pytest.raises(UnknownOutcomeError):
            await toolbox.execute("pipes.hang", {}, CONTEXT)
        assert await toolbox.execute("pipes.add", {"a": 1, "b": 1}, CONTEXT) == {"result": 2}
        with pytest.raises(UnknownOutcomeError):
            await toolbox.execute("pipes.die", {}, CONTEXT)
        async with asyncio.timeout(90):
            await has(toolbox, "pipes.add")
            assert await toolbox.execute("pipes.add", {"a": 1, "b": 1}, CONTEXT) == {"result": 2}


async def test_a_server_that_hangs_is_left_within_the_time_of_the_end(by_http: Served) -> None:
    async with opened(by_http.address):
        by_http.process.send_signal(signal.SIGSTOP)
        left = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - left < 3 * shutdown.CLOSE_TOOLS


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer that the caller is not allowed in."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    await writer.drain()
    writer.close()


async def test_a_server_that_is_away_keeps_nothing_else_from_working(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = McpAddress("away", f"http://127.0.0.1:{free_port()}/mcp?token=secret")
    refusing = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = refusing.sockets[0].getsockname()[1]
    closed = McpAddress("closed", f"http://127.0.0.1:{port}/mcp?token=secret")
    rubbish = McpAddress("rubbish", command=(sys.executable, "-c", "print('{secret')"))
    missing = McpAddress("missing", command=("greffier-no-such-program", "secret"))
    toolbox = Toolbox(
        [],
        ToolSettings(
            mcp_servers=(away, closed, rubbish, missing, by_pipes(tmp_path / "n")), tool_timeout=5
        ),
    )
    running = asyncio.create_task(toolbox.run())
    try:
        async with asyncio.timeout(90):
            await has(toolbox, "pipes.add")
            while not {"away", "closed", "rubbish", "missing"} <= told_of(caplog):  # noqa: ASYNC110 - a log tells nobody
                await asyncio.sleep(0.05)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        refusing.close()
    assert "secret" not in caplog.text
    assert "secret" not in str([record.__dict__ for record in caplog.records])
