"""One participant's microphone: read while it is open, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from livekit import rtc

from agents import audio
from agents.audio import Listener
from pipelines.events import Event

TRACK = cast("rtc.Track", SimpleNamespace(sid="TR_1"))


class Stream:
    """A stream of silence that ends when it is closed; the SDK's own needs a server."""

    opened = 0
    open_now = 0
    broken = 0

    def __init__(self) -> None:
        Stream.opened += 1
        Stream.open_now += 1
        self._closed = asyncio.Event()

    @classmethod
    def from_track(cls, **_: Any) -> Stream:
        if cls.broken:
            cls.broken -= 1
            raise RuntimeError("no such track")
        return cls()

    async def __aiter__(self) -> AsyncIterator[Any]:
        silence = np.zeros(800, dtype=np.int16).data
        while not self._closed.is_set():
            yield SimpleNamespace(frame=SimpleNamespace(data=silence))
            await asyncio.sleep(0.001)

    async def aclose(self) -> None:
        self._closed.set()
        Stream.open_now -= 1


@pytest.fixture(autouse=True)
def _streams(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(rtc, "AudioStream", Stream)
    monkeypatch.setattr(audio, "LAST_WORD", 0.05)
    Stream.opened = Stream.open_now = Stream.broken = 0
    yield
    assert Stream.open_now == 0


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    events: list[Event] = []
    listener = Listener("ada", events.append)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listener.run())
        yield listener
        listener.leave()


async def heard(listener: Listener, chunks: int = 3) -> None:
    box = listener.open_audio()
    async with asyncio.timeout(5):
        async for _ in box:
            chunks -= 1
            if not chunks:
                break
    listener.close_audio(box)


async def test_a_muted_microphone_is_not_read_and_an_unmuted_one_is(listener: Listener) -> None:
    listener.add_track(TRACK, muted=True)
    await asyncio.sleep(0.05)
    assert Stream.opened == 0
    listener.set_muted("TR_1", muted=False)
    await heard(listener)
    listener.set_muted("TR_1", muted=True)
    await asyncio.sleep(0.3)
    assert Stream.open_now == 0


async def test_mute_and_unmute_in_quick_succession_leave_the_microphone_heard(
    listener: Listener,
) -> None:
    listener.add_track(TRACK, muted=False)
    await heard(listener)
    for pause in (0.0, 0.01, 0.03, 0.06):
        listener.set_muted("TR_1", muted=True)
        await asyncio.sleep(pause)
        listener.set_muted("TR_1", muted=False)
        await asyncio.sleep(0.1)
        await heard(listener)


async def test_a_stream_that_fails_is_opened_again(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio, "LISTEN_AGAIN", 0.01)
    Stream.broken = 2
    listener.add_track(TRACK, muted=False)
    await heard(listener)


async def test_who_has_left_gives_no_audio(listener: Listener) -> None:
    listener.leave()
    assert [chunk async for chunk in listener.open_audio()] == []
    assert [item async for item in listener.open_speech()] == []
