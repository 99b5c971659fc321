"""The meeting as its agents see it: one shared desk, and what each agent is given of it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from livekit import rtc

from agents.audio import Speech
from agents.caption_check import checked
from agents.caption_status import hole_notice
from agents.captions import Captions
from agents.listening import Listening, Oldest
from agents.mailbox import Mailbox
from agents.plugin import AgentSpec, AudioChunk, MeetingInfo, RpcCall, RpcHandler, Stored
from agents.room import MeetingRoom
from pipelines.events import (
    AudioMissed,
    CaptionFinal,
    CaptionInterim,
    Event,
    Hole,
    HoleCause,
)
from pipelines.speech.engines import Engines
from pipelines.transcript.ledger import Ledger

if TYPE_CHECKING:
    from agents.acting import Acting

log = logging.getLogger(__name__)

EVENTS: Final = 1_000
"""Events that wait for a slow agent."""

MAX_STATE: Final = 64 * 1024
"""Bytes of one state value, as JSON."""


@dataclass(slots=True)
class Desk:
    """What the agents of one meeting share; used in the job's loop only.

    Args:
        info: Identity and start of the meeting.
        room: The people.
        rtc_room: The connected room.
        captions: Shows.
        ledger: Keeps.
        listening: Tells up to when what was said is settled.
        engines: The process's speech engines.
        spread: Gives an event to every agent.
        acting: What people and agents may have done; None where the agent may say nothing.

    ``held_back`` has the holes since the job lost its room: where it has a successor, that one
    marks them all in one, and they are not this job's to mark.
    """

    info: MeetingInfo
    room: MeetingRoom
    rtc_room: rtc.Room
    captions: Captions
    ledger: Ledger
    listening: Listening
    engines: Engines
    spread: Callable[[Event], None]
    acting: Acting | None = None
    lost_room: bool = False
    held_back: list[Hole] = field(default_factory=list)
    _segments: count[int] = field(default_factory=lambda: count(1))
    _rpc_owners: dict[str, str] = field(default_factory=dict)

    def new_segment(self) -> str:
        """Return an id that no segment of this meeting has, in this epoch or another."""
        return f"{self.info.epoch:x}-{next(self._segments)}"

    def name_of(self, identity: str) -> str:
        """Return the display name as last known."""
        return self.room.people.get(identity) or self.ledger.people.get(identity, "")

    def publish(self, caption: CaptionInterim | CaptionFinal) -> None:
        """Keep a final, then show the caption and tell the agents: in this order.

        Raises:
            ValueError: A field has a wrong type or no sense, or the revision is kept already.
        """
        caption = checked(replace(caption, name=caption.name or self.name_of(caption.identity)))
        if isinstance(caption, CaptionFinal):
            if self.ledger.has(caption):
                raise ValueError(f"segment {caption.segment!r} is kept: correct it by `revision`")
            # A correction is a person's: see CaptionCorrected.
            caption = self.ledger.append_final(replace(caption, correction=None))
            if self.ledger.is_corrected(caption.segment):
                return
        self.captions.offer(caption)
        self.spread(caption)

    def mark_hole(self, hole: Hole) -> None:
        """Keep that speech may be missing, and tell the room."""
        if self.lost_room:
            self.held_back.append(hole)
            return
        self.ledger.append_hole(hole)
        self.captions.tell("hole", hole_notice(hole))

    def missed(self, event: AudioMissed) -> None:
        """Keep that no audio of somebody came, and tell the room."""
        self.mark_hole(Hole(event.at, event.end, HoleCause.NETWORK, (event.identity,)))

    def register_rpc(self, owner: str, method: str, handler: RpcHandler) -> None:
        """Answer calls of ``method`` with ``handler``; see ``Meeting.register_rpc``."""
        if method in self._rpc_owners:
            raise ValueError(f"RPC {method!r} is registered by agent {self._rpc_owners[method]!r}")

        async def answer(call: rtc.RpcInvocationData) -> str:
            return await handler(RpcCall(call.caller_identity, call.payload, call.response_timeout))

        self.rtc_room.local_participant.register_rpc_method(method, answer)
        self._rpc_owners[method] = owner

    def unregister_rpc(self, owner: str) -> None:
        """Stop answering the calls that ``owner`` registered."""
        for method in [method for method, who in self._rpc_owners.items() if who == owner]:
            self.rtc_room.local_participant.unregister_rpc_method(method)
            del self._rpc_owners[method]


class RoomMeeting:
    """What one agent is given (:class:`agents.plugin.Meeting`), in the job's loop."""

    def __init__(self, spec: AgentSpec, desk: Desk) -> None:
        self._spec = spec
        self._desk = desk
        self.inbox: Mailbox[Event] = Mailbox(
            EVENTS, expendable=lambda event: isinstance(event, CaptionInterim)
        )
        self._ending = ExitStack()
        # Of each mailbox that is still read, what closes it: people come and go all day.
        self._heard: WeakKeyDictionary[Mailbox[Any], Callable[[Any], None]] = WeakKeyDictionary()

    @property
    def info(self) -> MeetingInfo:
        """Identity and start of the meeting."""
        return self._desk.info

    @property
    def engines(self) -> Engines:
        """The speech engines that the operator allows."""
        return self._desk.engines

    @property
    def acting(self) -> Acting | None:
        """What people and agents may have done."""
        return self._desk.acting

    def events(self) -> AsyncIterator[Event]:
        """Iterate over what happens."""
        return aiter(self.inbox)

    def participants(self) -> Mapping[str, str]:
        """Return identity -> display name of the people in the room."""
        return self._desk.room.people

    def audio(self, identity: str) -> AsyncIterator[AudioChunk]:
        """Iterate over a participant's unmuted microphone."""
        return aiter(self.open_audio(identity))

    def speech(self, identity: str) -> AsyncIterator[Speech]:
        """Iterate over what a participant says."""
        return aiter(self.open_speech(identity))

    def open_audio(self, identity: str) -> Mailbox[AudioChunk]:
        """Return the mailbox behind :meth:`audio`."""
        self._may_hear()
        if (listener := self._desk.room.listener(identity)) is None:
            return _closed()
        box = listener.open_audio()
        self._heard[box] = listener.close_audio
        return box

    def open_speech(self, identity: str) -> Mailbox[Speech]:
        """Return the mailbox behind :meth:`speech`."""
        self._may_hear()
        if (listener := self._desk.room.listener(identity)) is None:
            return _closed()
        box = listener.open_speech()
        self._heard[box] = listener.close_speech
        return box

    async def publish(self, caption: CaptionInterim | CaptionFinal) -> None:
        """Show a caption and, where final, keep it."""
        self._desk.publish(caption)

    def new_segment(self) -> str:
        """Return an unused id for a caption."""
        return self._desk.new_segment()

    async def notify(self, kind: str, **fields: Any) -> None:
        """Tell the room a fact."""
        self._desk.captions.notify(kind, fields)

    async def send_data(self, payload: bytes | str, *, topic: str, to: Sequence[str] = ()) -> None:
        """Send text as a text stream, bytes as a reliable packet."""
        participant = self._desk.rtc_room.local_participant
        if isinstance(payload, str):
            await participant.send_text(
                payload, topic=topic, destination_identities=list(to) or None
            )
        else:
            await participant.publish_data(payload, topic=topic, destination_identities=list(to))

    async def register_rpc(self, method: str, handler: RpcHandler) -> None:
        """Answer RPC calls until the agent ends."""
        self._desk.register_rpc(self._spec.name, method, handler)

    async def store(self, kind: str, data: Mapping[str, Any]) -> None:
        """Keep a line of the agent's own."""
        note = {"agent": self._spec.name, "kind": kind, "data": dict(data)}
        self._desk.ledger.append("note", note, at=time.time())

    async def stored(self) -> Sequence[Stored]:
        """Return what the agent stored so far."""
        return [
            Stored(line.at, line.data["kind"], line.data["data"])
            for line in await self._desk.ledger.lines()
            if line.kind == "note" and line.data.get("agent") == self._spec.name
        ]

    async def mark_hole(self, identity: str, *, at: float, end: float, reason: str) -> None:
        """Keep that speech is lost, and tell the room."""
        self._desk.mark_hole(Hole(at, end, HoleCause.ENGINE, (identity,), reason))

    def watch_unsettled(self, oldest: Oldest) -> None:
        """Have the heartbeat ask how far back unsettled speech reaches."""
        self._ending.callback(self._desk.listening.watch(oldest))

    async def said(self, *, since: float = 0.0) -> Sequence[CaptionFinal]:
        """Return the meeting's finals."""
        return await self._desk.ledger.said(since=since)

    async def get_state(self, key: str) -> Any:
        """Return what was kept under ``key``, or None."""
        return self._desk.ledger.state(f"{self._spec.name}/{key}")

    async def set_state(self, key: str, value: Any) -> None:
        """Keep a small JSON value under ``key``."""
        size = len(json.dumps(value))
        if size > MAX_STATE:
            raise ValueError(f"state {key!r} holds at most {MAX_STATE} bytes, this one {size}")
        line = {"key": f"{self._spec.name}/{key}", "value": value}
        self._desk.ledger.append("state", line, at=time.time())

    def switch_off(self) -> None:
        """End the agent's events and what it hears; it may still say its last words."""
        self.inbox.close()
        for box, close in list(self._heard.items()):
            close(box)

    def end(self) -> None:
        """Let go of all that the agent registered and opened."""
        self._ending.close()
        self._desk.unregister_rpc(self._spec.name)
        self.switch_off()
        if self.inbox.lost:
            lost = {"agent": self._spec.name, "events": self.inbox.lost}
            log.warning("agent was too slow and missed events", extra=lost)

    def _may_hear(self) -> None:
        if not self._spec.hears:
            raise PermissionError(f"agent {self._spec.name!r} reads audio: set hears=True")


def _closed() -> Mailbox[Any]:
    box: Mailbox[Any] = Mailbox(1)
    box.close()
    return box
