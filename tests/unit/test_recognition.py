"""A span of speech on its way through an engine: what is kept, what is said again, what is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from livekit.agents import APIConnectionError, APIStatusError, LanguageCode, stt

from pipelines.errors import EngineFailedError
from pipelines.speech import stt as adapter
from pipelines.speech.batch import BatchRecognition
from pipelines.speech.heard import RATE, Heard, Samples
from pipelines.speech.stt import Recognition, Recognizer
from pipelines.testing import EchoSTT

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


@pytest.fixture(autouse=True)
def _no_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "RETRY_DELAYS", (0.0, 0.0))


def recognizer(engine: stt.STT[str]) -> Recognizer:
    return Recognizer("test/engine", engine, slots=asyncio.Semaphore(2), language="en")


async def recognise(engine: stt.STT[str], seconds: float = 2.0) -> list[Heard]:
    """Push speech of this length at once, and return all that is heard."""
    recognition = recognizer(engine).recognition()
    for _ in range(round(seconds * 10)):
        recognition.push(CHUNK)
    recognition.end()
    try:
        return [heard async for heard in recognition]
    finally:
        await recognition.aclose()


async def collect(recognition: Recognition, heard: list[Heard]) -> None:
    """Put what is heard into ``heard``, also what comes before an error."""
    async for item in recognition:
        heard.append(item)  # noqa: PERF401 - see above


def texts(heard: list[Heard]) -> list[tuple[str, bool, int]]:
    return [(h.text, h.final, h.part) for h in heard]


async def test_finals_are_counted_and_interims_carry_the_part_that_they_become() -> None:
    async def run(stream: ScriptedStream) -> None:
        await stream.take()
        stream.say(INTERIM, "one")
        stream.say(FINAL, "one two")
        stream.say(INTERIM, "three")
        stream.say(FINAL, "three four")

    assert texts(await recognise(ScriptedSTT(run))) == [
        ("one", False, 0),
        ("one two", True, 0),
        ("three", False, 1),
        ("three four", True, 1),
    ]


async def test_an_interim_that_no_final_follows_becomes_the_final() -> None:
    async def run(stream: ScriptedStream) -> None:
        await stream.take()
        stream.say(FINAL, "first", 0.0, 1.0)
        stream.say(INTERIM, "last words", 1.2, 1.8)

    assert texts(await recognise(ScriptedSTT(run))) == [
        ("first", True, 0),
        ("last words", False, 1),
        ("last words", True, 1),
    ]


async def test_an_empty_final_withdraws_an_interim_and_is_nothing_otherwise() -> None:
    async def run(stream: ScriptedStream) -> None:
        await stream.take()
        stream.say(FINAL, "")
        stream.say(INTERIM, "noise")
        stream.say(FINAL, "  ")

    assert texts(await recognise(ScriptedSTT(run))) == [("noise", False, 0), ("", True, 0)]


async def test_times_of_the_engine_are_held_within_the_audio() -> None:
    async def run(stream: ScriptedStream) -> None:
        await stream.take()
        stream.say(FINAL, "early", -3.0, 0.5)
        stream.say(FINAL, "late", 1.5, 99.0)

    heard = await recognise(ScriptedSTT(run), seconds=2.0)
    assert [(h.start, h.end) for h in heard] == [(0.0, 0.5), (1.5, 2.0)]


async def test_without_times_a_final_lasts_from_the_one_before_to_the_audio_so_far() -> None:
    async def run(stream: ScriptedStream) -> None:
        await stream.take()
        stream.say(FINAL, "timed", 0.2, 0.7)
        stream.say(FINAL, "not timed")

    heard = await recognise(ScriptedSTT(run), seconds=2.0)
    assert [(h.start, h.end, h.language) for h in heard] == [(0.2, 0.7, "en"), (0.7, 2.0, "en")]


async def test_after_a_failure_what_no_final_covers_is_said_again() -> None:
    async def breaks(stream: ScriptedStream) -> None:
        await stream.take()
        stream.say(FINAL, "settled", 0.1, 1.0)
        stream.say(INTERIM, "not sett", 1.1, 1.4)
        raise APIConnectionError("gone")

    async def works(stream: ScriptedStream) -> None:
        await stream.take()
        stream.say(FINAL, f"{stream.seconds:.1f} s", 0.2, 0.9)

    heard = await recognise(ScriptedSTT(breaks, works), seconds=2.0)
    assert texts(heard) == [("settled", True, 0), ("not sett", False, 1), ("1.0 s", True, 1)]
    assert (heard[-1].start, heard[-1].end) == pytest.approx((1.2, 1.9))


async def test_audio_pushed_while_the_engine_is_away_is_not_lost() -> None:
    async def breaks(stream: ScriptedStream) -> None:
        await stream.take(0.5)
        raise APIConnectionError("gone")

    async def works(stream: ScriptedStream) -> None:
        await stream.take()
        stream.say(FINAL, f"{stream.seconds:.1f} s")

    recognition = recognizer(ScriptedSTT(breaks, works)).recognition()
    heard: list[Heard] = []
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(collect(recognition, heard))
        for _ in range(20):
            recognition.push(CHUNK)
            await asyncio.sleep(0.001)
        recognition.end()
    await recognition.aclose()
    assert [h.text for h in heard] == ["2.0 s"]


async def test_three_failures_in_a_row_are_one_for_people_and_keep_the_interim() -> None:
    async def breaks(stream: ScriptedStream) -> None:
        await stream.take(0.5)
        stream.say(INTERIM, "half a sen")
        raise APIStatusError("sk-secret", status_code=503)

    engine = ScriptedSTT(breaks)
    recognition = recognizer(engine).recognition()
    recognition.push(np.concatenate([CHUNK] * 5))
    recognition.end()
    heard: list[Heard] = []
    with pytest.raises(EngineFailedError, match="test/engine answered HTTP 503"):
        await collect(recognition, heard)
    await recognition.aclose()
    assert len(engine.opened) == 3
    assert texts(heard)[-1] == ("half a sen", True, 0)


async def test_a_final_between_failures_starts_the_count_anew() -> None:
    async def breaks(stream: ScriptedStream) -> None:
        await stream.take(0.1)
        stream.say(FINAL, "word", 0.0, 0.1)
        raise APIConnectionError("gone")

    async def works(stream: ScriptedStream) -> None:
        await stream.take()
        stream.say(FINAL, "rest")

    heard = await recognise(ScriptedSTT(*[breaks] * 5, works), seconds=2.0)
    assert [h.text for h in heard] == ["word"] * 5 + ["rest"]


async def test_a_refused_key_is_not_tried_again() -> None:
    async def refuses(_: ScriptedStream) -> None:
        raise APIStatusError("no", status_code=401)

    engine = ScriptedSTT(refuses)
    with pytest.raises(EngineFailedError, match="refused the key"):
        await recognise(engine)
    assert len(engine.opened) == 1


async def test_an_engine_that_is_silent_after_the_end_fails_and_its_interim_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adapter, "SETTLE_TIMEOUT", 0.05)

    async def hangs(stream: ScriptedStream) -> None:
        stream.say(INTERIM, "hello")
        await stream.take()
        await asyncio.sleep(60)

    recognition = recognizer(ScriptedSTT(hangs)).recognition()
    recognition.push(CHUNK)
    asyncio.get_running_loop().call_later(0.05, recognition.end)
    heard: list[Heard] = []
    with pytest.raises(EngineFailedError, match="did not answer in time"):
        await collect(recognition, heard)
    await recognition.aclose()
    assert texts(heard) == [("hello", False, 0), ("hello", True, 0)]


async def test_silence_of_an_engine_while_speech_goes_on_is_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adapter, "SETTLE_TIMEOUT", 0.05)

    async def slow(stream: ScriptedStream) -> None:
        await stream.take()
        stream.say(FINAL, "there")

    recognition = recognizer(ScriptedSTT(slow)).recognition()
    heard: list[Heard] = []
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(collect(recognition, heard))
        recognition.push(CHUNK)
        await asyncio.sleep(0.2)
        recognition.end()
    await recognition.aclose()
    assert [h.text for h in heard] == ["there"]


async def test_echo_tells_at_once_how_much_it_heard() -> None:
    engine = EchoSTT()
    heard = await recognise(engine, seconds=1.2)
    assert [(h.text, h.final) for h in heard] == [
        ("span 1 has 0.50 seconds", False),
        ("span 1 has 1.00 seconds", False),
        ("span 1 has 1.20 seconds", True),
    ]
    assert (await recognise(engine, seconds=0.4))[0].text == "span 2 has 0.40 seconds"


async def test_long_speech_through_a_streaming_engine_is_cut_where_it_is_quiet() -> None:
    recognition = recognizer(EchoSTT()).recognition()
    for at in range(450):
        recognition.push(CHUNK, speech=0.1 if at == 249 else 0.9)
    recognition.end()
    finals = [h async for h in recognition if h.final]
    await recognition.aclose()
    assert [(h.part, round(h.start, 1), round(h.end, 1)) for h in finals] == [
        (0, 0.0, 25.0),
        (1, 25.0, 45.0),
    ]


class Asked:
    """What a batch engine was asked; the text of a piece is its length, or the test's."""

    def __init__(self) -> None:
        self.pieces: list[int] = []
        self.texts: dict[int, str | Exception] = {}
        self.delays: dict[int, float] = {}

    async def __call__(self, samples: Samples) -> tuple[str, str]:
        number = len(self.pieces)
        self.pieces.append(len(samples))
        await asyncio.sleep(self.delays.get(number, 0.0))
        text = self.texts.get(number, f"{len(samples) / RATE:.1f} s")
        if isinstance(text, Exception):
            raise text
        return text, "en"


