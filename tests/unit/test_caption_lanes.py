"""Captions on their way to the room: each format by itself, finals in order and not given up."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from agents import captions as module
from agents.captions import ATTEMPTS, Captions
from pipelines.events import CaptionFinal, CaptionInterim
from pipelines.settings import CaptionFormatName

FORMATS: tuple[CaptionFormatName, ...] = ("text-stream", "legacy", "meetai")


@dataclass
class Format:
    """Sends nowhere; the first ``failures`` sends fail, and each waits until ``after`` has two."""

    failures: int = 0
    after: Format | None = None
    tries: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    has_two: asyncio.Event = field(default_factory=asyncio.Event)

    def carries(self, _caption: CaptionInterim | CaptionFinal) -> bool:
        return True

    async def send(self, caption: CaptionInterim | CaptionFinal) -> None:
        self.tries.append(caption.text)
        if self.after:
            await self.after.has_two.wait()
        if len(self.tries) <= self.failures:
            raise RuntimeError("the connection is being mended")
        self.shown.append(caption.text)
        if len(self.shown) == 2:
            self.has_two.set()


class Room:
    """A connected room; notices are sent into ``log``."""

    identity = "greffier-standup"

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.local_participant = self

    def isconnected(self) -> bool:
        return True

    async def send_text(self, text: str, *, attributes: dict[str, str], **_: Any) -> None:
        assert attributes == {"greffier.agent": self.identity}
        self.log.append(text)


@pytest.fixture
def formats(monkeypatch: pytest.MonkeyPatch) -> dict[str, Format]:
    """The three formats' doubles; captions made by the test send through them."""
    doubles: dict[str, Format] = {name: Format() for name in FORMATS}
    monkeypatch.setattr(module, "make_format", lambda name, *_, **__: doubles[name])
    monkeypatch.setattr(module, "SEND_AGAIN", 0.001)
    return doubles


def make_captions(**options: Any) -> Captions:
    room: Any = options.pop("room", SimpleNamespace(isconnected=lambda: True))
    return Captions(room, interim_interval=0.2, formats=FORMATS, **options)


def final(text: str) -> CaptionFinal:
    return CaptionFinal(at=0.0, end=1.0, segment=text, identity="ada", name="Ada", text=text)


async def send_all(captions: Captions, *texts: str) -> None:
    for text in texts:
        captions.offer(final(text))
    captions.close()
    async with asyncio.timeout(5):
        await captions.run()


async def test_a_format_that_fails_is_tried_again_by_itself_and_keeps_its_order(
    formats: dict[str, Format],
) -> None:
    formats["legacy"].failures = 2
    await send_all(make_captions(), "one", "two")
    assert formats["legacy"].tries == ["one", "one", "one", "two"]
    for name in ("text-stream", "meetai"):
        assert formats[name].tries == ["one", "two"]


async def test_a_format_that_hangs_holds_up_no_other(formats: dict[str, Format]) -> None:
    formats["text-stream"].after = formats["meetai"]
    await send_all(make_captions(), "one", "two")
    assert formats["text-stream"].shown == formats["meetai"].shown == ["one", "two"]


async def test_a_final_that_can_never_be_sent_is_given_up_in_its_format_only(
    formats: dict[str, Format],
) -> None:
    formats["legacy"].failures = ATTEMPTS
    await send_all(make_captions(), "one", "two")
    assert formats["legacy"].tries == ["one"] * ATTEMPTS + ["two"]
    assert formats["text-stream"].shown == ["one", "two"]


async def test_something_is_awaited_before_each_final_and_before_no_interim(
    formats: dict[str, Format],
) -> None:
    seen_before: list[int] = []

    async def copied() -> None:
        seen_before.append(len(formats["text-stream"].shown))

    room: Any = SimpleNamespace(isconnected=lambda: True)
    captions = Captions(room, interim_interval=0.2, before_final=copied)
    captions.offer(CaptionInterim(0.0, "s", "ada", "Ada", "interim"))
    await send_all(captions, "one", "two")
    assert formats["text-stream"].shown == ["one", "two", "interim"]
    assert seen_before == [0, 1]


async def test_a_final_passes_the_failpoint_once_however_many_formats_show_it(
    formats: dict[str, Format], monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: Counter[str] = Counter()

    def failpoint(name: str) -> None:
        assert formats["text-stream"].shown  # People have seen it.
        passed[name] += 1

    monkeypatch.setattr(module, "failpoint", failpoint)
    await send_all(make_captions(), "one", "two")
    assert passed == {"publish": 2}


async def test_a_notice_goes_once_and_after_the_finals_offered_before_it(
    formats: dict[str, Format],
) -> None:
    log = formats["text-stream"].shown
    captions = make_captions(room=Room(log))
    captions.offer(final("last words"))
    captions.notify("captions", {"state": "stopped"})
    await send_all(captions)
    assert log == ["last words", '{"type": "captions", "state": "stopped"}']


async def test_a_fact_that_is_told_once_is_not_told_to_who_joins_later(
    formats: dict[str, Format],
) -> None:
    log = formats["text-stream"].shown
    captions = make_captions(room=Room(log))
    captions.tell("hole", {"cause": "restart"})
    captions.notify("captions", {"state": "started"})
    captions.welcome("ada")
    await send_all(captions)
    started = '{"type": "captions", "state": "started"}'
    assert log == ['{"type": "hole", "cause": "restart"}', started, started]
