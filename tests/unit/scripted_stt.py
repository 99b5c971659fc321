"""An engine that says what a test tells it, and what becomes of speech that is given to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from livekit.agents import APIConnectionError, APIStatusError, LanguageCode, stt

from pipelines.speech.heard import RATE, Heard, Item, Lost
from pipelines.speech.stt import Recognition, Recognizer

CHUNK = np.ones(RATE // 10, dtype=np.int16)
INTERIM = stt.SpeechEventType.INTERIM_TRANSCRIPT
FINAL = stt.SpeechEventType.FINAL_TRANSCRIPT

Run = Callable[["ScriptedStream"], Awaitable[None]]


class ScriptedSTT(stt.STT[str]):
    """An engine whose streams run the test's functions, one after another; the last one stays."""

    def __init__(self, *runs: Run) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True))
        self.runs = list(runs)
        self.opened: list[ScriptedStream] = []

    def stream(self, *, conn_options: Any = None, **_: Any) -> stt.RecognizeStream:
        run = self.runs[min(len(self.opened), len(self.runs) - 1)]
        self.opened.append(ScriptedStream(stt=self, conn_options=conn_options, run=run))
        return self.opened[-1]

    async def _recognize_impl(self, buffer: Any, **_: Any) -> stt.SpeechEvent:
        raise NotImplementedError


class ScriptedStream(stt.RecognizeStream):
    def __init__(self, *, stt: ScriptedSTT, conn_options: Any, run: Run) -> None:
        super().__init__(stt=stt, conn_options=conn_options)
        self._runs = run
        self.seconds = 0.0

    async def _run(self) -> None:
        await self._runs(self)

    async def take(self, seconds: float = 1e9) -> None:
        """Take audio until there are ``seconds`` of it, or its end."""
        while self.seconds < seconds - 0.01:
            try:
                item = await self._input_ch.recv()
            except Exception:  # livekit's ChanClosed has no public name
                return
            self.seconds += getattr(item, "duration", 0.0)

    def say(
        self, kind: stt.SpeechEventType, text: str, start: float = 0.0, end: float = 0.0
    ) -> None:
        data = stt.SpeechData(LanguageCode(""), text, start_time=start, end_time=end)
        self._event_ch.send_nowait(stt.SpeechEvent(type=kind, alternatives=[data]))


def recognizer(engine: stt.STT[str], name: str = "test/engine", **more: Any) -> Recognizer:
    return Recognizer(name, engine, slots=asyncio.Semaphore(2), language="en", **more)


def say(recognition: Recognition, seconds: float) -> None:
    for _ in range(round(seconds * 10)):
        recognition.push(CHUNK)


async def items(recognition: Recognition) -> list[Item]:
    """Return all that comes of a recognition, which is closed."""
    try:
        return [item async for item in recognition]
    finally:
        await recognition.aclose()


async def recognise(engine: stt.STT[str] | Recognizer, seconds: float = 2.0) -> list[Item]:
    """Push speech of this length at once, and return all that comes of it."""
    made = engine if isinstance(engine, Recognizer) else recognizer(engine)
    recognition = made.recognition()
    say(recognition, seconds)
    recognition.end()
    return await items(recognition)


def heard(come: list[Item]) -> list[Heard]:
    return [item for item in come if isinstance(item, Heard)]


def lost(come: list[Item]) -> list[tuple[float, float]]:
    return [(item.start, item.end) for item in come if isinstance(item, Lost)]


def texts(come: list[Item]) -> list[tuple[str, bool, int]]:
    return [(h.text, h.final, h.part) for h in heard(come)]


async def breaks(stream: ScriptedStream) -> None:
    await stream.take(0.5)
    raise APIConnectionError("gone")


async def works(stream: ScriptedStream) -> None:
    await stream.take()
    stream.say(FINAL, f"{stream.seconds:.1f} s", 0.0, stream.seconds)


async def refuses(_: ScriptedStream) -> None:
    raise APIStatusError("sk-secret", status_code=401)


async def is_silent(stream: ScriptedStream) -> None:
    await stream.take()
    await asyncio.sleep(1e6)