@contextmanager
def batch(asked: Asked, seconds: float) -> Iterator[BatchRecognition]:
    recognition = BatchRecognition(asked, lambda error: EngineFailedError(f"because {error}"))
    for _ in range(round(seconds * 10)):
        recognition.push(CHUNK)
    recognition.end()
    yield recognition


async def drained(recognition: BatchRecognition) -> AsyncIterator[Heard]:
    async for heard in recognition:
        yield heard
    await recognition.aclose()


async def test_pieces_of_a_long_span_come_in_order_whichever_is_ready_first() -> None:
    asked = Asked()
    asked.delays = {0: 0.1}
    with batch(asked, 65.0) as recognition:
        heard = [h async for h in drained(recognition)]
    assert [(h.text, h.part, h.start, h.end) for h in heard] == [
        ("30.0 s", 0, 0.0, 30.0),
        ("30.0 s", 1, 30.0, 60.0),
        ("5.0 s", 2, 60.0, 65.0),
    ]


async def test_a_piece_is_recognised_while_the_span_goes_on() -> None:
    asked = Asked()
    recognition = BatchRecognition(asked, lambda error: EngineFailedError(str(error)))
    for _ in range(310):
        recognition.push(CHUNK)
    async with asyncio.timeout(1.0):
        first = await anext(aiter(recognition))
    await recognition.aclose()
    assert first.text == "30.0 s"


