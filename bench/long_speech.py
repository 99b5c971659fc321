"""Long speech, and long silence: is every word there, and does memory stay where it is.

Frames are fed behind ``agents/audio.py``, faster than real time, through voice activity detection,
the transcriber and LiveKit's plugins to a double of the service in another process. Words are tones
laid over real speech (``pipelines/testing/coded_speech.py``), so that each can be counted::

    python -m bench.long_speech --minutes 120 --json out/long_speech.json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import psutil

from agents.plugin import AudioChunk, SpeechEnded, SpeechStarted
from bench.child_process import ChildProcess
from bench.scripted_meeting import CHUNK, ScriptedMeeting, Speech, lost_and_doubled
from bench.voice import voice
from pipelines.settings import Settings
from pipelines.speech.engines import Engines
from pipelines.speech.heard import RATE, Samples
from pipelines.speech.segmenter import Started
from pipelines.speech.spans import Piece, SpanDetector
from pipelines.speech.vad import NativeVad
from pipelines.testing import coded_speech

AHEAD: Final = 60.0
"""Seconds of audio that may wait for the engine: who speaks in real time is never so far ahead."""
PIECE: Final = 30.0
"""Seconds of audio that are made at a time."""

Sound = Callable[[float], Samples]
"""Takes seconds from the start, returns the next ``PIECE`` of sound."""


@dataclass(slots=True)
class Outcome:
    """What became of a recording.

    Args:
        sound: What was heard.
        engine: By which engine.
        minutes: How long.
        said: Words in it.
        lost: Words that no final has.
        doubled: Words that finals have too often.
        spans: Spans of speech that were found.
        finals: Finals.
        told: What the room was told.
        memory: (minutes, RSS in MB, Python's own in MB) at intervals.
        took: Seconds of real time.
    """

    sound: str
    engine: str
    minutes: float
    said: int = 0
    lost: int = 0
    doubled: int = 0
    spans: int = 0
    finals: int = 0
    told: list[str] = field(default_factory=list)
    memory: list[tuple[float, float, float]] = field(default_factory=list)
    took: float = 0.0


class CodedVoice:
    """Somebody who speaks without a pause; a word is said each 0.21 s, quieter between two."""

    def __init__(self) -> None:
        self._voice = voice()
        self._at = 0
        word = np.ones(round(coded_speech.WORD * RATE))
        gap = round(coded_speech.GAP * RATE)
        word[-gap:] = 0.15
        self._envelope = word
        self.said: list[str] = []

    def __call__(self, _: float) -> Samples:
        """Return the next ``PIECE``."""
        count = round(PIECE / coded_speech.WORD)
        if self._at:
            words = coded_speech.words(count, first=len(self.said))
            self.said += words
            tones = coded_speech.say(words).astype(np.float64)
        else:  # The detector of speech takes some seconds to get used to this voice.
            tones = np.zeros(count * len(self._envelope))
        at = (self._at + np.arange(len(tones))) % len(self._voice)
        self._at += len(tones)
        mixed = self._voice[at] * np.tile(self._envelope, count) + tones
        return mixed.clip(-32768, 32767).astype(np.int16)


def silence(_: float) -> Samples:
    """Return a quiet room: noise of a few steps."""
    return np.random.default_rng(1).normal(0, 8, round(PIECE * RATE)).astype(np.int16)


def music(start: float) -> Samples:
    """Return chords with a beat."""
    at = start + np.arange(round(PIECE * RATE)) / RATE
    root = 220.0 * 2 ** (np.array([0, 5, 7, 3])[(at // 2 % 4).astype(int)] / 12)
    beat = np.exp(-4 * (at % 0.5))
    chord = sum(np.sin(2 * np.pi * root * ratio * at) for ratio in (1.0, 1.25, 1.5, 2.0))
    loud: Samples = (2500 * chord * (0.3 + 0.7 * beat)).clip(-32768, 32767).astype(np.int16)
    return loud


def hold_tone(start: float) -> Samples:
    """Return the tone of a telephone on hold: 425 Hz, one second in five."""
    at = start + np.arange(round(PIECE * RATE)) / RATE
    return (8000 * np.sin(2 * np.pi * 425 * at) * (at % 5 < 1)).astype(np.int16)


class Whisper:
    """Noise with the shape of speech, as loud as a whisper, and words in it."""

    def __init__(self) -> None:
        self._loud = CodedVoice()
        self._random = np.random.default_rng(2)

    @property
    def said(self) -> list[str]:
        """Words so far."""
        return self._loud.said

    def __call__(self, start: float) -> Samples:
        """Return the next ``PIECE``."""
        voiced = self._loud(start).astype(np.float64)
        step = RATE // 100
        level = np.sqrt(
            np.mean(voiced[: len(voiced) // step * step].reshape(-1, step) ** 2, axis=1)
        )
        shape = np.repeat(level, step)
        breath = self._random.normal(0, 1, len(shape)) * shape * 0.05
        whispered: Samples = (voiced[: len(shape)] * 0.03 + breath).astype(np.int16)
        return whispered


async def heard(
    sound: Sound, minutes: float, engines: Engines, outcome: Outcome
) -> AsyncIterator[Speech]:
    """Find the spans in a sound, as ``agents/audio.py`` does; wait where the engine is behind."""
    detector, began, started_at = SpanDetector(NativeVad()), time.time(), 0.0
    fed = marked = 0.0
    while fed < minutes * 60:
        for chunk in _chunks(sound(fed)):
            for item in detector.feed(chunk)[1]:
                if isinstance(item, Started):
                    started_at = began + item.at
                    outcome.spans += 1
                    yield SpeechStarted(started_at, "speaker")
                elif isinstance(item, Piece):
                    yield AudioChunk(item.samples, began + item.at, "TR_1", False, item.speech)
                else:
                    yield SpeechEnded(began + item.at, "speaker", started_at)
            fed += len(chunk) / RATE
            await asyncio.sleep(0)
            await _caught_up(engines)
        if fed - marked >= minutes * 60 / 12 or not marked:
            marked = fed
            outcome.memory.append((round(fed / 60, 1), *_memory()))
    for item in detector.finish():
        yield SpeechEnded(began + item.at, "speaker", started_at)


def _chunks(samples: Samples) -> Iterator[Samples]:
    for at in range(0, len(samples), CHUNK):
        yield samples[at : at + CHUNK]


def _memory() -> tuple[float, float]:
    """Return MB of the process, and of Python's objects in it."""
    python = tracemalloc.get_traced_memory()[0]
    return round(psutil.Process().memory_info().rss / 1e6, 1), round(python / 1e6, 2)


async def _caught_up(engines: Engines) -> None:
    """Wait until the engine is less than ``AHEAD`` behind, at most a second."""
    for _ in range(200):
        if engines.waiting < AHEAD:
            return
        await asyncio.sleep(0.005)


async def run(name: str, sound: Sound, minutes: float, engine: str, server: Server) -> Outcome:
    """Hear one sound through one engine."""
    outcome = Outcome(name, engine, minutes)
    began = time.monotonic()
    settings = Settings(
        deepgram_api_key="key",
        deepgram_base_url=server.urls["deepgram"],
        openai_api_key="key",
        openai_base_url=server.urls["openai"],
    )
    engines, over = Engines(settings), asyncio.Event()

    async def speech() -> AsyncIterator[Speech]:
        async for item in heard(sound, minutes, engines, outcome):
            yield item
        over.set()

    meeting = ScriptedMeeting(engines, {"speaker": speech()})
    try:
        await meeting.hold(until=over, engine=engine)
    finally:
        await engines.aclose()
    said: list[str] = getattr(sound, "said", [])
    outcome.said = len(said)
    outcome.lost, outcome.doubled = lost_and_doubled(said, meeting.words)
    outcome.finals = len(meeting.finals)
    outcome.told = meeting.told
    outcome.took = round(time.monotonic() - began, 1)
    return outcome


class Server(ChildProcess):
    """The double of the services in a process of its own, so that its memory is not ours."""

    def __init__(self, log: Path) -> None:
        command = [sys.executable, "-m", "pipelines.testing.speech_server", "--no-interims"]
        super().__init__("speech server", command, log=log)

    @property
    def urls(self) -> dict[str, str]:
        """Addresses by protocol, once it has printed them."""
        self.wait_for_output('"deepgram"', timeout=30.0)
        lines = self.log.read_text().splitlines()
        urls: dict[str, str] = json.loads(next(line for line in lines if line.startswith("{")))
        return urls


def sounds(minutes: float) -> list[tuple[str, Sound, float, str]]:
    """Return (name, sound, minutes, engine) of the whole bench."""
    return [
        ("one speaker without a pause", CodedVoice(), minutes, "deepgram"),
        ("one speaker without a pause", CodedVoice(), minutes, "openai"),
        ("silence", silence, minutes / 2, "deepgram"),
        ("music", music, minutes / 12, "deepgram"),
        ("hold tone", hold_tone, minutes / 12, "deepgram"),
        ("whispering", Whisper(), minutes / 12, "deepgram"),
    ]


async def run_all(minutes: float, log: Path, report: Callable[[Outcome], None]) -> None:
    """Hear every sound, one after the other."""
    with Server(log) as server:
        for name, sound, length, engine in sounds(minutes):
            report(await run(name, sound, length, engine, server))


def main() -> int:
    """Print what became of each sound; fail where words are lost or silence has captions."""
    parser = argparse.ArgumentParser(prog="python -m bench.long_speech")
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--json", type=Path, help="file that takes the outcomes")
    options = parser.parse_args()
    outcomes: list[Outcome] = []

    def report(one: Outcome) -> None:
        outcomes.append(one)
        words = f"{one.said} words, {one.lost} lost, {one.doubled} doubled" if one.said else ""
        print(
            f"{one.sound}, {one.minutes:g} min, {one.engine}: {words or 'no words in it'};", end=" "
        )
        print(f"{one.spans} spans, {one.finals} finals, told {one.told}, in {one.took:.0f} s")
        print("  memory, MB (min: process, Python): ", end="")
        print(", ".join(f"{at:g}: {rss:.0f}, {python:.1f}" for at, rss, python in one.memory))

    tracemalloc.start()
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run_all(options.minutes, Path(directory) / "server.log", report))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1))
    without_pause = outcomes[:2]
    silent = outcomes[2]
    return 1 if silent.finals or any(one.lost or one.doubled for one in without_pause) else 0


if __name__ == "__main__":
    sys.exit(main())
