"""A span on its way through engines that fail: what is said again, to whom, and what is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from livekit.agents import APIConnectionError, APIStatusError, LanguageCode, stt

from pipelines.speech import stt as adapter
from pipelines.speech.attempts import RETURN_AFTER
from pipelines.speech.backlog import Backlog
from pipelines.speech.breaker import Breaker, State
from pipelines.speech.failover import PATIENCE
from pipelines.speech.heard import RATE, Interrupted, Lost
from pipelines.speech.kept import LONGEST
from pipelines.speech.stt import Recognition
from pipelines.speech.usage import Usage
from tests.unit.scripted_stt import (
    CHUNK,
    FINAL,
    INTERIM,
    ScriptedStream,
    ScriptedSTT,
    breaks,
    heard,
    is_silent,
    items,
    lost,
    recognise,
    recognizer,
    refuses,
    say,
    texts,
    works,
)
from tests.unit.virtual_time import in_virtual_time


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
