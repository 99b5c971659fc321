"""Engine trouble end to end: livekit-server, our worker, people who speak, a reader of captions."""

from __future__ import annotations

import asyncio
import json
import shutil
import wave
from collections.abc import Callable
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from bench.client_processes import SubscriberProcess
from bench.content_words import recall
from bench.long_speech import CodedVoice
from bench.rooms import Rooms, dispatch_to
from bench.script import load_script
from bench.scripted_meeting import lost_and_doubled
from pipelines.speech.heard import RATE
from pipelines.testing import SpeechServer, coded_speech, faults
from tests.integration.conftest import StartPublisher, StartSubscriber, StartWorker

KEY = "the-key"
METADATA = {"agents": {"transcriber": {"engine": "deepgram/nova-3"}}}
LINE = load_script().utterances[0]
WORDS = 50
LISTEN = ("--wait-subscribed", "30")


def deepgram(server: SpeechServer, **more: str) -> dict[str, str]:
    return {
        "DEEPGRAM_API_KEY": KEY,
        "GREFFIER_DEEPGRAM_BASE_URL": server.deepgram_url,
        **more,
    }


def told(reader: SubscriberProcess) -> list[tuple[str, str]]:
    """Return state, and engine or reason, of what the room was told of the captions."""
    notices = [json.loads(line["text"]) for line in reader.received("status")]
    captions = [one for one in notices if one["type"] == "captions"]
    return [(one["state"], one.get("engine") or one.get("reason", "")) for one in captions]


async def until(true: Callable[[], Any], seconds: float = 40.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.1)


class Hold(Protocol):
    """Starts the worker, opens the room, lets a reader join and the audio of a directory play."""

    async def __call__(self, audio: Path, linger: int, **settings: str) -> SubscriberProcess: ...


@pytest.fixture
def hold(  # noqa: PLR0917 - pytest fills it in by name
    rooms: Rooms,
    room: str,
    agent_name: str,
    start_worker: StartWorker,
    start_subscriber: StartSubscriber,
    start_publisher: StartPublisher,
) -> Hold:
    async def start(audio: Path, linger: int, **settings: str) -> SubscriberProcess:
        start_worker(**settings)
        await rooms.create(room, metadata=METADATA, agents=[dispatch_to(agent_name)])
        reader = start_subscriber(room)
        start_publisher(room, "--audio", str(audio), "--linger", str(linger), *LISTEN)
        return reader

    return start


async def test_a_refused_key_sends_speech_to_the_engine_on_this_machine(
    hold: Hold, tmp_path: Path
) -> None:
    (tmp_path / "audio").mkdir()
    shutil.copy(LINE.file, tmp_path / "audio")
    async with SpeechServer(key="another") as server:
        settings = deepgram(server, GREFFIER_FALLBACK_ENGINE="pocketsphinx/en-us")
        reader = await hold(tmp_path / "audio", 12, **settings)
        await until(lambda: ("resumed", "pocketsphinx/en-us") in told(reader))
        said = [("", LINE.text)]
        await until(lambda: recall(said, [("", f["text"]) for f in reader.finals()]).share > 0.7)
    # Who joins while it happens is told what holds then, perhaps once more.
    states = [state for state, _ in groupby(told(reader), key=itemgetter(0)) if state != "started"]
    assert states == ["interrupted", "resumed"]
    assert "check DEEPGRAM_API_KEY" in dict(told(reader))["interrupted"]
    assert server.counts.refused == 1


async def test_a_connection_cut_in_mid_sentence_costs_no_word(hold: Hold, tmp_path: Path) -> None:
    voice = CodedVoice()
    lead = voice(0.0)[-8 * RATE :]  # without words: the detector of speech gets used to the voice
    samples = np.concatenate([lead, voice(0.0)[: round(WORDS * coded_speech.WORD * RATE)]])
    said = voice.said[:WORDS]
    (tmp_path / "audio").mkdir()
    with wave.open(str(tmp_path / "audio" / "ada.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    async with SpeechServer(key=KEY, interims=True, settles=True) as server:
        for after in (3, 5):
            server.faults.add(1, faults.cut(after))
        reader = await hold(tmp_path / "audio", 6, **deepgram(server))

        def words() -> list[str]:
            return [word for final in reader.finals() for word in final["text"].split()]

        await until(lambda: said[-1] in words())
    assert lost_and_doubled(said, words()) == (0, 0)
    assert server.counts.refused == 2
    assert "failed" not in [state for state, _ in told(reader)]
