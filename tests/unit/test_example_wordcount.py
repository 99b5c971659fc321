"""The example plugin, driven by a meeting made of a list of events."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from agents.plugin import CaptionFinal, RpcCall, RpcHandler, SettingsChanged
from agents.registry import GROUP, load_specs

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/greffier-wordcount"


@pytest.fixture
def wordcount(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(EXAMPLE)
    yield importlib.import_module("greffier_wordcount")
    del sys.modules["greffier_wordcount"]


class Meeting:
    """What the example uses of a meeting; ``state`` outlives it, as a journal does."""

    def __init__(
        self, events: Sequence[object], state: dict[str, Any], said: Sequence[CaptionFinal] = ()
    ) -> None:
        self._events, self._state, self._said = events, state, said
        self._rpc: dict[str, RpcHandler] = {}
        self.answers: list[str] = []
        self.told: list[int] = []
        self.stored: list[tuple[str, dict[str, Any]]] = []

    async def events(self) -> AsyncIterator[object]:
        for event in self._events:
            yield event
            self.answers.append(await self._rpc["wordcount.get"](RpcCall("ada", "", 5.0)))

    async def said(self) -> Sequence[CaptionFinal]:
        return self._said

    async def register_rpc(self, method: str, handler: RpcHandler) -> None:
        self._rpc[method] = handler

    async def notify(self, _kind: str, *, total: int) -> None:
        self.told.append(total)

    async def store(self, kind: str, data: Mapping[str, Any]) -> None:
        self.stored.append((kind, dict(data)))

    async def get_state(self, key: str) -> Any:
        return self._state.get(key)

    async def set_state(self, key: str, value: Any) -> None:
        self._state[key] = value


def final(segment: str, name: str, text: str, revision: int = 0) -> CaptionFinal:
    return CaptionFinal(1.0, 2.0, segment, name.lower(), name, text, revision=revision)


async def test_it_answers_who_said_how_many_words_and_keeps_that_at_the_end(wordcount: Any) -> None:
    events = [final("1", "Ada", "good morning all"), final("2", "", "hello")]
    meeting = Meeting(events, {})
    await wordcount.WordCount(wordcount.WordCountSettings()).run(meeting)
    assert [json.loads(answer) for answer in meeting.answers] == [{"Ada": 3}, {"Ada": 3, "": 1}]
    assert meeting.stored == [("wordcount", {"Ada": 3, "": 1})]


async def test_a_corrected_segment_counts_once(wordcount: Any) -> None:
    events = [final("1", "Ada", "good mourning all"), final("1", "Ada", "good morning", 1)]
    meeting = Meeting(events, {})
    await wordcount.WordCount(wordcount.WordCountSettings()).run(meeting)
    assert meeting.stored == [("wordcount", {"Ada": 2})]


async def test_a_new_job_counts_what_was_said_before_and_tells_nothing_twice(
    wordcount: Any,
) -> None:
    state: dict[str, Any] = {}
    settings = wordcount.WordCountSettings(every=3)
    before = [final("1", "Ada", "one two three"), final("2", "Ada", "four")]
    first = Meeting(before, state)
    await wordcount.WordCount(settings).run(first)
    second = Meeting([final("3", "Ada", "five"), final("4", "Ada", "six")], state, said=before)
    await wordcount.WordCount(settings).run(second)
    assert (first.told, second.told) == ([3], [6])
    assert second.stored == [("wordcount", {"Ada": 6})]


async def test_new_settings_hold_from_then_on(wordcount: Any) -> None:
    changed = SettingsChanged(1.0, wordcount.WordCountSettings(every=2))
    meeting = Meeting([final("1", "Ada", "one two"), changed, final("2", "Ada", "three")], {})
    await wordcount.WordCount(wordcount.WordCountSettings()).run(meeting)
    assert meeting.told == [3]


def test_the_entry_point_in_its_pyproject_loads(wordcount: Any) -> None:
    assert (
        '[project.entry-points."greffier.agents"]\nwordcount = "greffier_wordcount:SPEC"'
        in (EXAMPLE / "pyproject.toml").read_text()
    )
    specs = load_specs([EntryPoint("wordcount", "greffier_wordcount:SPEC", GROUP)])
    assert specs == {"wordcount": wordcount.SPEC}


def test_it_is_shorter_than_sixty_lines() -> None:
    assert len((EXAMPLE / "greffier_wordcount.py").read_text().splitlines()) < 60
