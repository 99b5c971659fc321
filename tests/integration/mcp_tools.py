"""An MCP server of a few tools, as a process: ``python mcp_tools.py [PORT]``; stdio without one.

``MCP_NOTES`` is the file that its tools write a line to, with the idempotency key that they got.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations

server = MCPServer("tools", log_level="ERROR")


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool(annotations=ToolAnnotations(idempotent_hint=True))
def put(text: str, context: Context) -> str:
    """Keep a line."""
    meta = context.request_context.meta or {}
    with Path(os.environ["MCP_NOTES"]).open("a") as notes:
        notes.write(f"{text} {dict(meta).get('greffier/key')}\n")
    return "kept"


@server.tool()
def fail(what: str) -> str:
    """Fail."""
    raise ToolError(f"no {what}")


@server.tool()
async def hang() -> str:
    """Never answer."""
    await asyncio.Event().wait()
    return ""


@server.tool()
def die() -> str:
    """End the process."""
    os._exit(1)


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def environment() -> list[str]:
    """List the names of the environment."""
    return sorted(os.environ)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]))
    else:
        server.run("stdio")
