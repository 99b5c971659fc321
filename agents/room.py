"""The only file on ``rtc.Room`` callbacks: what LiveKit says becomes typed events.

It owns the task of each participant's audio: one task from join to leave.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import wraps
from types import TracebackType
from typing import Any, Final, ParamSpec, Self

from livekit import rtc

from agents.audio import Listener
from pipelines.events import (
    AttributesChanged,
    ChatReceived,
    DataReceived,
    Event,
    MicrophoneMuted,
    MicrophoneUnmuted,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantRenamed,
)
from pipelines.speech.vad import NativeVad, VoiceActivity

log = logging.getLogger(__name__)
P = ParamSpec("P")

CHAT: Final = "lk.chat"
LEGACY_CHAT: Final = "lk-chat-topic"

LONGEST_CHAT: Final = 30_000
"""Characters of a chat message that are read; the rest is marked by an ellipsis."""

NOT_PEOPLE: Final = frozenset(
    {rtc.ParticipantKind.PARTICIPANT_KIND_AGENT, rtc.ParticipantKind.PARTICIPANT_KIND_EGRESS}
)


class MeetingRoom:
    """The people of a room and what they do.

    Use it as an async context manager, entered before the room connects so that nothing is missed;
    leaving it unregisters every callback and ends every participant's task.

    ``people`` maps the identities in the room to display names; ``changed`` is set when somebody
    joins or leaves, and when the room's metadata changes.

    Args:
        room: The room, not connected yet.
        emit: Takes every event, in the room's loop; must not block.
        vad: Makes the detector of a stream of audio.
    """

    def __init__(
        self,
        room: rtc.Room,
        emit: Callable[[Event], None],
        *,
        vad: Callable[[], VoiceActivity] = NativeVad,
    ) -> None:
        self._room = room
        self._emit = emit
        self._vad = vad
        self._undo = ExitStack()
        self._tasks = asyncio.TaskGroup()
        self._listeners: dict[str, Listener] = {}
        self._sids: dict[str, str] = {}
        self._joins: dict[str, ParticipantJoined] = {}
        self._chats: set[asyncio.Task[None]] = set()
        self.people: Mapping[str, str] = {}
        self._hearing = False
        self.changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        handlers: dict[str, Callable[..., None]] = {
            "participant_connected": self._joined,
            "participant_disconnected": self._left,
            "participant_name_changed": self._renamed,
            "participant_attributes_changed": self._attributes_changed,
            "track_subscribed": self._track_subscribed,
            "track_unsubscribed": self._track_unsubscribed,
            "track_muted": self._track_muted,
            "track_unmuted": self._track_unmuted,
            "data_received": self._data_received,
            "room_metadata_changed": self._metadata_changed,
        }
        for event, handler in handlers.items():
            self._on(event, _guarded(handler))
        self._room.register_text_stream_handler(CHAT, _guarded(self._chat_opened))
        self._undo.callback(self._room.unregister_text_stream_handler, CHAT)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.close()
        self.end_intake()
        await self._tasks.__aexit__(kind, error, trace)

    def meet(self) -> None:
        """Report those who are in the room already; call it once the room is connected."""
        for participant in self._room.remote_participants.values():
            self._joined(participant)

    def present(self) -> list[ParticipantJoined]:
        """Return the people in the room as they joined, with the names they have now."""
        return [replace(one, name=self.people[who]) for who, one in self._joins.items()]

    def hear(self, wanted: bool) -> None:
        """Read microphones, or stop reading them: whether an agent hears."""
        if wanted == self._hearing:
            return
        self._hearing = wanted
        for participant in self._room.remote_participants.values():
            for publication in participant.track_publications.values():
                if publication.track and wanted:
                    self._track_subscribed(publication.track, publication, participant)
                elif publication.track:
                    self._track_unsubscribed(publication.track, publication, participant)

    def end_intake(self) -> None:
        """End every participant's speech and audio now; nothing is read after it."""
        self._hearing = False
        for listener in self._listeners.values():
            listener.leave()
        for chat in self._chats:
            chat.cancel()

    def listener(self, identity: str) -> Listener | None:
        """Return the audio of a participant who is in the room."""
        return self._listeners.get(identity)

    def _on(self, event: Any, handler: Callable[..., None]) -> None:
        self._room.on(event, handler)
        self._undo.callback(self._room.off, event, handler)

    def _joined(self, participant: rtc.RemoteParticipant) -> None:
        identity = participant.identity
        if participant.kind in NOT_PEOPLE or self._sids.get(identity) == participant.sid:
            return
        if identity in self._sids:
            self._leave(identity)
        self._sids[identity] = participant.sid
        self.people = {**self.people, identity: participant.name}
        listener = Listener(identity, self._emit, vad=self._vad)
        self._listeners[identity] = listener
        self._tasks.create_task(_logged(listener.run()), name=f"audio of {participant.sid}")
        attributes = dict(participant.attributes)
        joined = ParticipantJoined(time.time(), identity, participant.name, attributes)
        self._joins[identity] = joined
        self.changed.set()
        self._emit(joined)

    def _left(self, participant: rtc.RemoteParticipant) -> None:
        if self._sids.get(participant.identity) == participant.sid:
            self._leave(participant.identity)

    def _leave(self, identity: str) -> None:
        del self._sids[identity], self._joins[identity]
        self._listeners.pop(identity).leave()
        name = self.people[identity]
        self.people = {who: known for who, known in self.people.items() if who != identity}
        self.changed.set()
        self._emit(ParticipantLeft(time.time(), identity, name))

    def _renamed(self, participant: rtc.Participant, _old: str, new: str) -> None:
        if participant.identity in self._sids:
            self.people = {**self.people, participant.identity: new}
            self._emit(ParticipantRenamed(time.time(), participant.identity, new))

    def _attributes_changed(self, changed: dict[str, str], participant: rtc.Participant) -> None:
        if participant.identity in self._sids:
            self._emit(AttributesChanged(time.time(), participant.identity, dict(changed)))

    def _track_subscribed(
        self,
        track: rtc.Track,
        publication: rtc.RemoteTrackPublication,
        participant: rtc.RemoteParticipant,
    ) -> None:
        if not self._hearing or not _is_microphone(publication):
            return
        self._joined(participant)
        if publication.encryption_type != rtc.EncryptionType.NONE:
            log.warning("encrypted track not read, no key", extra={"track": track.sid})
        elif listener := self._listeners.get(participant.identity):
            listener.add_track(track, muted=publication.muted)
            if not publication.muted:
                self._emit(MicrophoneUnmuted(time.time(), participant.identity))

    def _track_unsubscribed(
        self,
        track: rtc.Track,
        publication: rtc.RemoteTrackPublication,
        participant: rtc.RemoteParticipant,
    ) -> None:
        listener = self._listeners.get(participant.identity)
        if listener and _is_microphone(publication):
            listener.remove_track(track.sid)
            if not listener.listening:
                self._emit(MicrophoneMuted(time.time(), participant.identity))

    def _track_muted(self, participant: rtc.Participant, publication: rtc.TrackPublication) -> None:
        self._set_muted(participant, publication, muted=True)

    def _track_unmuted(
        self, participant: rtc.Participant, publication: rtc.TrackPublication
    ) -> None:
        self._set_muted(participant, publication, muted=False)

    def _set_muted(
        self, participant: rtc.Participant, publication: rtc.TrackPublication, *, muted: bool
    ) -> None:
        listener = self._listeners.get(participant.identity)
        if listener and _is_microphone(publication):
            listener.set_muted(publication.sid, muted)
            event = MicrophoneMuted if muted else MicrophoneUnmuted
            self._emit(event(time.time(), participant.identity))

    def _metadata_changed(self, _old: str, _new: str) -> None:
        self.changed.set()

    def _data_received(self, packet: rtc.DataPacket) -> None:
        identity = packet.participant.identity if packet.participant else ""
        if packet.topic == LEGACY_CHAT:
            self._legacy_chat(identity, packet.data)
        else:
            self._emit(DataReceived(time.time(), identity, packet.topic or "", packet.data))

    def _legacy_chat(self, identity: str, payload: bytes) -> None:
        # Clients that also send the text stream mark the copy: every message is told once.
        try:
            message = json.loads(payload)
            if not message.get("ignoreLegacy"):
                text, message_id = str(message["message"]), str(message.get("id", ""))
                self._emit(ChatReceived(time.time(), identity, text, message_id))
        except (ValueError, KeyError, AttributeError):
            log.warning("legacy chat packet is not as livekit-client sends it")

    def _chat_opened(self, reader: rtc.TextStreamReader, identity: str) -> None:
        chat = self._tasks.create_task(_logged(self._read_chat(reader, identity)))
        self._chats.add(chat)
        chat.add_done_callback(self._chats.discard)

    async def _read_chat(self, reader: rtc.TextStreamReader, identity: str) -> None:
        at = time.time()
        text = ""
        async for chunk in reader:  # To its end, also of what is too long: rtc wants it drained.
            text = (text + chunk)[: LONGEST_CHAT + 1]
        if len(text) > LONGEST_CHAT:
            text = f"{text[:LONGEST_CHAT]}…"
        self._emit(ChatReceived(at, identity, text, reader.info.stream_id))


def _is_microphone(publication: rtc.TrackPublication) -> bool:
    return (
        publication.kind == rtc.TrackKind.KIND_AUDIO
        and publication.source != rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO
    )


def _guarded(handler: Callable[P, None]) -> Callable[P, None]:
    """Log what a handler raises: rtc would stop calling the handlers after it."""

    @wraps(handler)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            handler(*args, **kwargs)
        except Exception:
            log.exception("room event not handled", extra={"handler": handler.__name__})

    return guarded


async def _logged(work: Any) -> None:
    """One participant's failure is logged; it does not end the room."""
    try:
        await work
    except Exception:
        log.exception("participant's task failed")
