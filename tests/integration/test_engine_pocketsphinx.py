"""pocketsphinx in child processes, on real speech."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import cache

import numpy as np
import psutil
import pytest

from bench.audio_file import read_samples
from bench.content_words import content_words
from bench.script import load_script
from pipelines.errors import EngineFailedError
from pipelines.speech import failover
from pipelines.speech.heard import RATE, Heard, Lost, Samples
from pipelines.speech.local import frames
from pipelines.speech.local.pocketsphinx import PocketsphinxSTT
from pipelines.speech.stt import Recognition, Recognizer

CHUNK = RATE // 20
LINES = load_script().utterances
MakeEngine = Callable[[int], PocketsphinxSTT]


@cache
def speech(number: int) -> Samples:
    """Return the samples of a line of the scripted meeting."""
    return read_samples(LINES[number].file, RATE)


@pytest.fixture
async def engine() -> AsyncIterator[MakeEngine]:
    made: list[PocketsphinxSTT] = []

    def with_workers(workers: int) -> PocketsphinxSTT:
        made.append(PocketsphinxSTT(workers=workers))
        return made[-1]

    yield with_workers
    for each in made:
        await each.aclose()


def begin(engine: PocketsphinxSTT) -> Recognition:
    slots = asyncio.Semaphore(1)
    return Recognizer("pocketsphinx/en-us", engine, slots=slots, language="en").recognition()


async def push(recognition: Recognition, samples: Samples, *, faster: float = 1e6) -> None:
    """Push speech in chunks of 50 ms, ``faster`` times as fast as people speak, and its end."""
    for start in range(0, len(samples), CHUNK):
        recognition.push(samples[start : start + CHUNK])
        await asyncio.sleep(0.05 / faster)
    recognition.end()


async def words_of(recognition: Recognition) -> AsyncIterator[Heard]:
    """Iterate over what is heard; lost speech is an error."""
    async for item in recognition:
        if isinstance(item, Lost):
            raise EngineFailedError(item.reason)
        if isinstance(item, Heard):
            yield item


async def hear_all(recognition: Recognition) -> list[Heard]:
    return [heard async for heard in words_of(recognition)]


async def hear(engine: PocketsphinxSTT, samples: Samples) -> list[Heard]:
    recognition = begin(engine)
    try:
        await push(recognition, samples)
        return await hear_all(recognition)
    finally:
        await recognition.aclose()


async def text_of(engine: PocketsphinxSTT, samples: Samples) -> str:
    return " ".join(heard.text for heard in await hear(engine, samples) if heard.final)


async def a_child(engine: PocketsphinxSTT) -> int:
    """Wait until there is a child and return its process id."""
    for _ in range(1000):
        if engine.child_pids:
            break
        await asyncio.sleep(0.01)
    return engine.child_pids[0]


async def test_four_of_five_content_words_of_three_voices_are_understood(
    engine: MakeEngine,
) -> None:
    two = engine(2)
    async with asyncio.TaskGroup() as tasks:
        heard = [tasks.create_task(text_of(two, speech(n))) for n in range(len(LINES))]
    said = found = 0
    for line, task in zip(LINES, heard, strict=True):
        there = content_words(task.result())
        for word in content_words(line.text):
            said += 1
            found += word in there
    assert found / said >= 0.8
    assert len(two.child_pids) == 2, "thirteen spans at once wait for two children"


async def test_words_are_shown_while_they_are_said_and_settled_soon_after(
    engine: MakeEngine,
) -> None:
    warm = engine(1)
    await text_of(warm, speech(1))
    recognition = begin(warm)
    heard: list[Heard] = []
    ended_at = settled_at = 0.0

    async def speak() -> None:
        nonlocal ended_at
        await push(recognition, speech(0), faster=1.0)
        ended_at = time.monotonic()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(speak())
        async for item in words_of(recognition):
            heard.append(item)
            settled_at = time.monotonic()
    await recognition.aclose()
    assert [item.final for item in heard[:-1]] == [False] * (len(heard) - 1)
    assert heard[-1].final
    assert len(heard) >= 5, "interims come while the span goes on"
    assert {item.part for item in heard} == {0}
    length = len(speech(0)) / RATE
    assert 0.0 <= heard[-1].start < heard[-1].end <= length
    assert settled_at - ended_at < 3 * 0.5


async def test_what_is_heard_does_not_depend_on_who_spoke_before(engine: MakeEngine) -> None:
    quiet = (speech(2) * 0.02).astype(np.int16)
    alone = await text_of(engine(1), quiet)
    assert "thousand dollars" in alone
    one = engine(1)
    await text_of(one, speech(1))
    assert await text_of(one, quiet) == alone


async def test_a_span_whose_child_is_killed_loses_no_word(engine: MakeEngine) -> None:
    one = engine(1)
    whole = await text_of(one, speech(0))
    assert len(whole.split()) > 10
    recognition = begin(one)
    samples = speech(0)
    killed = one.child_pids[0]
    for start in range(0, len(samples), CHUNK):
        recognition.push(samples[start : start + CHUNK])
        if start == CHUNK * 50:
            await asyncio.sleep(0.3)
            os.kill(killed, signal.SIGKILL)
        await asyncio.sleep(0.005)
    recognition.end()
    finals = [heard.text async for heard in words_of(recognition) if heard.final]
    await recognition.aclose()
    assert finals == [whole]
    assert killed not in one.child_pids


async def test_a_child_that_died_idle_is_replaced(engine: MakeEngine) -> None:
    one = engine(1)
    first = await text_of(one, speech(1))
    os.kill(one.child_pids[0], signal.SIGKILL)
    assert await text_of(one, speech(1)) == first


async def test_a_span_that_kills_every_child_fails_with_a_reason(
    engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failover, "PATIENCE", 3.0)
    one = engine(1)

    async def kill_all() -> None:
        while True:
            for pid in one.child_pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.01)

    killing = asyncio.create_task(kill_all())
    try:
        with pytest.raises(EngineFailedError, match=r"pocketsphinx/en-us failed: its process died"):
            await hear(one, speech(0))
    finally:
        killing.cancel()


async def test_closing_a_span_half_way_makes_room_for_the_next(engine: MakeEngine) -> None:
    one = engine(1)
    recognition = begin(one)
    recognition.push(speech(0)[: RATE * 2])
    listening = asyncio.create_task(hear_all(recognition))
    await a_child(one)
    listening.cancel()
    await asyncio.wait({listening})
    await recognition.aclose()
    assert await text_of(one, speech(1))


async def test_long_speech_is_settled_in_parts_with_their_times(engine: MakeEngine) -> None:
    one = engine(1)
    samples = np.concatenate([speech(0)] * 5)
    recognition = begin(one)
    for start in range(0, len(samples), CHUNK):
        quiet = start % len(speech(0)) > len(speech(0)) - 2 * CHUNK
        recognition.push(samples[start : start + CHUNK], speech=0.1 if quiet else 0.9)
    recognition.end()
    finals = [heard async for heard in words_of(recognition) if heard.final]
    await recognition.aclose()
    assert [final.part for final in finals] == [0, 1]
    assert 20.0 - 1.0 <= finals[0].end <= finals[1].start <= finals[1].end
    assert finals[1].end <= len(samples) / RATE


@pytest.mark.parametrize("length", [0, 100, RATE // 2])
async def test_silence_is_no_text_and_no_error(engine: MakeEngine, length: int) -> None:
    assert await hear(engine(1), np.zeros(length, dtype=np.int16)) == []


async def test_prewarming_starts_one_child_ahead_of_the_first_word(engine: MakeEngine) -> None:
    one = engine(2)
    one.prewarm()
    pid = await a_child(one)
    await text_of(one, speech(1))
    assert one.child_pids == [pid]


async def test_closing_the_engine_ends_its_children(engine: MakeEngine) -> None:
    one = engine(1)
    await text_of(one, speech(1))
    pid = one.child_pids[0]
    await one.aclose()
    assert not psutil.pid_exists(pid)


async def test_ctrl_c_does_not_reach_a_child(engine: MakeEngine) -> None:
    one = engine(1)
    await text_of(one, speech(1))
    pid = one.child_pids[0]
    os.kill(pid, signal.SIGINT)
    await asyncio.sleep(0.2)
    assert psutil.pid_exists(pid)
    assert os.getpgid(pid) != os.getpgid(0)


def test_a_killed_job_leaves_no_child_behind() -> None:
    job = """
