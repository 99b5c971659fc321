"""Where the operator's MCP servers are: an address, or a command that is run. Pure.

::

    {"search": "https://tools.example.org/mcp",
     "crm": {"url": "https://crm.example.org/mcp", "headers": {"authorization": "Bearer ..."}},
     "files": {"command": "mcp-files", "args": ["/srv"], "env": {"KEY": "..."}}}

Or short: ``search=https://tools.example.org/mcp, files=mcp-files /srv``. An address that ends in
``/sse`` is spoken to in the older of MCP's two HTTP transports.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError
from yarl import URL

_NAME: Final = re.compile("[a-z0-9-]{1,32}")


@dataclass(frozen=True, slots=True)
class McpAddress:
    """One MCP server. What may hold a secret is not in the repr.

    Args:
        name: Its tools are called ``name.tool``.
        url: ``http://`` or ``https://``; empty where a command is run.
        headers: Of each request.
        command: What is run, and its arguments; empty where there is an address.
        env: Of the command, beside ``PATH``, ``HOME`` and the like: it sees nothing of ours.
    """

    name: str
    url: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    command: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    url: str = ""
    headers: dict[str, str] = {}
    command: str = ""
    args: list[str] = []
    env: dict[str, str] = {}


def parse_mcp_servers(text: str) -> tuple[McpAddress, ...]:
    """Read a JSON object of names and servers, or ``name=server, ...``.

    Raises:
        ValueError: Something is wrong; names the server and quotes nothing else.
    """
    found: dict[str, McpAddress] = {}
    for name, value in _entries(text):
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError("each entry is name=server, a name being 1 to 32 of a-z, 0-9 and -")
        if name in found:
            raise ValueError(f"two servers are called {name!r}: give one another name")
        found[name] = _parse(name, value)
    return tuple(found.values())


def _entries(text: str) -> list[tuple[Any, Any]]:
    if not text.lstrip().startswith("{"):
        parts = [part.strip().partition("=") for part in text.split(",") if part.strip()]
        return [(name, value) for name, _, value in parts]
    try:
        servers = json.loads(text)
    except ValueError:
        # The library's message quotes nothing, but `from` would show the text.
        raise ValueError("is no JSON object") from None
    # As the configuration files of other MCP clients have it.
    servers = servers.get("mcpServers", servers)
    return list(servers.items()) if isinstance(servers, dict) else []


def _parse(name: str, value: object) -> McpAddress:
    if isinstance(value, str):
        value = _short(name, value)
    try:
        entry = _Entry.model_validate(value)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, problem["loc"][:1])) or "server"
        raise ValueError(f"{name}: {where}: {problem['msg']}") from None
    if bool(entry.url) is bool(entry.command):
        raise ValueError(f"{name}: give it either a url or a command")
    if entry.url:
        _check_url(name, entry.url)
    command = (entry.command, *entry.args) if entry.command else ()
    return McpAddress(name, entry.url, entry.headers, command, entry.env)


def _short(name: str, text: str) -> dict[str, Any]:
    if "://" in text.split(" ", maxsplit=1)[0]:
        return {"url": text}
    try:
        program, *arguments = shlex.split(text) or [""]
    except ValueError:
        raise ValueError(f"{name}: the command has a quote that does not end") from None
    return {"command": program, "args": arguments}


def _check_url(name: str, text: str) -> None:
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"{name}: the address must be like https://host/mcp")
    if url.user or url.password:
        raise ValueError(f"{name}: the address holds a password; put it in the entry's headers")
