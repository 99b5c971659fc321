"""Are the settings, the agents, the engine and the Python packages what the worker needs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from importlib.metadata import distributions
from typing import Final

from agents.doctor.check import Check, error, ok, warning
from agents.plugin import AgentSpec
from agents.room_settings import read_room_settings
from pipelines.errors import EngineError, GreffierError, PluginError, SettingsError
from pipelines.settings import Settings

SETTINGS: Final = "settings"
ENGINE: Final = "engine"
PLUGINS: Final = "plugins"
PACKAGES: Final = "packages"

_OURS: Final = "greffier"


def check_settings(environment: Mapping[str, str]) -> Check:
    """Look for variables that look like settings and are none."""
    known = {Settings.variable(name) for name in Settings.model_fields}
    unknown = sorted(name for name in environment if name.startswith("GREFFIER_"))
    unknown = [name for name in unknown if name not in known]
    if unknown:
        near = get_close_matches(unknown[0], known, n=1)
        return warning(
            SETTINGS,
            f"not a setting: {', '.join(unknown)}",
            f"did you mean {near[0]}?" if near else "see `worker.py settings`",
        )
    return ok(SETTINGS, f"{len(known & environment.keys())} set in the environment")


def check_engine(resolve: Callable[[], str]) -> Check:
    """Resolve the default engine."""
    try:
        return ok(ENGINE, resolve())
    except (EngineError, SettingsError) as failure:
        return error(ENGINE, str(failure), "set GREFFIER_ENGINE, its key, or install its extra")


def check_plugins(settings: Settings, load: Callable[[], Mapping[str, AgentSpec]]) -> Check:
    """Load every installed agent; compare with what the settings name."""
    try:
        specs = load()
    except PluginError as failure:
        return error(PLUGINS, str(failure), "repair or uninstall that package")
    if missing := [name for name in settings.default_agents if name not in specs]:
        return error(
            PLUGINS,
            f"GREFFIER_DEFAULT_AGENTS names {', '.join(missing)}, which is not installed",
            f"install it, or name some of: {', '.join(specs) or 'none'}",
        )
    try:
        read_room_settings("", "", specs=specs, defaults=settings.default_agents, allowed=())
    except GreffierError as failure:
        return error(
            PLUGINS,
            f"a default agent can't start with its default settings: {failure}",
            "take it out of GREFFIER_DEFAULT_AGENTS",
        )
    if missing := [name for name in settings.allowed_agents if name not in specs]:
        return warning(
            PLUGINS,
            f"GREFFIER_ALLOWED_AGENTS names {', '.join(missing)}, which is not installed",
            f"install it, or name some of: {', '.join(specs)}",
        )
    return ok(PLUGINS, ", ".join(specs))


def check_packages(path: Sequence[str] | None = None) -> Check:
    """Look for another distribution that installs a package under one of our import names.

    Args:
        path: Where packages are looked for; by default ``sys.path``.
    """
    owners = {
        str(found.name): name
        for found in distributions(path=list(sys.path if path is None else path))
        for name in ("agents", "pipelines")
        if found.name != _OURS and f"\n{name}/__init__.py," in f"\n{found.read_text('RECORD')}"
    }
    if owners:
        other, name = next(iter(owners.items()))
        return error(
            PACKAGES,
            f"{other} also installs the Python package `{name}`: one overwrites the other",
            f"uninstall {other}, or give Greffier a virtual environment of its own",
        )
    return ok(PACKAGES, "no other distribution installs our import names")
