"""Trouble of engines, with real sockets to the double of the services; the table is a bench."""

from __future__ import annotations

import asyncio
import tracemalloc
from pathlib import Path

import pytest

from bench import engine_faults, long_speech
from bench.engine_faults import KEY, TROUBLES, Case, Cure, Engine, run_case
from bench.scripted_meeting import ScriptedMeeting, spoken
from pipelines.settings import Settings
from pipelines.speech import stt
from pipelines.speech.engines import Engines
from pipelines.testing import SpeechServer, coded_speech

WORDS = 20


@pytest.fixture(autouse=True)
def _short_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stt, "ANSWER_TIMEOUT", 2.0)


def curable() -> list[Case]:
    """Every trouble with both cures, streaming and batch by turns."""
    engines: tuple[Engine, ...] = ("deepgram", "openai")
    cures: tuple[Cure, ...] = ("comes back", "fallback")
    table = [
        Case(trouble, engines[number % 2], cures[(number // 2 + shift) % 2])
        for shift, _ in enumerate(cures)
        for number, trouble in enumerate(TROUBLES)
    ]
    return [one for one in table if one != Case("wrong key", one.engine, "comes back")]


async def test_no_trouble_costs_a_word_where_the_engine_comes_back_or_there_is_a_fallback() -> None:
    for outcome in await engine_faults.run(curable(), words=WORDS, faster=2.0):
        assert (outcome.lost, outcome.doubled) == (0, 0), outcome
        assert outcome.holes == 0, outcome
        assert outcome.told[-1] == "stopped", outcome
        assert outcome.told[:-1] in ([], [outcome.told[0], "resumed"]), outcome


@pytest.mark.parametrize("engine", ["deepgram", "openai"])
async def test_a_wrong_key_without_a_fallback_is_asked_once_and_told_with_the_fix(
    engine: Engine,
) -> None:
    outcome = await run_case(Case("wrong key", engine, "none"), words=WORDS, faster=5.0)
    assert (outcome.lost, outcome.refused) == (WORDS, 1)
    assert outcome.holes
    assert "check " in outcome.told[-2]
    assert "_API_KEY" in outcome.told[-2]


async def test_an_engine_is_connected_while_somebody_speaks_and_not_longer() -> None:
    async with SpeechServer(key=KEY) as server:
        settings = Settings(deepgram_api_key=KEY, deepgram_base_url=server.deepgram_url)
        ended, over = asyncio.Event(), asyncio.Event()
        engines = Engines(settings)
        samples = coded_speech.say(coded_speech.words(10))
        meeting = ScriptedMeeting(engines, {"speaker": spoken(samples, ended=ended)})
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(meeting.hold(until=over, engine="deepgram"))
            await ended.wait()
            await asyncio.sleep(1.0)
            assert server.counts.open_sockets == 0
            over.set()
        await engines.aclose()
    seconds = len(samples) / coded_speech.RATE
    assert server.counts.audio_seconds == pytest.approx(seconds, abs=0.06)
    assert server.counts.socket_seconds < seconds + 1.0
    counted = dict(meeting.notes)["engine_seconds"]["deepgram/nova-3"]
    assert counted["audio"] == pytest.approx(server.counts.audio_seconds, abs=0.06)


@pytest.mark.parametrize("engine", ["deepgram", "openai"])
async def test_three_minutes_without_a_pause_lose_no_word_and_hold_no_memory(
    engine: Engine, tmp_path: Path
) -> None:
    tracemalloc.start()
    try:
        with long_speech.Server(tmp_path / "server.log") as server:
            voice = long_speech.CodedVoice()
            outcome = await long_speech.run("no pause", voice, 3.0, engine, server)
    finally:
        tracemalloc.stop()
    assert outcome.said > 700
    assert (outcome.lost, outcome.doubled, outcome.spans) == (0, 0, 1)
    python = [mb for _, _, mb in outcome.memory]
    assert python[-1] < python[len(python) // 2] + 5.0


@pytest.mark.parametrize("sound", ["silence", "music", "hold_tone"])
async def test_what_is_no_speech_has_no_caption_and_costs_no_engine(
    sound: str, tmp_path: Path
) -> None:
    with long_speech.Server(tmp_path / "server.log") as server:
        made = getattr(long_speech, sound)
        outcome = await long_speech.run(sound, made, 5.0, "deepgram", server)
    assert (outcome.spans, outcome.finals, outcome.told) == (0, 0, ["stopped"])


def test_the_table_has_every_trouble_for_both_kinds_of_engine() -> None:
    table = engine_faults.cases()
    for engine in ("deepgram", "openai"):
        assert {one.trouble for one in table if one.engine == engine} == {"", *TROUBLES}
