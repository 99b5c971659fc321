"""A published microphone that plays silence and speech, and knows the wall time of each sample."""

from __future__ import annotations

import time

import numpy as np
from livekit import rtc

from bench.audio_file import Samples

_FRAME = 0.020  # seconds


class Microphone:
    """One local audio track.

    A sample's wall time is when it leaves WebRTC's queue for the encoder: the time of the call
    that hands it over plus what waits before it. The queue is short, so the two are near; it is
    there because WebRTC takes 10 ms from it on a clock of its own.

    Args:
        queue_ms: Length of WebRTC's queue.
    """

    RATE = 48_000
    """Samples a second, as a browser sends them."""

    def __init__(self, *, queue_ms: int = 60) -> None:
        self._source = rtc.AudioSource(self.RATE, 1, queue_size_ms=queue_ms)
        self._track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        self._silence = np.zeros(round(self.RATE * _FRAME), np.int16)

    async def publish(self, room: rtc.Room, *, screen: bool = False) -> rtc.LocalTrackPublication:
        """Publish the track as the microphone of the room's local participant.

        Args:
            room: The room.
            screen: Publish it as what a shared screen plays.
        """
        source = rtc.TrackSource
        options = rtc.TrackPublishOptions(
            source=source.SOURCE_SCREENSHARE_AUDIO if screen else source.SOURCE_MICROPHONE
        )
        return await room.local_participant.publish_track(self._track, options)

    @property
    def next_sample_at(self) -> float:
        """When a sample that is played now will leave, Unix seconds."""
        return time.time() + self._source.queued_duration

    async def play(self, samples: Samples) -> None:
        """Play ``samples``; returns when the last of them is in the queue."""
        for offset in range(0, len(samples), len(self._silence)):
            await self._capture(samples[offset : offset + len(self._silence)])

    async def play_silence(self, until: float) -> None:
        """Play silence until the Unix time ``until``."""
        while self.next_sample_at < until:
            await self._capture(self._silence)

    def mute(self) -> None:
        """Mute the track; nothing need be played until :meth:`unmute`."""
        self._track.mute()

    def unmute(self) -> None:
        """Unmute the track."""
        self._track.unmute()

    async def close(self) -> None:
        """Release the source."""
        await self._source.aclose()

    async def _capture(self, samples: Samples) -> None:
        frame = rtc.AudioFrame(samples.tobytes(), self.RATE, 1, len(samples))
        await self._source.capture_frame(frame)
