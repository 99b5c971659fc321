"""A job's time in its room: from the connection to the last caption.

Connect -> agents by the metadata -> follow metadata, people and disk -> intake ends -> agents
drain -> last captions; the budgets are in ``shutdown.py``.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from livekit.agents import AutoSubscribe, JobContext
from pydantic import SecretStr

from agents import shutdown
from agents.captions import Captions
from agents.encryption import EncryptionWatch, encryption_options
from agents.ending import Ending
from agents.epoch import put_ghosts_out
from agents.handover import ANSWER, LOOK, NOTICE, Cuts, Successor, agree
from agents.history import History
from agents.host import AgentHost
from agents.listening import Listening
from agents.meeting import Desk
from agents.plugin import MeetingInfo
from agents.room import MeetingRoom
from agents.room_state import RoomState
from agents.switchboard import Switchboard
from agents.turn import LONGEST, Turn
from pipelines.events import (
    AudioMissed,
    CaptionState,
    ChatReceived,
    DataReceived,
    Event,
    ParticipantJoined,
    ParticipantRenamed,
)
from pipelines.settings import CaptionFormatName, Settings
from pipelines.speech.engines import Engines
from pipelines.speech.vad import make_vad
from pipelines.transcript.ledger import Ledger

log = logging.getLogger(__name__)

FIRST_PERSON: Final = 300.0
"""Seconds that a job waits in a room that nobody has entered yet: LiveKit's ``empty_timeout``."""

WATCH_INTERVAL: Final = 0.5


