"""One participant's microphones: read while they are open, and only then; mixed if several are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from livekit import rtc

from agents import ear, jitter_buffer
from agents.audio import Listener
from agents.jitter_buffer import JitterBuffer
from agents.plugin import AudioChunk
from agents.turn import LONGEST, Turn
from pipelines.events import Event, SpeechEnded, SpeechStarted


def track(sid: str) -> rtc.Track:
    return cast("rtc.Track", SimpleNamespace(sid=sid))


TRACK = track("TR_1")
FIRST, SECOND = 1000, 30_000  # what every sample of a track is


class AlwaysSpeech:
    """A detector that takes everything for speech."""

    def predict(self, _window: npt.NDArray[np.int16]) -> float:
        return 1.0


class Stream:
    """A stream of one value that ends when it is closed; the SDK's own needs a server."""

    opened = 0
    open_now = 0
    broken = 0

    def __init__(self, value: int) -> None:
        Stream.opened += 1
        Stream.open_now += 1
        self._value = value
        self._closed = asyncio.Event()

    @classmethod
    def from_track(cls, track: rtc.Track, **_: Any) -> Stream:
        if cls.broken:
            cls.broken -= 1
            raise RuntimeError("no such track")
        return cls(SECOND if track.sid.startswith("TR_2") else FIRST)

    async def __aiter__(self) -> AsyncIterator[Any]:
        samples = np.full(800, self._value, dtype=np.int16).data
        while not self._closed.is_set():
            yield SimpleNamespace(frame=SimpleNamespace(data=samples))
            await asyncio.sleep(0.001)

    async def aclose(self) -> None:
        self._closed.set()
        Stream.open_now -= 1


@pytest.fixture(autouse=True)
def _streams(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(rtc, "AudioStream", Stream)
    monkeypatch.setattr(ear, "LAST_WORD", 0.05)
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


async def heard(listener: Listener, chunks: int = 3) -> list[AudioChunk]:
    """Return the next chunks of audio."""
    box = listener.open_audio()
    found: list[AudioChunk] = []
    async with asyncio.timeout(5):
        async for chunk in box:
            found.append(chunk)
            if len(found) == chunks:
                break
    listener.close_audio(box)
    return found


async def heard_until(listener: Listener, value: int) -> AudioChunk:
    """Return the first chunk whose samples are all ``value``."""
    box = listener.open_audio()
    async with asyncio.timeout(5):
        async for chunk in box:
            if (chunk.samples == value).all():
                listener.close_audio(box)
                return chunk
    raise AssertionError


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
    monkeypatch.setattr(ear, "LISTEN_AGAIN", 0.01)
    Stream.broken = 2
    listener.add_track(TRACK, muted=False)
    await heard(listener)


async def test_who_has_left_gives_no_audio(listener: Listener) -> None:
    listener.leave()
    assert [chunk async for chunk in listener.open_audio()] == []
    assert [item async for item in listener.open_speech()] == []


async def test_two_open_microphones_are_mixed_and_one_alone_is_as_it_is(
    listener: Listener,
) -> None:
    listener.add_track(TRACK, muted=False)
    listener.add_track(track("TR_2"), muted=False)
    mixed = await heard_until(listener, FIRST + SECOND)
    assert mixed.track in {"TR_1", "TR_2"}
    listener.set_muted("TR_1", muted=True)
    assert (await heard_until(listener, SECOND)).track == "TR_2"
    listener.set_muted("TR_1", muted=False)
    await heard_until(listener, FIRST + SECOND)


async def test_a_mix_that_is_too_loud_is_cut_off_and_does_not_wrap(listener: Listener) -> None:
    listener.add_track(track("TR_2"), muted=False)
    listener.add_track(track("TR_20"), muted=False)
    await heard_until(listener, 32_767)


async def test_a_replaced_track_is_heard_while_the_old_one_ends(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ear, "LAST_WORD", 0.5)
    listener.add_track(TRACK, muted=False)
    await heard(listener)
    listener.remove_track("TR_1")
    listener.add_track(track("TR_2"), muted=False)
    await heard_until(listener, FIRST + SECOND)  # The old one's last word and the new one's first.
    await heard_until(listener, SECOND)
    assert Stream.open_now == 1


async def test_a_track_that_is_subscribed_anew_is_heard_once(listener: Listener) -> None:
    listener.add_track(TRACK, muted=False)
    await heard(listener)
    box = listener.open_audio()
    listener.add_track(track("TR_1"), muted=False)
    await asyncio.sleep(0.1)
    listener.close_audio(box)
    assert all([(chunk.samples == FIRST).all() async for chunk in box])
    assert Stream.open_now == 1


async def test_a_bridge_has_what_came_before_the_word_of_the_unmute() -> None:
    listener = Listener("ada", lambda _: None, bridge=0.25)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listener.run())
        listener.add_track(TRACK, muted=True)
        box = listener.open_audio()
        await asyncio.sleep(0.05)
        assert (Stream.open_now, len(box)) == (1, 0)
        listener.set_muted("TR_1", muted=False)
        frames = 0
        async for chunk in box:  # What it had arrives at once, before the stream is waited for.
            frames += 1
            assert chunk.gap is (frames == 1)
            if not len(box):
                break
        assert frames >= 0.25 * 1000 / ear.FRAME_MS
        listener.leave()


