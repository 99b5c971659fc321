"""Which tools are installed: built-ins and plugins, through the same entry points.

An entry point gives a :class:`~agents.tools.tool.Tool`, a list of them, or a function of the
process's settings that returns either.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from agents.tools.tool import Tool
from pipelines.errors import PluginError
from pipelines.settings import Settings

GROUP: Final = "greffier.tools"


def load_tools(settings: Settings, found: Iterable[EntryPoint] | None = None) -> list[Tool]:
    """Load every installed tool.

    Args:
        settings: The process's.
        found: Entry points to load; by default those of the group ``greffier.tools``.

    Raises:
        PluginError: An entry point can't be loaded or gives no tool, or two tools share a name; the
            message names the distribution.
    """
    tools: dict[str, Tool] = {}
    found = entry_points(group=GROUP) if found is None else found
    for entry in sorted(found, key=lambda entry: entry.name):
        for tool in _load(entry, settings):
            if tool.name in tools:
                raise PluginError(
                    f"two tools are named {tool.name!r}, the second from {_origin(entry)}; "
                    "uninstall one of them"
                )
            tools[tool.name] = tool
    return list(tools.values())


def _load(entry: EntryPoint, settings: Settings) -> list[Tool]:
    try:
        given: Any = entry.load()
        if callable(given) and not isinstance(given, Tool):
            given = given(settings)
    except Exception as error:
        # A plugin may raise anything while it is imported.
        raise PluginError(f"tool {entry.name!r} of {_origin(entry)}: {error!r}") from error
    tools = [given] if isinstance(given, Tool) else given
    if not isinstance(tools, list | tuple) or not all(isinstance(one, Tool) for one in tools):
        raise PluginError(f"tool {entry.name!r} of {_origin(entry)}: {entry.value} is no Tool")
    if dotted := [one.name for one in tools if "." in one.name]:
        raise PluginError(
            f"tool {dotted[0]!r} of {_origin(entry)}: a name with a full stop is an MCP server's"
        )
    return list(tools)


def _origin(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value
