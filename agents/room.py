"""The only file on ``rtc.Room`` callbacks: what LiveKit says becomes typed events.

It owns the task of each participant's audio: one task from join to leave.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self

from livekit import rtc

from agents.attention import Attention, is_microphone
from agents.audio import Listener
from agents.chat import CHAT, LEGACY_CHAT, ChatReader
from agents.encryption import Decryption
from agents.guarded import guarded, logged
from agents.turn import Turn
from pipelines.events import (
    AttributesChanged,
    AudioMissed,
    DataReceived,
    Event,
    MicrophoneMuted,
    MicrophoneUnmuted,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantRenamed,
)
from pipelines.speech.vad import NativeVad, VoiceActivity
from pipelines.transcript.resume import HOLE_LEAST

NOT_PEOPLE: Final = frozenset(
    {rtc.ParticipantKind.PARTICIPANT_KIND_AGENT, rtc.ParticipantKind.PARTICIPANT_KIND_EGRESS}
)


class MeetingRoom:
    """The people of a room and what they do.

    Use it as an async context manager, entered before the room connects so that nothing is missed;
    leaving it unregisters every callback and ends every participant's task.

    ``people`` maps the identities in the room to display names; ``changed`` is set when somebody
    joins or leaves, when the room's metadata changes, and when media becomes readable or
    unreadable, which ``decryption`` tells.

    Args:
        room: The room, not connected yet.
        emit: Takes every event, in the room's loop; must not block.
        vad: Makes the detector of a stream of audio.
        has_key: Whether the room is connected with an encryption key.
        bridge: Seconds of a muted microphone that are kept; see :class:`agents.ear.Ear`.
        turn: Which speech is this job's; None is all.
    """

    def __init__(
        self,
        room: rtc.Room,
        emit: Callable[[Event], None],
        *,
        vad: Callable[[], VoiceActivity] = NativeVad,
        has_key: bool = False,
        bridge: float = 0.0,
        turn: Turn | None = None,
    ) -> None:
        self._room = room
        self._emit = emit
        self._vad = vad
        self._bridge = bridge
        self._turn = turn
        self._undo = ExitStack()
        self._tasks = asyncio.TaskGroup()
        self._chat = ChatReader(self._tasks, emit)
        self._listeners: dict[str, Listener] = {}
        self._sids: dict[str, str] = {}
        self._joins: dict[str, ParticipantJoined] = {}
        self.decryption = Decryption(has_key)
        self.attention = Attention(room, self._listeners, self.decryption, emit)
        self.people: Mapping[str, str] = {}
        self.changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        handlers: dict[str, Callable[..., None]] = {
            "participant_connected": self._joined,
            "participant_disconnected": self._left,
            "participant_name_changed": self._renamed,
            "participant_attributes_changed": self._attributes_changed,
            "track_published": self._track_published,
            "track_unpublished": self._track_unpublished,
            "track_subscribed": self._track_subscribed,
            "track_unsubscribed": self._track_unsubscribed,
            "track_muted": self._track_muted,
            "track_unmuted": self._track_unmuted,
            "e2ee_state_changed": self._decryption_changed,
            "data_received": self._data_received,
            "room_metadata_changed": self._metadata_changed,
            "reconnecting": self.attention.cut_off,
            "reconnected": self._reconnected,
        }
        for event, handler in handlers.items():
            self._on(event, guarded(handler))
        self._room.register_text_stream_handler(CHAT, guarded(self._chat.open))
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

    def hear(self, wanted: bool, *, screen_shares: bool = False) -> None:
        """Read microphones, or stop reading them: whether an agent hears.

        Args:
            wanted: Read them.
            screen_shares: Read what shared screens play as well.
        """
        self.attention.hear(wanted, screen_shares=screen_shares)

    def end_intake(self) -> None:
        """End every participant's speech and audio now; nothing is read after it."""
        self.attention.hears = False
        for listener in self._listeners.values():
            listener.leave()
        self._chat.close()

    def listener(self, identity: str) -> Listener | None:
        """Return the audio of a participant who is in the room."""
        return self._listeners.get(identity)

    def hand_over(self) -> Mapping[str, Listener]:
        """Begin no further span of anybody's speech; return who was heard until now."""
        for listener in self._listeners.values():
            listener.hand_over()
        return dict(self._listeners)

    def release(self) -> None:
        """Go on with speech that was kept back until the turn was known."""
        for listener in self._listeners.values():
            listener.release()

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
        listener = Listener(
            identity, self._emit, vad=self._vad, bridge=self._bridge, turn=self._turn
        )
        self._listeners[identity] = listener
        self._tasks.create_task(logged(listener.run()), name=f"audio of {participant.sid}")
        attributes = dict(participant.attributes)
        joined = ParticipantJoined(time.time(), identity, participant.name, attributes)
        self._joins[identity] = joined
        self.changed.set()
        self._emit(joined)
        for publication in participant.track_publications.values():
            self._track_published(publication, participant)
            self._attend(publication, participant)

    def _left(self, participant: rtc.RemoteParticipant) -> None:
        if self._is_here(participant):
            self._leave(participant.identity)

    def _leave(self, identity: str) -> None:
        del self._sids[identity], self._joins[identity]
        self._listeners.pop(identity).leave()
        name = self.people[identity]
        self.people = {who: known for who, known in self.people.items() if who != identity}
        self._decryption(lambda: self.decryption.left(identity))
        self.changed.set()
        self._emit(ParticipantLeft(time.time(), identity, name))

    def _is_here(self, participant: rtc.Participant) -> bool:
        return self._sids.get(participant.identity) == participant.sid

    def _renamed(self, participant: rtc.Participant, _old: str, new: str) -> None:
        if self._is_here(participant):
            self.people = {**self.people, participant.identity: new}
            self._emit(ParticipantRenamed(time.time(), participant.identity, new))

    def _attributes_changed(self, changed: dict[str, str], participant: rtc.Participant) -> None:
        if self._is_here(participant):
            self._emit(AttributesChanged(time.time(), participant.identity, dict(changed)))

    def _track_published(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        self._joined(participant)
        if self._is_here(participant):
            who, sid = participant.identity, publication.sid
            encryption = publication.encryption_type
            self._decryption(lambda: self.decryption.published(who, sid, encryption))

    def _track_unpublished(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if self._is_here(participant):
            who, sid = participant.identity, publication.sid
            self.attention.let_go(publication, self._listeners[who])
            self._decryption(lambda: self.decryption.unpublished(who, sid))

    def _track_subscribed(
        self,
        _track: rtc.Track,
        publication: rtc.RemoteTrackPublication,
        participant: rtc.RemoteParticipant,
    ) -> None:
        self._track_published(publication, participant)
        self._attend(publication, participant)

    def _track_unsubscribed(
        self,
        _track: rtc.Track,
        publication: rtc.RemoteTrackPublication,
        participant: rtc.RemoteParticipant,
    ) -> None:
        self._attend(publication, participant)

    def _attend(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        listener = self._listeners.get(participant.identity)
        if listener and self._is_here(participant):
            self.attention.attend(publication, listener)

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
        if listener and self._is_here(participant):
            listener.set_muted(publication.sid, muted)
            if is_microphone(publication):
                event = MicrophoneMuted if muted else MicrophoneUnmuted
                self._emit(event(time.time(), participant.identity))

    def _decryption_changed(self, participant: rtc.Participant | None, state: int) -> None:
        if participant and self._is_here(participant):
            self._decryption(lambda: self.decryption.told(participant.identity, state))

    def _decryption(self, change: Callable[[], None]) -> None:
        before = (self.decryption.problem, self.decryption.unread)
        change()
        if before != (self.decryption.problem, self.decryption.unread):
            self.attention.attend_to_all()
            self.changed.set()

    def _reconnected(self) -> None:
        for listener, since in self.attention.ask_again().items():
            missing = self._missing(listener, since)
            self._tasks.create_task(logged(missing), name="first audio after a reconnect")

    async def _missing(self, listener: Listener, since: float) -> None:
        """Tell what was missed of somebody, up to their first audio or their leave."""
        await listener.heard.wait()
        self.attention.hears_again(listener)
        until = listener.heard_from or time.time()
        if until - since > HOLE_LEAST:
            self._emit(AudioMissed(since, listener.identity, until))

    def _metadata_changed(self, _old: str, _new: str) -> None:
        self.changed.set()

    def _data_received(self, packet: rtc.DataPacket) -> None:
        identity = packet.participant.identity if packet.participant else ""
        if packet.topic == LEGACY_CHAT:
            self._chat.packet(identity, packet.data)
        else:
            self._emit(DataReceived(time.time(), identity, packet.topic or "", packet.data))
