"""A room that says what LiveKit's says, and people in it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from livekit import rtc

from pipelines.events import Event

Kind = rtc.ParticipantKind
Source = rtc.TrackSource
GCM = rtc.EncryptionType.GCM


class SilentStream:
    """An audio stream that is silent until it is closed."""

    open_now = 0

    def __init__(self) -> None:
        SilentStream.open_now += 1
        self._closed = asyncio.Event()

    @classmethod
    def from_track(cls, **_: Any) -> SilentStream:
        return cls()

    def __aiter__(self) -> SilentStream:
        return self

    async def __anext__(self) -> Any:
        await self._closed.wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._closed.set()
        SilentStream.open_now -= 1


class FakeRoom(rtc.EventEmitter[Any]):
    """A room that says what LiveKit's says, in the order in which it says it."""

    def __init__(self) -> None:
        super().__init__()
        self.remote_participants: dict[str, SimpleNamespace] = {}
        self.asked_for: list[bool] = []
        self._sids = iter(range(1, 1_000_000))

    def register_text_stream_handler(self, *_: Any) -> None: ...

    def unregister_text_stream_handler(self, *_: Any) -> None: ...

    def join(self, identity: str, kind: Any = Kind.PARTICIPANT_KIND_STANDARD) -> Any:
        person: Any = SimpleNamespace(
            identity=identity,
            name=identity.title(),
            sid=f"PA_{next(self._sids)}",
            kind=kind,
            attributes={},
            track_publications={},
        )
        self.remote_participants[identity] = person
        self.emit("participant_connected", person)
        return person

    def leave(self, person: Any) -> None:
        for publication in list(person.track_publications.values()):
            self.unpublish(person, publication)
        if person in self.remote_participants.values():
            del self.remote_participants[person.identity]
        self.emit("participant_disconnected", person)

    def publish(
        self,
        person: Any,
        source: Any = Source.SOURCE_MICROPHONE,
        *,
        muted: bool = False,
        encryption: int = rtc.EncryptionType.NONE,
    ) -> Any:
        publication = SimpleNamespace(
            sid=f"TR_{next(self._sids)}",
            kind=rtc.TrackKind.KIND_AUDIO,
            source=source,
            muted=muted,
            encryption_type=encryption,
            track=None,
            subscribed=False,
            set_subscribed=self.asked_for.append,
        )
        person.track_publications[publication.sid] = publication
        self.emit("track_published", publication, person)
        return publication

    def subscribe(self, person: Any, publication: Any) -> None:
        publication.track = SimpleNamespace(sid=publication.sid)
        publication.subscribed = True
        self.emit("track_subscribed", publication.track, publication, person)

    def speak(self, person: Any, **options: Any) -> Any:
        publication = self.publish(person, **options)
        self.subscribe(person, publication)
        return publication

    def unpublish(self, person: Any, publication: Any) -> None:
        del person.track_publications[publication.sid]
        self.emit("track_unpublished", publication, person)

    def mute(self, person: Any, publication: Any, *, muted: bool = True) -> None:
        publication.muted = muted
        self.emit("track_muted" if muted else "track_unmuted", person, publication)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def of(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]