import asyncio
from pipelines.speech.local.pocketsphinx import PocketsphinxSTT
async def main():
    engine = PocketsphinxSTT(workers=1)
    engine.prewarm()
    while not engine.child_pids:
        await asyncio.sleep(0.01)
    print(engine.child_pids[0], flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", job], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
    deadline = time.monotonic() + 3.0
    while _is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _is_running(pid)


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_what_a_model_prints_does_not_get_between_child_and_job() -> None:
    noisy = """
import os
from pipelines.speech.local import child
load = child.load
def load_loudly(config):
    os.write(1, b"INFO: loading")
    print("done", flush=True)
    return load(config)
child.load = load_loudly
child.main()
"""
    said = frames.json_frame(frames.CONFIG, {"library": "pocketsphinx"})
    said += frames.frame(frames.AUDIO, speech(1).tobytes()) + frames.json_frame(frames.END, {})
    command = [sys.executable, "-c", noisy]
    result = subprocess.run(command, input=said, capture_output=True, timeout=60, check=True)
    assert result.stdout[:1] == frames.READY
    assert result.stderr.startswith(b"INFO: loading")


def test_a_child_without_its_model_says_why() -> None:
    command = [sys.executable, "-m", "pipelines.speech.local.child"]
    said = frames.json_frame(frames.CONFIG, {"library": "nothing"})
    result = subprocess.run(command, input=said, capture_output=True, timeout=60, check=False)
    assert result.stdout[:1] == frames.FAILED
    assert b"no local model 'nothing'" in result.stdout