async def test_a_piece_without_words_takes_no_part() -> None:
    asked = Asked()
    asked.texts = {1: ""}
    with batch(asked, 65.0) as recognition:
        heard = [h async for h in drained(recognition)]
    assert [(h.part, h.start) for h in heard] == [(0, 0.0), (1, 60.0)]


async def test_a_piece_that_fails_does_not_keep_back_the_ones_after_it() -> None:
    asked = Asked()
    asked.texts = {0: ValueError("first")}
    heard: list[Heard] = []
    with batch(asked, 35.0) as recognition:
        with pytest.raises(EngineFailedError, match="because first"):
            await collect(recognition, heard)
        await recognition.aclose()
    assert [h.text for h in heard] == ["5.0 s"]


async def test_a_piece_too_short_for_a_provider_is_padded_with_silence() -> None:
    asked = Asked()
    recognition = BatchRecognition(asked, lambda error: EngineFailedError(str(error)))
    recognition.push(CHUNK[:400])
    recognition.end()
    heard = [h async for h in drained(recognition)]
    assert asked.pieces == [1600]
    assert heard[0].end == 0.025


async def test_closing_a_batch_recognition_ends_what_it_began() -> None:
    asked = Asked()
    asked.delays = {0: 60.0}
    with batch(asked, 1.0) as recognition:
        await asyncio.sleep(0)
        async with asyncio.timeout(1.0):
            await recognition.aclose()
    assert not [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
