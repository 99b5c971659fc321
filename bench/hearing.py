"""What an engine would be given: the platform's own way from a room to spans of speech.

It is what the transcriber pushes into an engine, chunk by chunk, without the engine.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
from livekit import rtc

from agents.room import MeetingRoom
from bench.audio_file import Samples
from bench.rooms import Rooms
from pipelines.events import Event, ParticipantJoined, SpeechEnded, SpeechStarted
from pipelines.speech.vad import SAMPLE_RATE


@dataclass(slots=True)
class Span:
    """One span of speech as an engine gets it.

    Args:
        at: Unix seconds of its first sample.
        chunks: Its audio, 16 kHz.
    """

    at: float
    chunks: list[Samples] = field(default_factory=list)

    @property
    def end(self) -> float:
        """Unix seconds of its end."""
        return self.at + sum(map(len, self.chunks)) / SAMPLE_RATE

    @property
    def samples(self) -> Samples:
        """The whole of it."""
        return np.concatenate(self.chunks) if self.chunks else np.zeros(0, np.int16)


class Hearing:
    """The spans of speech of everybody in a room, from join to leave."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self.room: MeetingRoom | None = None
        self.spans: dict[str, list[Span]] = defaultdict(list)

    def take(self, event: Event) -> None:
        """Listen to who joins."""
        if isinstance(event, ParticipantJoined):
            self._tasks.create_task(self._listen(event.identity))

    async def _listen(self, identity: str) -> None:
        listener = self.room.listener(identity) if self.room else None
        if listener is None:  # Gone again.
            return
        span: Span | None = None
        async for item in listener.open_speech():
            match item:
                case SpeechStarted():
                    span = None
                case SpeechEnded():
                    pass
                case chunk:
                    if span is None:
                        span = Span(chunk.at)
                        self.spans[identity].append(span)
                    span.chunks.append(chunk.samples)


@asynccontextmanager
async def hearing(
    rooms: Rooms, room_name: str, *, url: str = "", bridge: float = 0.0
) -> AsyncIterator[Hearing]:
    """Join ``room_name`` as the platform's agent would, and hear everybody until the exit.

    Args:
        rooms: Makes the token.
        room_name: The room.
        url: Another way to the server's signalling.
        bridge: Seconds of a muted microphone that are kept.
    """
    rtc_room = rtc.Room()
    async with asyncio.TaskGroup() as tasks:
        heard = Hearing(tasks)
        async with MeetingRoom(rtc_room, heard.take, bridge=bridge) as heard.room:
            token = rooms.token(room_name, "hearing", kind="agent")
            await rtc_room.connect(url or rooms.url, token)
            heard.room.meet()
            heard.room.hear(True)
            try:
                yield heard
            finally:
                heard.room.end_intake()
        await rtc_room.disconnect()