async def test_the_time_in_webrtcs_jitter_buffer_is_not_in_the_time_of_the_audio(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jitter_buffer, "USUAL", 100.0)
    listener.add_track(TRACK, muted=False)
    (chunk,) = await heard(listener, 1)
    assert 99.0 < time.time() - chunk.at < 110.0


async def test_the_jitter_buffer_is_followed_as_long_as_the_track_is_read(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = []

    async def run(_: JitterBuffer) -> None:
        followed.append("from")
        try:
            await asyncio.Event().wait()
        finally:
            followed.append("to")

    monkeypatch.setattr(JitterBuffer, "run", run)
    listener.add_track(TRACK, muted=False)
    await heard(listener)
    assert followed == ["from"]
    listener.set_muted("TR_1", muted=True)
    await asyncio.sleep(0.3)
    assert followed == ["from", "to"]


async def test_every_stretch_of_audio_has_a_detector_of_the_kind_that_was_asked_for() -> None:
    made: list[AlwaysSpeech] = []

    def detector() -> AlwaysSpeech:
        made.append(AlwaysSpeech())
        return made[-1]

    events: list[Event] = []
    listener = Listener("ada", events.append, vad=detector)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listener.run())
        listener.add_track(TRACK, muted=False)
        await heard(listener, 8)
        listener.set_muted("TR_1", muted=True)
        await asyncio.sleep(0.3)
        listener.set_muted("TR_1", muted=False)
        await heard(listener, 8)
        listener.leave()
    assert len(made) == 2
    assert [type(event) for event in events] == [SpeechStarted, SpeechEnded] * 2


async def talk(turn: Turn, events: list[Event]) -> AsyncIterator[Listener]:
    """Let somebody speak without a pause to a job's ears."""
    listener = Listener("ada", events.append, vad=AlwaysSpeech, turn=turn)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listener.run())
        listener.add_track(TRACK, muted=False)
        await heard(listener, chunks=20)
        yield listener
        listener.leave()


async def test_a_successor_keeps_back_what_it_hears_until_it_knows_its_share() -> None:
    turn, events = Turn(cuts=None), list[Event]()
    async for listener in talk(turn, events):
        assert events == []
        box = listener.open_speech()
        turn.cuts = {"ada": 0.0}
        listener.release()
        assert [type(event) for event in events] == [SpeechStarted]
        assert len(box) >= 20


async def test_who_leaves_before_that_is_heard_all_the_same() -> None:
    turn, events = Turn(cuts=None), list[Event]()
    async for listener in talk(turn, events):
        listener.leave()
        await asyncio.sleep(3 * ear.LAST_WORD)
        turn.cuts = {}
    assert [type(event) for event in events] == [SpeechStarted, SpeechEnded]


async def test_who_hands_over_leaves_speech_that_does_not_end_to_its_successor() -> None:
    turn, events = Turn(), list[Event]()
    async for listener in talk(turn, events):
        turn.until = time.time()
        listener.hand_over()
        assert listener.cut is None
        turn.until = time.time() - LONGEST - 60
        listener.hand_over()
        await heard(listener, chunks=5)
        assert listener.cut is not None
    assert [type(event) for event in events] == [SpeechStarted, SpeechEnded]
