"""docs/plugins.md: its code runs, and it names everything that a plugin is given."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import AsyncIterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import get_args

import pytest

from agents import plugin
from agents.plugin import CaptionFinal, Meeting
from agents.registry import GROUP, load_specs

GUIDE = (Path(__file__).resolve().parents[2] / "docs/plugins.md").read_text()


def block(language: str) -> str:
    """The guide's first code block in ``language``."""
    found = re.search(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert found
    return found[1]


class Room:
    """A meeting in which one thing is said."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    async def events(self) -> AsyncIterator[CaptionFinal]:
        yield CaptionFinal(1.0, 2.0, "1", "ada", "Ada", "Hello LiveKit")

    async def notify(self, kind: str, *, by: str) -> None:
        self.told.append((kind, by))


async def test_the_package_of_the_guide_loads_and_does_what_the_guide_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "greffier_shout.py").write_text(block("python"))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    entries = tomllib.loads(block("toml"))["project"]["entry-points"][GROUP]
    try:
        spec = load_specs(EntryPoint(name, value, GROUP) for name, value in entries.items())[
            "shout"
        ]
    finally:
        del sys.modules["greffier_shout"]
    room = Room()
    await spec.create(spec.settings()).run(room)  # type: ignore[arg-type]
    assert room.told == [("shout", "Ada")]


def test_the_guide_names_every_event_and_every_call() -> None:
    events = {event.__name__ for event in get_args(plugin.Event)}
    calls = {name for name in vars(Meeting) if not name.startswith("_")}
    assert {
        name for name in events | calls if not re.search(rf"`(meeting\.)?{name}\b", GUIDE)
    } == set()
