"""Which agents are installed: built-ins and plugins, through the same entry points."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from agents.plugin import AgentSettings, AgentSpec
from pipelines.errors import PluginError

GROUP: Final = "greffier.agents"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*")


def load_specs(found: Iterable[EntryPoint] | None = None) -> dict[str, AgentSpec]:
    """Load the spec of every installed agent.

    Args:
        found: Entry points to load; by default those of the group ``greffier.agents``.

    Returns:
        Name -> spec, sorted by name.

    Raises:
        PluginError: An entry point can't be loaded or is no spec, or two share a name; the message
            names the distribution.
    """
    specs: dict[str, AgentSpec] = {}
    found = entry_points(group=GROUP) if found is None else found
    for entry in sorted(found, key=lambda entry: entry.name):
        spec = _load(entry)
        if spec.name in specs:
            raise PluginError(
                f"two agents are named {spec.name!r}, the second from {_origin(entry)}; "
                "uninstall one of them"
            )
        specs[spec.name] = spec
    return specs


def _load(entry: EntryPoint) -> AgentSpec:
    try:
        spec = entry.load()
    except Exception as error:
        # A plugin may raise anything while it is imported.
        raise PluginError(f"agent {entry.name!r} of {_origin(entry)}: {error!r}") from error
    if not isinstance(spec, AgentSpec):
        raise PluginError(
            f"agent {entry.name!r} of {_origin(entry)}: {entry.value} is no AgentSpec"
        )
    if not _NAME.fullmatch(spec.name) or spec.name != entry.name:
        raise PluginError(
            f"agent {entry.name!r} of {_origin(entry)}: AgentSpec.name must be the entry point's "
            "name: lower-case letters, digits and '-'"
        )
    if not issubclass(spec.settings, AgentSettings):
        raise PluginError(
            f"agent {entry.name!r} of {_origin(entry)}: settings must derive from AgentSettings"
        )
    return spec


def _origin(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value
