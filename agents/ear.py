"""One audio track as it is read: opened when audio flows, closed when it stops.

A muted microphone still delivers zeros at full rate, so it is not read. LiveKit's word that it is
unmuted may come later than the first audio; where that matters, a muted one is read after all, and
its last moments are kept at hand (``bridge``).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
from livekit import rtc

from agents.jitter_buffer import JitterBuffer
from pipelines.metrics import metrics
from pipelines.speech.vad import SAMPLE_RATE

log = logging.getLogger(__name__)

FRAME_MS: Final = 50
QUEUE_MS: Final = 10_000
"""Audio that waits for a slow reader, ms."""

LAST_WORD: Final = 0.2
"""Seconds that a track is heard after mute or leave: what was said before is still on its way."""

LISTEN_AGAIN: Final = 1.0
"""Seconds until a track that could not be read is opened again."""

Samples = npt.NDArray[np.int16]


class Ear:
    """Reads one track from subscription to its end; :meth:`run` is its only task.

    Args:
        track: The track.
        muted: Whether it is muted now.
        bridge: Seconds of a muted track that are kept and heard when it is unmuted; with 0 a muted
            track is not read.
        hear: Takes each frame, and the Unix seconds at which it arrived, before it waited in
            WebRTC's jitter buffer.
        pause: Told when no frame follows for now: muted, gone or failed.
        missed: Told from when to when the track was open and no audio came, Unix seconds.
    """

    def __init__(
        self,
        track: rtc.Track,
        *,
        muted: bool,
        bridge: float,
        hear: Callable[[Ear, Samples, float], None],
        pause: Callable[[Ear], None],
        missed: Callable[[float, float], None],
    ) -> None:
        self.track = track
        self.muted = muted
        self._kept: deque[tuple[Samples, float]] = deque(maxlen=round(bridge * 1000 / FRAME_MS))
        self._hear = hear
        self._pause = pause
        self._missed = missed
        self._buffer: JitterBuffer | None = None
        self._deaf = True
        self._deaf_from = 0.0 if muted else float("inf")
        self._closed = False
        self._changed = asyncio.Event()

    @property
    def open(self) -> bool:
        """Whether the track is there and not muted."""
        return not self.muted and not self._closed

    @property
    def missing_since(self) -> float | None:
        """Since when no audio comes although the track is open, Unix seconds; else None."""
        return self._buffer.missing_since if self._buffer else None

    def set_muted(self, muted: bool) -> None:
        """Take the track's mute or unmute."""
        if muted != self.muted:
            if self._buffer:
                self._buffer.begin_anew()
            self.muted = muted
            self._deaf_from = time.monotonic() + LAST_WORD if muted else float("inf")
            self._changed.set()

    def close(self, *, at_once: bool = False) -> None:
        """Let :meth:`run` finish: after the last word, or at once."""
        self._closed = True
        self._deaf_from = 0.0 if at_once else min(self._deaf_from, time.monotonic() + LAST_WORD)
        self._changed.set()

    async def run(self) -> None:
        """Listen until the track is closed, and again after whatever goes wrong."""
        while not self._closed:
            self._changed.clear()
            if not self._is_read:
                await self._changed.wait()
                continue
            try:
                await self._listen()
            except Exception:
                # People speak on, whatever rtc raises.
                log.exception("audio not read, next try soon")
                await asyncio.sleep(LISTEN_AGAIN)

    @property
    def _is_read(self) -> bool:
        return not self._closed and (not self.muted or bool(self._kept.maxlen))

    async def _listen(self) -> None:
        stream = rtc.AudioStream.from_track(
            track=self.track,
            sample_rate=SAMPLE_RATE,
            num_channels=1,
            frame_size_ms=FRAME_MS,
            capacity=QUEUE_MS // FRAME_MS,
        )
        async with asyncio.TaskGroup() as tasks:
            buffer = self._buffer = JitterBuffer(self.track, self._missed_if_open)
            measuring = tasks.create_task(buffer.run())
            reading = tasks.create_task(self._read(stream, buffer))
            try:
                while not reading.done():
                    self._changed.clear()
                    patience = None if self._is_read else self._deaf_from - time.monotonic()
                    if patience is not None and patience <= 0:
                        break
                    changed = tasks.create_task(self._changed.wait())
                    await asyncio.wait(
                        {changed, reading}, timeout=patience, return_when=asyncio.FIRST_COMPLETED
                    )
                    changed.cancel()
                ended_by_itself = reading.done()
            finally:
                measuring.cancel()
                self._buffer = None
                await stream.aclose()
        while ended_by_itself and self._is_read:  # The end of the track will be told.
            self._changed.clear()
            await self._changed.wait()

    async def _read(self, stream: rtc.AudioStream, buffer: JitterBuffer) -> None:
        try:
            async for event in stream:
                metrics().audio_frames.inc()
                samples = np.frombuffer(event.frame.data, dtype=np.int16).copy()
                self._take(samples, time.time() - buffer.delay)
        finally:
            self._stop_hearing()

    def _missed_if_open(self, begin: float, end: float) -> None:
        if not self.muted:
            self._missed(begin, end)

    def _take(self, samples: Samples, arrival: float) -> None:
        if time.monotonic() >= self._deaf_from:
            self._stop_hearing()
            self._kept.append((samples, arrival))
            return
        self._deaf = False
        while self._kept:
            self._hear(self, *self._kept.popleft())
        self._hear(self, samples, arrival)

    def _stop_hearing(self) -> None:
        if not self._deaf:
            self._deaf = True
            self._pause(self)
