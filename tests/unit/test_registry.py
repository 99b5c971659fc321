"""Agents come through entry points; what is wrong with one is said with its name."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from agents.plugin import AgentSpec
from agents.registry import GROUP, load_specs
from agents.transcriber import Transcriber
from pipelines.errors import PluginError

TWIN = AgentSpec(name="transcriber", create=Transcriber)
ODD_NAME = AgentSpec(name="Odd Name", create=Transcriber)
NO_SPEC = object()


def entry(name: str, attribute: str) -> EntryPoint:
    return EntryPoint(name, f"{__name__}:{attribute}", GROUP)


def test_the_built_ins_come_through_the_same_door() -> None:
    assert {"assistant", "metadata", "transcriber"} <= load_specs().keys()


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ([entry("transcriber", "TWIN"), entry("transcriber", "TWIN")], "two agents are named"),
        ([entry("Odd Name", "ODD_NAME")], "lower-case"),
        ([entry("other", "TWIN")], "the entry point's name"),
        ([entry("x", "NO_SPEC")], "no AgentSpec"),
        ([entry("x", "MISSING")], "AttributeError"),
    ],
    ids=["duplicate", "bad-name", "other-name", "no-spec", "does-not-load"],
)
def test_what_is_wrong_with_an_installed_agent_is_one_error(
    found: list[EntryPoint], problem: str
) -> None:
    with pytest.raises(PluginError, match=problem):
        load_specs(found)
