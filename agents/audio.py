"""One participant's microphone -> 16 kHz chunks with wall time, and the speech in them.

A muted microphone still delivers zeros at full rate, so it is not read: the stream is opened when
audio flows and closed when it stops.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from livekit import rtc

from agents.jitter_buffer import JitterBuffer
from agents.mailbox import Mailbox
from agents.plugin import AudioChunk
from pipelines.events import Event, SpeechEnded, SpeechStarted
from pipelines.metrics import metrics
from pipelines.speech.clock import MediaClock
from pipelines.speech.segmenter import Ended, Started
from pipelines.speech.spans import Piece, SpanDetector
from pipelines.speech.vad import SAMPLE_RATE, NativeVad, VoiceActivity

log = logging.getLogger(__name__)

FRAME_MS: Final = 50
QUEUE_MS: Final = 10_000
"""Audio that waits for a slow reader, ms."""

LAST_WORD: Final = 0.2
"""Seconds that the stream stays open after mute: what was said before is still on its way."""

LISTEN_AGAIN: Final = 1.0
"""Seconds until a track that could not be read is opened again."""

Speech = SpeechStarted | AudioChunk | SpeechEnded


class Listener:
    """Owns the audio of one participant from join to leave; :meth:`run` is its only task.

    Args:
        identity: The participant.
        emit: Takes the events ``SpeechStarted`` and ``SpeechEnded``.
        vad: Makes the detector of a stream.
    """

    def __init__(
        self,
        identity: str,
        emit: Callable[[Event], None],
        *,
        vad: Callable[[], VoiceActivity] = NativeVad,
    ) -> None:
        self.identity = identity
        self._emit = emit
        self._vad = vad
        self._tracks: dict[str, rtc.Track] = {}
        self._muted: set[str] = set()
        self._changed = asyncio.Event()
        self._gone = False
        self._started_at = 0.0
        self._heard_until = 0.0
        self._audio: list[Mailbox[AudioChunk]] = []
        self._speech: dict[Mailbox[Speech], float] = {}  # -> start of its open span, 0.0 if none

    def add_track(self, track: rtc.Track, *, muted: bool) -> None:
        """A microphone track is subscribed."""
        self._tracks[track.sid] = track
        self.set_muted(track.sid, muted)

    def remove_track(self, sid: str) -> None:
        """A track is no longer subscribed."""
        self._tracks.pop(sid, None)
        self._muted.discard(sid)
        self._changed.set()

    def set_muted(self, sid: str, muted: bool) -> None:
        """A track was muted or unmuted."""
        (self._muted.add if muted else self._muted.discard)(sid)
        self._changed.set()

    def leave(self) -> None:
        """Let :meth:`run` finish: the participant left, or the meeting ends."""
        self._gone = True
        self._changed.set()

    @property
    def listening(self) -> bool:
        """Whether a track is there that is not muted."""
        return self._wanted() is not None

    def open_audio(self) -> Mailbox[AudioChunk]:
        """Return a mailbox that gets every chunk until the participant leaves."""
        box: Mailbox[AudioChunk] = Mailbox(QUEUE_MS // FRAME_MS)
        if self._gone:
            box.close()
        else:
            self._audio.append(box)
        return box

    def open_speech(self) -> Mailbox[Speech]:
        """Return a mailbox that gets the spans of speech until the participant leaves."""
        box: Mailbox[Speech] = Mailbox(
            QUEUE_MS // FRAME_MS, expendable=lambda item: isinstance(item, AudioChunk)
        )
        if self._gone:
            box.close()
        else:
            self._speech[box] = 0.0
        return box

    def close_audio(self, box: Mailbox[AudioChunk]) -> None:
        """End what :meth:`open_audio` returned, while the participant stays."""
        if box in self._audio:
            self._audio.remove(box)
        box.close()

    def close_speech(self, box: Mailbox[Speech]) -> None:
        """End what :meth:`open_speech` returned, and its open span, while the participant stays."""
        if started_at := self._speech.pop(box, 0.0):
            box.put(SpeechEnded(self._heard_until, self.identity, started_at))
        box.close()

    async def run(self) -> None:
        """Listen until the participant leaves."""
        try:
            while not self._gone:
                track = self._wanted()
                if track is None:
                    self._changed.clear()
                    await self._changed.wait()
                else:
                    await self._listen_safely(track)
        finally:
            for audio in self._audio:
                audio.close()
            for speech in self._speech:
                speech.close()

    def _wanted(self) -> rtc.Track | None:
        open_tracks = (track for sid, track in self._tracks.items() if sid not in self._muted)
        return None if self._gone else next(open_tracks, None)

    async def _listen_safely(self, track: rtc.Track) -> None:
        """Listen, and listen again after whatever goes wrong: people speak on."""
        try:
            await self._listen(track)
        except Exception:
            log.exception("audio not read, next try soon")
            await asyncio.sleep(LISTEN_AGAIN)

    async def _listen(self, track: rtc.Track) -> None:
        """Read a track until it is muted or gone, and what was said before that has arrived."""
        stream = rtc.AudioStream.from_track(
            track=track,
            sample_rate=SAMPLE_RATE,
            num_channels=1,
            frame_size_ms=FRAME_MS,
            capacity=QUEUE_MS // FRAME_MS,
        )
        async with asyncio.TaskGroup() as tasks:
            buffer = JitterBuffer(track)
            measuring = tasks.create_task(buffer.run())
            reading = tasks.create_task(self._read(stream, track.sid, buffer))
            try:
                while not reading.done():
                    self._changed.clear()
                    if self._wanted() is track:
                        changed = tasks.create_task(self._changed.wait())
                        await asyncio.wait({changed, reading}, return_when=asyncio.FIRST_COMPLETED)
                        changed.cancel()
                    else:
                        await asyncio.wait({reading}, timeout=LAST_WORD)
                        if self._wanted() is not track:  # Not unmuted again in the meantime.
                            break
                ended_by_itself = reading.done()
            finally:
                measuring.cancel()
                await stream.aclose()
        while ended_by_itself and self._wanted() is track:  # The end of the track will be told.
            self._changed.clear()
            await self._changed.wait()

    async def _read(self, stream: rtc.AudioStream, track: str, buffer: JitterBuffer) -> None:
        detector, clock = SpanDetector(self._vad()), MediaClock()
        gap = True
        media = 0.0
        try:
            async for event in stream:
                metrics().audio_frames.inc()
                samples = np.frombuffer(event.frame.data, dtype=np.int16).copy()
                media += len(samples) / SAMPLE_RATE
                clock.observe(media, time.time() - buffer.delay)
                piece, spans = detector.feed(samples)
                chunk = self._chunk(piece, clock, track, gap=gap)
                gap = False
                self._heard_until = clock.wall(media)
                for box in self._audio:
                    box.put(chunk)
                self._tell(spans, clock, track)
        finally:
            if media:
                self._tell(detector.finish(), clock, track)

    def _tell(self, spans: list[Started | Piece | Ended], clock: MediaClock, track: str) -> None:
        for span in spans:
            match span:
                case Started(at):
                    self._started_at = clock.wall(at)
                    self._start(self._started_at, self._speech)
                    self._emit(SpeechStarted(self._started_at, self.identity))
                case Piece():
                    chunk = self._chunk(span, clock, track)
                    # Who came in the middle of a span begins there.
                    self._start(chunk.at, [box for box, at in self._speech.items() if not at])
                    for box in self._speech:
                        box.put(chunk)
                case Ended(at):
                    self._end(clock.wall(at))
                    self._emit(SpeechEnded(clock.wall(at), self.identity, self._started_at))

    def _start(self, at: float, boxes: Iterable[Mailbox[Speech]]) -> None:
        for box in list(boxes):
            self._speech[box] = at
            box.put(SpeechStarted(at, self.identity))

    def _end(self, at: float) -> None:
        for box, started_at in self._speech.items():
            if started_at:
                self._speech[box] = 0.0
                box.put(SpeechEnded(at, self.identity, started_at))

    @staticmethod
    def _chunk(piece: Piece, clock: MediaClock, track: str, *, gap: bool = False) -> AudioChunk:
        return AudioChunk(piece.samples, clock.wall(piece.at), track, gap, piece.speech)
