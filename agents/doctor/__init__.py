"""``worker.py doctor``: look at everything that a worker needs, and say what to fix."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.doctor.after_meeting import check_after_meeting
from agents.doctor.check import Check
from agents.doctor.disk import check_files_store, check_journal
from agents.doctor.installation import (
    check_engine,
    check_packages,
    check_plugins,
    check_settings,
)
from agents.doctor.leases import check_leases
from agents.doctor.livekit_server import check_livekit
from agents.doctor.stores import check_stores
from agents.plugin import AgentSpec
from agents.registry import load_specs
from pipelines.settings import Settings
from pipelines.speech.engines import Engines

__all__ = ["Check", "diagnose", "print_checks"]

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


async def diagnose(
    settings: Settings,
    *,
    environment: Mapping[str, str] = os.environ,
    load: Callable[[], Mapping[str, AgentSpec]] = load_specs,
) -> list[Check]:
    """Run every check; none stops another.

    Args:
        settings: What the worker would start with.
        environment: Where the settings came from, to find misspelt variables.
        load: Loads the installed agents.
    """
    return [
        check_settings(environment),
        check_packages(),
        check_plugins(settings, load),
        check_engine(lambda: Engines(settings).resolve()),
        check_journal(settings.journal_dir),
        check_files_store(settings.store_dir),
        *await check_stores(settings),
        await check_leases(settings),
        *await check_after_meeting(settings),
        *await check_livekit(settings),
    ]


def print_checks(checks: Iterable[Check], console: Console | None = None) -> int:
    """Print the checks as a table; return the exit code, 1 where one is an error."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("check", "", "found", "fix"):
        table.add_column(column, overflow="fold")
    code = 0
    for check in checks:
        level = Text(check.level, style=_STYLES[check.level])
        table.add_row(check.name, level, Text(check.message), Text(check.fix))
        code |= check.level == "error"
    (console or Console()).print(table)
    return code
