"""The real transcriber in a meeting without a room: speech in, captions and notices out."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from agents.plugin import (
    AudioChunk,
    CaptionFinal,
    CaptionInterim,
    Event,
    MeetingInfo,
    ParticipantJoined,
    RpcHandler,
    SpeechEnded,
    SpeechStarted,
    Stored,
)
from agents.transcriber import Transcriber
from agents.transcriber_settings import TranscriberSettings
from pipelines.events import Hole, HoleCause
from pipelines.speech.engines import Engines
from pipelines.speech.heard import RATE, Samples

CHUNK = RATE // 20
"""Samples of a chunk: 50 ms, as the room delivers them."""

Speech = SpeechStarted | AudioChunk | SpeechEnded


@dataclass(slots=True)
class ScriptedMeeting:
    """What the transcriber is given and what it does; a :class:`agents.plugin.Meeting`.

    Args:
        engines: The engines.
        speeches: Speaker -> what they say.
        info: The meeting.

    ``finals`` and ``notices`` hold (seconds since the start, what); ``notes`` what was stored;
    ``holes`` what was lost; ``unsettled_since`` tells where unsettled speech begins.
    """

    engines: Engines
    speeches: Mapping[str, AsyncIterator[Speech]]
    info: MeetingInfo = field(default_factory=lambda: MeetingInfo("m", "room", 1, time.time()))
    finals: list[tuple[float, CaptionFinal]] = field(default_factory=list)
    interims: int = 0
    notices: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    notes: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    holes: list[Hole] = field(default_factory=list)
    unsettled_since: Callable[[], float | None] = lambda: None
    acting: None = None
    rpc: dict[str, RpcHandler] = field(default_factory=dict)
    inbox: asyncio.Queue[Event | None] = field(default_factory=asyncio.Queue)
    _segments: count[int] = field(default_factory=count)
    _began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    @property
    def words(self) -> list[str]:
        """Every word of the finals, in the order in which they were published."""
        return [word for _, final in self.finals for word in final.text.split()]

    @property
    def told(self) -> list[str]:
        """What the room was told of the captions, the engine's start left out."""
        told = [notice for _, notice in self.notices if notice["type"] == "captions"]
        return [": ".join(filter(None, (n["state"], n.get("reason")))) for n in told][1:]

    async def events(self) -> AsyncIterator[Event]:
        """Iterate over what is put into ``inbox`` until None."""
        for identity in self.speeches:
            yield ParticipantJoined(time.time(), identity, identity)
        while (event := await self.inbox.get()) is not None:
            yield event

    def participants(self) -> Mapping[str, str]:
        """Return the speakers."""
        return {identity: identity for identity in self.speeches}

    def audio(self, identity: str) -> AsyncIterator[AudioChunk]:
        """Refuse: nobody asks."""
        raise NotImplementedError(identity)

    def speech(self, identity: str) -> AsyncIterator[Speech]:
        """Iterate over what a speaker says."""
        return self.speeches[identity]

    async def publish(self, caption: CaptionInterim | CaptionFinal) -> None:
        """Take a caption."""
        if isinstance(caption, CaptionFinal):
            self.finals.append((self.seconds, caption))
        else:
            self.interims += 1

    def new_segment(self) -> str:
        """Return an unused id."""
        return f"1-{next(self._segments)}"

    async def notify(self, kind: str, **fields: Any) -> None:
        """Take a notice."""
        self.notices.append((self.seconds, {"type": kind, **fields}))

    async def send_data(self, payload: bytes | str, *, topic: str, to: Sequence[str] = ()) -> None:
        """Refuse: nobody asks."""
        raise NotImplementedError

    async def register_rpc(self, method: str, handler: RpcHandler) -> None:
        """Take a handler."""
        self.rpc[method] = handler

    async def store(self, kind: str, data: Mapping[str, Any]) -> None:
        """Take a note."""
        self.notes.append((kind, data))

    async def stored(self) -> Sequence[Stored]:
        """Return nothing: nobody was here before."""
        return []

    async def mark_hole(self, identity: str, *, at: float, end: float, reason: str) -> None:
        """Take a hole."""
        self.holes.append(Hole(at, end, HoleCause.ENGINE, (identity,), reason))

    def watch_unsettled(self, oldest: Callable[[], float | None]) -> None:
        """Take what tells how far back unsettled speech reaches."""
        self.unsettled_since = oldest

    async def said(self, *, since: float = 0.0) -> Sequence[CaptionFinal]:
        """Return the finals."""
        return [final for _, final in self.finals if final.at >= since]

    async def get_state(self, key: str) -> Any:
        """Refuse: nobody asks."""
        raise NotImplementedError(key)

    async def set_state(self, key: str, value: Any) -> None:
        """Refuse: nobody asks."""
        raise NotImplementedError(key)

    async def hold(self, *, until: asyncio.Event, engine: str, **settings: Any) -> None:
        """Run the transcriber until ``until`` is set and it has returned."""
        asked = TranscriberSettings(engine=engine, **settings)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(Transcriber(asked).run(self))
            await until.wait()
            self.inbox.put_nowait(None)


async def spoken(
    samples: Samples, *, faster: float = 1.0, ended: asyncio.Event | None = None
) -> AsyncIterator[Speech]:
    """Say samples as one span of speech, ``faster`` times as fast as people do."""
    began, clock = time.time(), time.monotonic()
    yield SpeechStarted(began, "speaker")
    for at in range(0, len(samples), CHUNK):
        due = clock + at / RATE / faster
        if (wait := due - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        piece = samples[at : at + CHUNK]
        yield AudioChunk(piece, began + at / RATE, "TR_1", at == 0, 1.0)
    yield SpeechEnded(began + len(samples) / RATE, "speaker", began)
    if ended:
        ended.set()


def lost_and_doubled(said: Sequence[str], heard: Sequence[str]) -> tuple[int, int]:
    """Return how many words are missing, and how many are there too often."""
    wanted, there = Counter(said), Counter(heard)
    return (wanted - there).total(), (there - wanted).total()
