"""The transcriber in a meeting without a room: what it keeps, and what it tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import numpy as np
from livekit.agents import APIStatusError, stt

from agents.plugin import AttributesChanged, AudioChunk, RpcCall, SpeechEnded, SpeechStarted
from agents.spoken_language import ATTRIBUTE, METHOD
from bench.scripted_meeting import CHUNK, ScriptedMeeting, Speech
from pipelines.events import HoleCause
from pipelines.settings import Settings
from pipelines.speech.engines import Engines
from pipelines.speech.heard import RATE
from pipelines.testing import EchoSTT
from tests.unit.virtual_time import in_virtual_time

AT = 1_000_000.0
ECHO = Settings(engine_plugins=("echo=pipelines.testing:EchoSTT",))


class RefusingSTT(EchoSTT):
    """An engine that wants another key."""

    def stream(self, **_: Any) -> stt.RecognizeStream:
        raise APIStatusError("no", status_code=401)


async def speech(seconds: float, *, quiet_at: float = -1.0) -> AsyncIterator[Speech]:
    """Speak at real time; the detector hears silence for a moment at ``quiet_at``."""
    yield SpeechStarted(AT, "ada")
    for number in range(round(seconds * RATE / CHUNK)):
        at = number * CHUNK / RATE
        quiet = quiet_at <= at < quiet_at + 0.1
        yield AudioChunk(np.ones(CHUNK, np.int16), AT + at, "TR", False, 0.1 if quiet else 0.9)
        await asyncio.sleep(CHUNK / RATE)
    yield SpeechEnded(AT + seconds, "ada", AT)


async def hold(
    meeting: ScriptedMeeting, seconds: float, engine: str = "echo", **settings: Any
) -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, over.set)
    try:
        await meeting.hold(until=over, engine=engine, **settings)
    finally:
        await meeting.engines.aclose()


def spans(meeting: ScriptedMeeting) -> list[tuple[str, float, float]]:
    """Return language, begin and length of the finals."""
    return [
        (final.language, round(final.at - AT, 2), round(final.end - final.at, 2))
        for _, final in meeting.finals
    ]


class Languages:
    """What recognizers were asked for."""

    def __init__(self, engines: Engines) -> None:
        self.asked: list[str] = []
        self._make = engines.recognizer
        engines.recognizer = self._recognizer  # type: ignore[method-assign]

    def _recognizer(self, *args: Any, language: str = "", **more: Any) -> Any:
        self.asked.append(language)
        return self._make(*args, language=language, **more)


@in_virtual_time
async def test_a_language_that_is_switched_while_speaking_begins_at_a_pause_without_loss() -> None:
    engines = Engines(ECHO)
    languages = Languages(engines)
    meeting = ScriptedMeeting(engines, {"ada": speech(4.0, quiet_at=2.5)})
    change = AttributesChanged(AT, "ada", {ATTRIBUTE: "fr"})
    asyncio.get_running_loop().call_later(2.0, meeting.inbox.put_nowait, change)
    await hold(meeting, 6.0, language="en")
    assert [(begin, length) for _, begin, length in spans(meeting)] == [(0.0, 2.5), (2.5, 1.5)]
    assert languages.asked[-2:] == ["en", "fr"]


@in_virtual_time
async def test_a_language_said_by_rpc_begins_within_two_seconds_of_speech() -> None:
    meeting = ScriptedMeeting(Engines(ECHO), {"ada": speech(6.0)})
    loop = asyncio.get_running_loop()
    calls: list[asyncio.Task[str]] = []

    async def call() -> str:
        return await meeting.rpc[METHOD](RpcCall("ada", "de", 10.0))

    loop.call_later(1.0, lambda: calls.append(loop.create_task(call())))
    await hold(meeting, 8.0)
    assert calls[0].result() == '{"language": "de"}'
    first, second = spans(meeting)
    assert 2.8 <= first[2] <= 3.2
    assert first[2] + second[2] == 6.0


@in_virtual_time
async def test_lost_speech_is_kept_as_a_hole_and_told_in_words_for_people() -> None:
    settings = Settings(engine_plugins=("refuses=test_transcriber:RefusingSTT",))
    meeting = ScriptedMeeting(Engines(settings), {"ada": speech(2.0)})
    await hold(meeting, 4.0, engine="refuses")
    holes = meeting.holes
    assert {(hole.cause, hole.speakers) for hole in holes} == {(HoleCause.ENGINE, ("ada",))}
    assert (holes[0].at, holes[-1].end) == (AT, AT + 2.0)
    assert all(a.end == b.at for a, b in pairwise(holes))
    reason = "refuses refused the key (HTTP 401)"
    assert {hole.reason for hole in holes} == {reason}
    assert meeting.told == [f"interrupted: {reason}", f"failed: {reason}", "stopped"]


@in_virtual_time
async def test_what_the_engines_were_used_for_is_kept_at_the_end() -> None:
    meeting = ScriptedMeeting(Engines(ECHO), {"ada": speech(2.0)})
    await hold(meeting, 4.0)
    used = dict(meeting.notes)["engine_seconds"]["echo"]
    assert used["audio"] == 2.0
    assert 1.9 <= used["connected"] <= 2.5


@in_virtual_time
async def test_an_option_that_the_engine_has_not_is_ignored_and_told_once() -> None:
    meeting = ScriptedMeeting(Engines(ECHO), {"ada": speech(1.0)})
    await hold(meeting, 2.0, numerals=True)
    told = [notice for _, notice in meeting.notices if notice["type"] == "transcriber"]
    assert told == [{"type": "transcriber", "engine": "echo", "ignored": ["numerals"]}]
    assert len(meeting.finals) == 1


@in_virtual_time
async def test_speech_is_unsettled_from_its_last_final_on_until_the_engine_has_settled_it() -> None:
    meeting = ScriptedMeeting(Engines(ECHO), {"ada": speech(4.0)})
    found: list[float | None] = []

    def look() -> None:
        since = meeting.unsettled_since()
        found.append(since and since - AT)

    for at in (1.0, 3.5, 5.5):
        asyncio.get_running_loop().call_later(at, look)
    await hold(meeting, 6.0)
    assert found[0] == 0.0
    assert found[1] is not None
    assert found[2] is None