class Sitting:
    """Holds the meeting in its room until it is to end.

    Args:
        ctx: LiveKit's context of the job, not connected yet.
        settings: The process's settings.
        switchboard: What the metadata asks for.
        ledger: Keeps what is said.
        engines: The process's speech engines.
        key: Of an encrypted room, or empty.
        keeps: Whether this meeting may be kept.
        heard_before: Up to when a predecessor heard, Unix seconds; None where none is known.
        cuts: By which the jobs of a hand-over agree on who takes what.
        leaving: Identity of the predecessor that leaves the room to this job; empty is none.
        beat_soon: Asks for a heartbeat now.
        end: Asks LiveKit to end the job.
    """

    def __init__(
        self,
        ctx: JobContext,
        settings: Settings,
        switchboard: Switchboard,
        ledger: Ledger,
        engines: Engines,
        *,
        key: SecretStr,
        keeps: bool,
        heard_before: float | None,
        cuts: Cuts,
        leaving: str,
        beat_soon: Callable[[], None],
        end: Callable[[Ending], None],
    ) -> None:
        self._ctx = ctx
        self._settings = settings
        self._switchboard = switchboard
        self._ledger = ledger
        self._key = key
        self._keeps = keeps
        self._beat_soon = beat_soon
        self._end = end
        # A predecessor that hands over says when; until then nothing is this job's.
        self._leaving = leaving
        self._turn = Turn(since=math.inf, cuts=None) if leaving else Turn()
        self._cuts = cuts
        self._takeover_at = 0.0
        self._history: History | None = None
        self._host: AgentHost | None = None
        self._captions = Captions(
            ctx.room,
            interim_interval=settings.interim_interval_ms / 1000,
            formats=self._formats,
            meeting_start=ledger.started_at,
            before_final=ledger.copied,
        )
        self._room = MeetingRoom(
            ctx.room,
            self._spread,
            vad=partial(make_vad, settings.vad),
            has_key=bool(key.get_secret_value()),
            bridge=settings.unmute_bridge_ms / 1000,
            turn=self._turn,
        )
        self._desk = Desk(
            info=MeetingInfo(
                meeting=ledger.meeting,
                room=ctx.job.room.name,
                epoch=ledger.epoch,
                started_at=ledger.started_at,
                language=switchboard.now.language or settings.language,
                key_terms=switchboard.now.key_terms,
                metadata=switchboard.now.metadata,
            ),
            room=self._room,
            rtc_room=ctx.room,
            captions=self._captions,
            ledger=ledger,
            listening=Listening(self._room, ledger, before=heard_before),
            engines=engines,
            spread=self._spread,
        )

    async def hold(self, *, running: asyncio.Event, stopping: asyncio.Event) -> None:
        """Hold the meeting, then drain it.

        Args:
            running: Set once the agents run.
            stopping: Whether it is to end.
        """
        async with self._room as room, asyncio.TaskGroup() as tasks:
            await self._ctx.connect(
                auto_subscribe=AutoSubscribe.AUDIO_ONLY, encryption=encryption_options(self._key)
            )
            room.meet()
            sending = tasks.create_task(self._captions.run(), name="captions")
            if not self._settings.listen_only:
                self._history = History(self._desk, hidden=self._settings.hidden)
            host = self._host = AgentHost(self._desk, tasks)
            await self._switchboard.connect(host, self._desk)
            if not self._keeps:
                not_kept = {"state": CaptionState.NOT_KEPT}
                self._captions.notify("captions", not_kept, about="keeping")
            running.set()
            inherits = self._turn.cuts is None
            beginning = tasks.create_task(self._take_over() if inherits else self._begin())
            await self._watch(host, stopping)

            beginning.cancel()
            if not inherits:
                until = min(time.time(), self._turn.until)
                self._desk.listening.end(until, self._desk.mark_hole)
            room.end_intake()
            await host.stop_all(deadline=shutdown.DRAIN_AGENTS)
            self._captions.close()
            await asyncio.wait({sending}, timeout=shutdown.SEND_CAPTIONS)
            sending.cancel()

    def state(self, state: RoomState) -> RoomState:
        """Return ``state`` with what is the case now, for the next heartbeat."""
        if self._host is None:  # What a predecessor heard is still all that was heard.
            return state
        if self._takeover_at and not state.takeover_at:
            state = replace(state, handover="", leaving="", takeover_at=self._takeover_at)
        return replace(
            state,
            heard_until=self._desk.listening.heard_until(time.time()),
            agents=tuple(sorted(self._host.names)),
        )

    async def leave_to_successor(self, successor: Successor) -> None:
        """Finish the spans of speech that are open at the watershed, and end."""
        await asyncio.sleep(successor.at - time.time())
        self._turn.until = successor.at
        heard = self._room.hand_over()
        told = None
        while time.time() < successor.at + LONGEST + ANSWER:
            cuts = {identity: listener.cut for identity, listener in heard.items()}
            if cuts != told and await self._cuts.tell(successor.job, cuts):
                told = cuts
            if cuts == told and None not in cuts.values():
                break
            await asyncio.sleep(LOOK)
        self._end(Ending.HANDED_OVER)

    def lose_room(self) -> None:
        """Mark no hole from now on: there may be a successor, whose own hole covers them all."""
        self._desk.lost_room = True

    def mark_held_back(self) -> None:
        """Mark the holes since the room was lost: there is no successor."""
        self._desk.lost_room = False
        for hole in self._desk.held_back:
            self._desk.mark_hole(hole)

    async def _begin(self) -> None:
        await self._desk.listening.begin(self._desk.mark_hole)

    async def _take_over(self) -> None:
        """Say when the watershed is, once this job is given audio, and take what is its own."""
        try:
            await self._desk.listening.take_over(self._agree, self._desk.mark_hole)
        finally:
            self._turn.leave_the_rest()

    async def _agree(self) -> float | None:
        """See :meth:`agents.listening.Listening.take_over`."""
        at = self._takeover_at = time.time() + NOTICE
        self._beat_soon()
        alone_since = await agree(
            self._turn,
            self._cuts,
            at=at,
            is_there=self._predecessor_is_there,
            people=lambda: self._room.people,
            release=self._room.release,
        )
        if alone_since is not None:
            await put_ghosts_out(self._ctx, self._settings, self._ledger.epoch)
        return alone_since

    def _predecessor_is_there(self) -> bool:
        # Nobody sees a hidden one, in the room or not.
        return self._settings.hidden or self._leaving in self._ctx.room.remote_participants

    def _spread(self, event: Event) -> None:
        if isinstance(event, ChatReceived | DataReceived) and not self._turn.has(event.at):
            return  # The other job in the room takes it.
        if isinstance(event, ParticipantJoined | ParticipantRenamed):
            person = {"identity": event.identity, "name": event.name}
            self._ledger.append("person", person, at=event.at)
        if isinstance(event, AudioMissed):
            self._desk.missed(event)
        if isinstance(event, ParticipantJoined):
            self._captions.welcome(event.identity)
        if self._history:
            self._history.receive(event)
        if self._host:
            self._host.spread(event)

    async def _watch(self, host: AgentHost, stopping: asyncio.Event) -> None:
        """Follow the metadata, the people and the disk until the meeting is stopped."""
        room, desk = self._room, self._desk
        durable = True
        encryption = EncryptionWatch(self._ctx.room, room.decryption, desk.captions, self._key)
        people_until = time.monotonic()
        patience = max(FIRST_PERSON, self._patience)
        while not stopping.is_set():
            waits = [asyncio.create_task(event.wait()) for event in (room.changed, stopping)]
            await asyncio.wait(waits, timeout=WATCH_INTERVAL, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            room.changed.clear()
            await self._switchboard.follow(host, desk)
            await encryption.look(time.monotonic())
            if durable != self._ledger.durable:
                durable = self._ledger.durable
                state = CaptionState.DURABLE if durable else CaptionState.NOT_DURABLE
                desk.captions.notify("captions", {"state": state}, about="journal")
            if room.people:
                people_until, patience = time.monotonic(), self._patience
            elif time.monotonic() - people_until > patience:
                self._end(Ending.EMPTY)
                people_until = time.monotonic()

    @property
    def _formats(self) -> tuple[CaptionFormatName, ...]:
        """How captions are sent: legacy packets can't be encrypted."""
        if self._settings.listen_only:
            return ()
        formats = self._settings.caption_formats
        if self._key.get_secret_value():
            formats = tuple(name for name in formats if name != "legacy")
        return formats or ("text-stream",)

    @property
    def _patience(self) -> float:
        """Seconds without people after which the job ends."""
        own = self._settings.departure_timeout
        return float(self._ctx.job.room.departure_timeout) if own is None else own
