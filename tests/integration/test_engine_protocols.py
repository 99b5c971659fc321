"""LiveKit's deepgram and openai plugins, against a server on this machine that speaks for both."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

from pipelines.errors import EngineFailedError
from pipelines.settings import Settings
from pipelines.speech import attempts, failover
from pipelines.speech.engines import Engines
from pipelines.speech.heard import RATE, Heard, Lost
from pipelines.speech.stt import Recognizer
from pipelines.testing import SpeechServer, faults
from pipelines.testing.coded_speech import Word

KEY = "a-key-that-nobody-may-see"
CHUNK = np.ones(RATE // 20, dtype=np.int16)


def seconds_of(pcm: bytes) -> str:
    """Say how much audio came, as an engine would say words."""
    return f"heard {len(pcm) / 2 / RATE:.2f} seconds"


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "DELAYS", (0.05, 0.1))


@pytest.fixture
async def server() -> AsyncIterator[SpeechServer]:
    async with SpeechServer(seconds_of, key=KEY) as server:
        yield server


MakeEngines = Callable[..., Engines]


@pytest.fixture
async def engines() -> AsyncIterator[MakeEngines]:
    made: list[Engines] = []

    def make(server: SpeechServer, **more: Any) -> Engines:
        settings = {
            "deepgram_api_key": KEY,
            "deepgram_base_url": server.deepgram_url,
            "openai_api_key": KEY,
            "openai_base_url": server.openai_url,
        }
        made.append(Engines(Settings(**{**settings, **more})))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()


async def say(recognizer: Recognizer, seconds: float, *, faster: float = 50.0) -> list[Heard]:
    """Speak ``faster`` times as fast as people do; return all that is heard."""
    recognition = recognizer.recognition()
    heard: list[Heard] = []

    async def listen() -> None:
        async for item in recognition:
            if isinstance(item, Lost):
                raise EngineFailedError(item.reason)
            if isinstance(item, Heard):
                heard.append(item)

    listening = asyncio.create_task(listen())
    for _ in range(round(seconds * 20)):
        recognition.push(CHUNK)
        await asyncio.sleep(0.05 / faster)
    recognition.end()
    try:
        async with asyncio.timeout(20):
            await listening
    finally:
        await recognition.aclose()
    return heard


def finals(heard: list[Heard]) -> list[str]:
    return [item.text for item in heard if item.final]


async def test_deepgram_hears_all_of_a_span_and_times_it(
    server: SpeechServer, engines: MakeEngines
) -> None:
    heard = await say(engines(server).recognizer("deepgram"), 2.0)
    assert finals(heard) == ["heard 2.00 seconds"]
    assert (heard[-1].start, heard[-1].end) == pytest.approx((0.0, 2.0), abs=0.01)


async def test_deepgram_is_told_model_language_and_key_terms(
    server: SpeechServer, engines: MakeEngines
) -> None:
    recognizer = engines(server).recognizer(
        "deepgram/nova-3", language="fr", key_terms=["Ada", "Greffier"]
    )
    await say(recognizer, 0.2)
    asked = server.counts.requests[-1]
    assert (asked["model"], asked["language"]) == ("nova-3", "fr")
    assert asked["keyterm"] == "Ada,Greffier"
    assert KEY not in str(server.counts.requests)


async def test_deepgram_shows_words_while_they_are_said(engines: MakeEngines) -> None:
    async with SpeechServer(seconds_of, interims=True) as server:
        heard = await say(engines(server).recognizer("deepgram"), 2.0, faster=5.0)
    assert [item.text for item in heard if not item.final][:2] == [
        "heard 0.50 seconds",
        "heard 1.00 seconds",
    ]
    assert {item.part for item in heard} == {0}


async def test_what_deepgram_has_heard_is_settled_at_once_words_or_not(
    engines: MakeEngines,
) -> None:
    async with SpeechServer(lambda _: [Word("one", 0.0, 0.5)]) as server:
        began = time.monotonic()
        heard = await say(engines(server).recognizer("deepgram"), 2.0)
        assert finals(heard) == ["one"]
        assert len(server.counts.requests) == 1  # The silence after the word is not said again.
    assert time.monotonic() - began < 4  # The plugin's own end comes 5 s later.


async def test_deepgram_that_breaks_in_mid_speech_is_told_again(
    server: SpeechServer, engines: MakeEngines
) -> None:
    server.faults.add(1, faults.cut(after=0))
    heard = await say(engines(server).recognizer("deepgram"), 3.0, faster=5.0)
    assert finals(heard) == ["heard 3.00 seconds"]
    assert len(server.counts.requests) == 2


async def test_deepgram_that_is_busy_twice_is_asked_a_third_time(
    server: SpeechServer, engines: MakeEngines
) -> None:
    server.faults.add(2, faults.UNAVAILABLE)
    assert finals(await say(engines(server).recognizer("deepgram"), 1.0)) == ["heard 1.00 seconds"]


@pytest.mark.parametrize("engine", ["deepgram", "openai"])
async def test_an_engine_that_stays_away_fails_with_its_name_and_the_cause(
    server: SpeechServer, engines: MakeEngines, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failover, "PATIENCE", 0.5)
    server.faults.always(faults.Fault(faults.FaultKind.STATUS))
    with pytest.raises(EngineFailedError, match=rf"{engine}/.* HTTP 500"):
        await say(engines(server).recognizer(engine), 0.5)
    server.faults.always(None)
    assert finals(await say(engines(server).recognizer(engine), 0.5)) == ["heard 0.50 seconds"]


@pytest.mark.parametrize("engine", ["deepgram", "openai"])
async def test_a_wrong_key_is_not_tried_again_and_not_told(
    server: SpeechServer,
    engines: MakeEngines,
    engine: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    wrong = "sk-wrong-but-still-secret"
    recognizer = engines(server, deepgram_api_key=wrong, openai_api_key=wrong).recognizer(engine)
    variable = f"{engine.upper()}_API_KEY"
    with pytest.raises(EngineFailedError, match=rf"refused the key .*check {variable}") as caught:
        await say(recognizer, 0.5)
    assert server.counts.refused == 1
    assert wrong not in str(caught.value)
    shown = [record for record in caplog.records if record.levelname != "DEBUG"]
    assert wrong not in "\n".join(record.getMessage() for record in shown)


@pytest.mark.parametrize("engine", ["deepgram", "openai"])
async def test_an_engine_that_is_not_there_fails_with_a_reason(
    server: SpeechServer, engines: MakeEngines, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failover, "PATIENCE", 0.5)
    gone = "http://127.0.0.1:9"
    made = engines(server, deepgram_base_url=gone, openai_base_url=gone)
    with pytest.raises(EngineFailedError, match=rf"{engine}/.* can't be reached"):
        await say(made.recognizer(engine), 0.5)


async def test_openai_is_told_model_language_and_key_terms(
    server: SpeechServer, engines: MakeEngines
) -> None:
    recognizer = engines(server).recognizer(
        "openai/whisper-1", language="fr-CA", key_terms=["Ada", "Greffier"]
    )
    assert finals(await say(recognizer, 1.0)) == ["heard 1.00 seconds"]
    asked = server.counts.requests[-1]
    assert (asked["model"], asked["language"]) == ("whisper-1", "fr")
    assert asked["prompt"] == "Ada, Greffier"


async def test_languages_at_the_same_time_do_not_mix(
    server: SpeechServer, engines: MakeEngines
) -> None:
    made = engines(server)
    async with asyncio.TaskGroup() as tasks:
        for language in ("fr", "de", "multi") * 3:
            recognizer = made.recognizer("openai", language=language)
            tasks.create_task(say(recognizer, 0.3))
    told = sorted(request.get("language", "none") for request in server.counts.requests)
    assert told == ["de"] * 3 + ["fr"] * 3 + ["none"] * 3


async def test_openai_gets_no_piece_shorter_than_it_takes(
    server: SpeechServer, engines: MakeEngines
) -> None:
    heard = await say(engines(server).recognizer("openai"), 0.05)
    assert finals(heard) == ["heard 0.10 seconds"]
    assert heard[0].end == pytest.approx(0.05)


async def test_a_server_of_ones_own_needs_no_key(engines: MakeEngines) -> None:
    async with SpeechServer(seconds_of) as server:
        made = engines(server, openai_api_key="")
        assert finals(await say(made.recognizer("openai"), 0.5)) == ["heard 0.50 seconds"]


async def test_long_speech_reaches_openai_in_pieces_and_comes_back_in_order(
    server: SpeechServer, engines: MakeEngines
) -> None:
    heard = await say(engines(server).recognizer("openai"), 65.0, faster=2000.0)
    assert [item.start for item in heard] == [0.0, *(item.end for item in heard[:-1])]
    assert [item.end for item in heard] == pytest.approx([30.0, 60.0, 65.0], abs=0.2)
    assert finals(heard) == [f"heard {item.end - item.start:.2f} seconds" for item in heard]


async def test_a_batch_engine_works_on_as_many_pieces_at_once_as_the_settings_say(
    engines: MakeEngines,
) -> None:
    at_once = most = 0
    lock = threading.Lock()

    def slowly(pcm: bytes) -> str:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.1)
        with lock:
            at_once -= 1
        return seconds_of(pcm)

    async with SpeechServer(slowly) as server:
        made = engines(server, engine_workers=3)
        async with asyncio.TaskGroup() as tasks:
            spans = [
                tasks.create_task(say(made.recognizer("openai", language=language), 0.3))
                for language in ("fr", "en") * 5
            ]
    assert [finals(span.result()) for span in spans] == [["heard 0.30 seconds"]] * 10
    assert most == 3
