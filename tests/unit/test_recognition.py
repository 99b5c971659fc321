"""What a streaming engine says of a span becomes results: parts, interims, times, cuts."""

from __future__ import annotations

import pytest

from pipelines.testing import EchoSTT
from tests.unit.scripted_stt import (
    CHUNK,
    FINAL,
    INTERIM,
    ScriptedStream,
    ScriptedSTT,
    heard,
    items,
    recognise,
    recognizer,
    texts,
)
from tests.unit.virtual_time import in_virtual_time


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
