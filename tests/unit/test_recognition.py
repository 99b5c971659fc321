"""A span of speech on its way through an engine: what is kept, what is said again, what is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from livekit.agents import APIConnectionError, APIStatusError, LanguageCode, stt

from pipelines.speech import stt as adapter
from pipelines.speech.attempts import RETURN_AFTER
from pipelines.speech.backlog import Backlog
from pipelines.speech.batch import BatchSource
from pipelines.speech.breaker import Breaker, State
from pipelines.speech.failover import PATIENCE
from pipelines.speech.heard import RATE, Heard, Interrupted, Item, Lost, Samples
from pipelines.speech.kept import LONGEST
from pipelines.speech.stt import Recognition, Recognizer
from pipelines.speech.usage import Usage
from pipelines.testing import EchoSTT
from tests.unit.virtual_time import in_virtual_time

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


@in_virtual_time
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


@in_virtual_time
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


@in_virtual_time
async def test_an_empty_final_withdraws_an_interim_and_is_nothing_otherwise() -> None:
    async def run(stream: ScriptedStream) -> None:
        await stream.take()
        stream.say(FINAL, "")
        stream.say(INTERIM, "noise")
        stream.say(FINAL, "  ")

    assert texts(await recognise(ScriptedSTT(run))) == [("noise", False, 0), ("", True, 0)]


@in_virtual_time
async def test_times_of_the_engine_are_held_within_the_audio() -> None:
    async def run(stream: ScriptedStream) -> None:
        await stream.take()
        stream.say(FINAL, "early", -3.0, 0.5)
        stream.say(FINAL, "late", 1.5, 99.0)

    come = heard(await recognise(ScriptedSTT(run), seconds=2.0))
    assert [(h.start, h.end) for h in come] == [(0.0, 0.5), (1.5, 2.0)]


@in_virtual_time
async def test_without_times_a_final_lasts_from_the_one_before_to_the_audio_so_far() -> None:
    async def run(stream: ScriptedStream) -> None:
        await stream.take()
        stream.say(FINAL, "timed", 0.2, 0.7)
        stream.say(FINAL, "not timed")

    come = heard(await recognise(ScriptedSTT(run), seconds=2.0))
    assert [(h.start, h.end, h.language) for h in come] == [(0.2, 0.7, "en"), (0.7, 2.0, "en")]


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


@in_virtual_time
async def test_after_a_failure_what_no_final_covers_is_said_again() -> None:
    async def settles_half(stream: ScriptedStream) -> None:
        await stream.take()
        stream.say(FINAL, "settled", 0.1, 1.0)
        stream.say(INTERIM, "not sett", 1.1, 1.4)
        raise APIConnectionError("gone")

    async def settles_rest(stream: ScriptedStream) -> None:
        await stream.take()
        stream.say(FINAL, f"{stream.seconds:.1f} s", 0.2, 0.9)

    come = await recognise(ScriptedSTT(settles_half, settles_rest), seconds=2.0)
    assert texts(come) == [("settled", True, 0), ("not sett", False, 1), ("1.0 s", True, 1)]
    assert (heard(come)[-1].start, heard(come)[-1].end) == pytest.approx((1.2, 1.9))


@in_virtual_time
async def test_audio_pushed_while_the_engine_is_away_is_not_lost() -> None:
    recognition = recognizer(ScriptedSTT(breaks, works)).recognition()
    async with asyncio.TaskGroup() as tasks:
        come = tasks.create_task(items(recognition))
        for _ in range(20):
            recognition.push(CHUNK)
            await asyncio.sleep(0.1)
        recognition.end()
    assert texts(come.result()) == [("2.0 s", True, 0)]


@in_virtual_time
async def test_one_failure_that_is_gone_at_once_is_not_told() -> None:
    assert texts(await recognise(ScriptedSTT(breaks, works))) == [("2.0 s", True, 0)]


@in_virtual_time
async def test_a_second_failure_is_told_in_words_for_people_and_without_secrets() -> None:
    async def is_busy(_: ScriptedStream) -> None:
        raise APIStatusError("sk-secret", status_code=503)

    come = await recognise(ScriptedSTT(is_busy, is_busy, works))
    assert come[0] == Interrupted("test/engine answered HTTP 503 Service Unavailable")
    assert texts(come) == [("2.0 s", True, 0)]


@in_virtual_time
async def test_the_fallback_takes_over_and_is_named() -> None:
    fallback = recognizer(ScriptedSTT(works), "other/engine")
    come = await recognise(recognizer(ScriptedSTT(breaks), fallback=fallback))
    assert [(h.text, h.engine) for h in heard(come)] == [("2.0 s", "other/engine")]
    assert not lost(come)


@in_virtual_time
async def test_a_fallback_may_be_of_the_other_kind() -> None:
    class Batch(ScriptedSTT):
        async def _recognize_impl(self, buffer: Any, **_: Any) -> stt.SpeechEvent:
            seconds = sum(frame.duration for frame in buffer)
            data = stt.SpeechData(LanguageCode("en"), f"{seconds:.1f} s in a piece")
            return stt.SpeechEvent(type=FINAL, alternatives=[data])

    batch_engine = Batch()
    batch_engine._capabilities = stt.STTCapabilities(streaming=False, interim_results=False)
    fallback = recognizer(batch_engine, "other/engine")
    come = await recognise(recognizer(ScriptedSTT(refuses), fallback=fallback))
    assert texts(come) == [("2.0 s in a piece", True, 0)]


@in_virtual_time
async def test_speech_goes_back_to_the_first_engine_at_a_final_once_it_works_again() -> None:
    async def one_word_at_a_time(stream: ScriptedStream) -> None:
        for number in range(1, 1000):
            await stream.take(number * 1.0)
            stream.say(FINAL, "fallback", number - 1.0, number * 1.0)

    first = ScriptedSTT(breaks, breaks, works)
    fallback = recognizer(ScriptedSTT(one_word_at_a_time), "other/engine")
    recognition = recognizer(first, fallback=fallback).recognition()
    async with asyncio.TaskGroup() as tasks:
        come = tasks.create_task(items(recognition))
        for _ in range(420):
            recognition.push(CHUNK)
            await asyncio.sleep(0.1)
        recognition.end()
    engines = [h.engine for h in heard(come.result())]
    assert engines[0] == "other/engine"
    assert engines[-1] == "test/engine"
    assert RETURN_AFTER <= engines.index("test/engine") <= RETURN_AFTER + 3.0  # a word a second
    assert heard(come.result())[-1].end == pytest.approx(42.0)
    assert not lost(come.result())


@in_virtual_time
async def test_without_a_fallback_speech_waits_until_the_engine_is_back() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def is_back_after_a_minute(stream: ScriptedStream) -> None:
        await (breaks if loop.time() - began < 60.0 else works)(stream)

    engine = ScriptedSTT(is_back_after_a_minute)
    come = await recognise(engine)
    assert texts(come) == [("2.0 s", True, 0)]
    assert len(engine.opened) < 12  # It is left alone most of the time.


@in_virtual_time
async def test_speech_that_no_engine_takes_in_time_is_a_hole_and_its_interim_is_kept() -> None:
    async def shows_and_breaks(stream: ScriptedStream) -> None:
        await stream.take(0.5)
        stream.say(INTERIM, "half a sen", 0.0, 0.5)
        raise APIStatusError("sk-secret", status_code=503)

    loop = asyncio.get_running_loop()
    began = loop.time()
    come = await recognise(ScriptedSTT(shows_and_breaks))
    assert loop.time() - began == pytest.approx(PATIENCE, abs=1.0)
    assert texts(come)[-1] == ("half a sen", True, 0)
    assert come[-1] == Lost(0.5, 2.0, "test/engine answered HTTP 503 Service Unavailable")


@in_virtual_time
async def test_a_refused_key_is_not_tried_again_by_this_span_or_another() -> None:
    engine = ScriptedSTT(refuses)
    made = recognizer(engine, advice="check THE_KEY")
    for _ in range(2):
        come = await recognise(made)
        assert lost(come) == [(0.0, 2.0)]
        reason = "test/engine refused the key (HTTP 401); check THE_KEY"
        assert reason in (come[-1].reason, come[0].reason)  # type: ignore[union-attr]
    assert len(engine.opened) == 1
    made.breaker.reset()
    await recognise(made)
    assert len(engine.opened) == 2


@in_virtual_time
async def test_speech_that_is_rejected_is_not_said_to_that_engine_again() -> None:
    async def rejects(_: ScriptedStream) -> None:
        raise APIStatusError("too odd", status_code=400)

    engine = ScriptedSTT(rejects)
    fallback = recognizer(ScriptedSTT(works), "other/engine")
    made = recognizer(engine, fallback=fallback)
    assert texts(await recognise(made)) == [("2.0 s", True, 0)]
    assert len(engine.opened) == 1
    assert made.breaker.state is State.CLOSED


@in_virtual_time
async def test_retry_after_is_honoured() -> None:
    answer = OSError()  # The plugin hides its library's error, which has the headers.
    answer.headers = {"Retry-After": "30"}  # type: ignore[attr-defined]

    async def is_busy(_: ScriptedStream) -> None:
        error = APIStatusError("busy", status_code=429)
        error.__context__ = answer
        raise error

    loop = asyncio.get_running_loop()
    began = loop.time()
    assert texts(await recognise(ScriptedSTT(is_busy, works))) == [("2.0 s", True, 0)]
    assert loop.time() - began == pytest.approx(30.0, abs=1.0)


@in_virtual_time
async def test_a_dead_engine_costs_its_time_out_once_then_the_fallback_is_asked_at_once() -> None:
    loop = asyncio.get_running_loop()
    dead = ScriptedSTT(is_silent)
    made = recognizer(dead, fallback=recognizer(ScriptedSTT(works), "other/engine"))
    for _ in range(3):
        assert not lost(await recognise(made))
    assert made.breaker.state is State.OPEN
    began = loop.time()
    assert texts(await recognise(made)) == [("2.0 s", True, 0)]
    assert loop.time() - began < 0.5
    assert len(dead.opened) == 3


@in_virtual_time
async def test_an_engine_that_is_silent_after_the_end_fails_and_its_interim_is_kept() -> None:
    async def hangs(stream: ScriptedStream) -> None:
        await stream.take(0.5)
        stream.say(INTERIM, "hello", 0.0, 0.5)
        await is_silent(stream)

    come = await recognise(ScriptedSTT(hangs))
    assert come[1] == Interrupted("test/engine did not answer in time")
    assert texts(come)[-1] == ("hello", True, 0)
    assert lost(come) == [(0.5, 2.0)]


async def speak_on(recognition: Recognition, seconds: float) -> None:
    for _ in range(round(seconds * 10)):
        recognition.push(CHUNK)
        await asyncio.sleep(0.1)


@in_virtual_time
async def test_a_service_that_says_nothing_to_long_speech_is_given_up_while_it_goes_on() -> None:
    fallback = recognizer(ScriptedSTT(works), "other/engine")
    recognition = recognizer(ScriptedSTT(is_silent), fallback=fallback).recognition()
    async with asyncio.TaskGroup() as tasks:
        come = tasks.create_task(items(recognition))
        await speak_on(recognition, 50.0)
        recognition.end()
    assert texts(come.result())[-1] == ("50.0 s", True, 0)
    assert any(isinstance(item, Interrupted) for item in come.result())


@in_virtual_time
async def test_an_engine_on_this_machine_may_be_busy_with_others_for_longer() -> None:
    async def late(stream: ScriptedStream) -> None:
        await stream.take()
        await asyncio.sleep(adapter.LOCAL_TIMEOUT - 5.0)
        stream.say(FINAL, "there")

    recognition = recognizer(ScriptedSTT(late), local=True).recognition()
    async with asyncio.TaskGroup() as tasks:
        come = tasks.create_task(items(recognition))
        await speak_on(recognition, 40.0)
        recognition.end()
    assert texts(come.result()) == [("there", True, 0)]


@in_virtual_time
async def test_a_stream_that_ends_in_the_middle_of_speech_is_a_failure() -> None:
    async def leaves(stream: ScriptedStream) -> None:
        await stream.take(0.5)

    recognition = recognizer(ScriptedSTT(leaves, works)).recognition()
    async with asyncio.TaskGroup() as tasks:
        come = tasks.create_task(items(recognition))
        await speak_on(recognition, 2.0)
        recognition.end()
    assert texts(come.result()) == [("2.0 s", True, 0)]


@in_virtual_time
async def test_last_words_that_a_service_may_not_have_heard_are_said_again_once() -> None:
    async def closes_early(stream: ScriptedStream) -> None:
        await stream.take()
        stream.say(FINAL, "first half", 0.0, 1.0)

    engine = ScriptedSTT(closes_early, works)
    assert texts(await recognise(recognizer(engine, counts_answers=True))) == [
        ("first half", True, 0),
        ("1.0 s", True, 1),
    ]
    silent_end = ScriptedSTT(closes_early, lambda stream: stream.take())
    await recognise(recognizer(silent_end, counts_answers=False))
    assert len(silent_end.opened) == 1


@in_virtual_time
async def test_speech_older_than_two_minutes_falls_out_and_is_told() -> None:
    recognition = recognizer(ScriptedSTT(refuses)).recognition()
    say(recognition, LONGEST / RATE + 5.0)
    assert recognition.unsettled == (0.0, 125.0)
    recognition.end()
    assert lost(await items(recognition)) == [(0.0, 5.0), (5.0, 125.0)]


@in_virtual_time
async def test_silence_after_the_last_word_is_no_hole() -> None:
    async def settles_and_breaks(stream: ScriptedStream) -> None:
        await stream.take()
        stream.say(FINAL, "all of it", 0.0, 2.0)
        await breaks(stream)

    engine = ScriptedSTT(settles_and_breaks)
    recognition = recognizer(engine).recognition()
    say(recognition, 2.0)
    for _ in range(10):
        recognition.push(CHUNK, speech=0.0)
    recognition.end()
    come = await items(recognition)
    assert texts(come) == [("all of it", True, 0)]
    assert not lost(come)
    assert len(engine.opened) == 1


@in_virtual_time
async def test_at_the_end_of_the_meeting_what_waits_is_given_up_in_time() -> None:
    loop = asyncio.get_running_loop()
    recognition = recognizer(ScriptedSTT(is_silent)).recognition()
    say(recognition, 2.0)
    recognition.end()
    recognition.hurry(6.0)
    began = loop.time()
    assert lost(await items(recognition)) == [(0.0, 2.0)]
    assert loop.time() - began == pytest.approx(6.0, abs=0.5)
    assert recognition.unsettled is None


@in_virtual_time
async def test_too_much_speech_that_waits_goes_to_the_fallback_oldest_first() -> None:
    backlog = Backlog(cap=10 * RATE)
    fallback = recognizer(ScriptedSTT(works), "other/engine", backlog=backlog)
    made = recognizer(ScriptedSTT(is_silent), fallback=fallback, backlog=backlog)
    old, new = made.recognition(), made.recognition()
    async with asyncio.TaskGroup() as tasks:
        of_old = tasks.create_task(items(old))
        tasks.create_task(items(new))
        say(old, 6.0)
        say(new, 4.0)
        old.end()
        await asyncio.sleep(1.0)
        assert not of_old.done()
        say(new, 1.0)
        await asyncio.sleep(1.0)
        assert [h.engine for h in heard(of_old.result())] == ["other/engine"]
        new.end()


@in_virtual_time
async def test_too_much_speech_that_nobody_takes_is_given_up_and_told() -> None:
    backlog = Backlog(cap=5 * RATE)
    recognition = recognizer(ScriptedSTT(is_silent), backlog=backlog).recognition()
    async with asyncio.TaskGroup() as tasks:
        come = tasks.create_task(items(recognition))
        await asyncio.sleep(0.1)
        say(recognition, 6.0)
        await asyncio.sleep(0.1)
        assert backlog.seconds < 5.0
        recognition.end()
    assert lost(come.result())[0] == (0.0, 6.0)


@in_virtual_time
async def test_what_engines_are_used_for_is_counted_again_where_it_is_said_again() -> None:
    usage = Usage()
    await recognise(recognizer(ScriptedSTT(breaks, works), usage=usage))
    assert usage.engines["test/engine"].audio == pytest.approx(4.0, abs=0.2)


@in_virtual_time
async def test_a_probe_of_a_speaker_who_leaves_makes_way_for_the_next() -> None:
    made = recognizer(ScriptedSTT(is_silent), breaker=Breaker())
    for _ in range(3):
        made.breaker.failed(asyncio.get_running_loop().time())
    await asyncio.sleep(3.0)
    recognition = made.recognition()
    say(recognition, 1.0)
    task = asyncio.create_task(items(recognition))
    await asyncio.sleep(0.1)
    assert made.breaker.state is State.HALF_OPEN
    task.cancel()
    await asyncio.wait({task})
    assert made.breaker.ask(asyncio.get_running_loop().time())


@in_virtual_time
async def test_echo_tells_at_once_how_much_it_heard() -> None:
    engine = EchoSTT()
    come = heard(await recognise(engine, seconds=1.2))
    assert [(h.text, h.final) for h in come] == [
        ("span 1 has 0.50 seconds", False),
        ("span 1 has 1.00 seconds", False),
        ("span 1 has 1.20 seconds", True),
    ]
    assert heard(await recognise(engine, seconds=0.4))[0].text == "span 2 has 0.40 seconds"


@in_virtual_time
async def test_long_speech_through_a_streaming_engine_is_cut_where_it_is_quiet() -> None:
    recognition = recognizer(EchoSTT()).recognition()
    for at in range(450):
        quiet = 249 <= at < 251
        recognition.push(CHUNK if quiet else CHUNK * 1000, speech=0.1 if quiet else 0.9)
    recognition.end()
    first, second = [h for h in heard(await items(recognition)) if h.final]
    assert (first.start, second.end) == (0.0, 45.0)
    assert first.end == second.start == pytest.approx(25.0, abs=0.1)


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


def batch(asked: Asked, seconds: float) -> BatchSource:
    source = BatchSource(asked)
    for _ in range(round(seconds * 10)):
        source.push(CHUNK)
    source.end()
    return source


@in_virtual_time
async def test_pieces_of_a_long_span_come_in_order_whichever_is_ready_first() -> None:
    asked = Asked()
    asked.delays = {0: 0.1}
    come = [h async for h in batch(asked, 65.0)]
    assert [h.start for h in come] == [0.0, *(h.end for h in come[:-1])]
    assert [h.end for h in come] == [pytest.approx(30.0, abs=0.2), pytest.approx(60.0, abs=0.2), 65]


@in_virtual_time
async def test_a_piece_is_recognised_while_the_span_goes_on() -> None:
    source = BatchSource(Asked())
    for _ in range(310):
        source.push(CHUNK)
    async with asyncio.timeout(1.0):
        first = await anext(aiter(source))
    await source.aclose()
    assert first.end == pytest.approx(30.0, abs=0.2)


@in_virtual_time
async def test_the_piece_that_fails_says_where_it_ends() -> None:
    asked = Asked()
    asked.texts = {1: ValueError("no")}
    source = batch(asked, 65.0)
    results = aiter(source)
    await anext(results)
    with pytest.raises(ValueError, match="no"):
        await anext(results)
    assert source.stuck_until == pytest.approx(60.0, abs=0.2)
    await source.aclose()


@in_virtual_time
async def test_a_piece_too_short_for_a_provider_is_padded_with_silence() -> None:
    asked = Asked()
    source = BatchSource(asked)
    source.push(CHUNK[:400])
    source.end()
    come = [h async for h in source]
    assert asked.pieces == [1600]
    assert come[0].end == 0.025


@in_virtual_time
async def test_closing_a_batch_source_ends_what_it_began() -> None:
    asked = Asked()
    asked.delays = {0: 60.0}
    source = batch(asked, 1.0)
    await asyncio.sleep(0)
    async with asyncio.timeout(1.0):
        await source.aclose()
    assert not [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
