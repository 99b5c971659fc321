"""A job's time in its room: from the connection to the last caption.

Connect -> agents by the metadata -> follow metadata, people and disk -> intake ends -> agents
drain -> last captions; the budgets are in ``shutdown.py``.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from livekit.agents import AutoSubscribe, JobContext
from pydantic import SecretStr

from agents import shutdown
from agents.acting import Acting
from agents.captions import Captions
from agents.encryption import EncryptionWatch, encryption_options
from agents.ending import Ending
from agents.handover import Cuts, Successor, tell_cuts
from agents.host import AgentHost
from agents.listening import Listening
from agents.meeting import Desk
from agents.plugin import MeetingInfo
from agents.room import MeetingRoom
from agents.room_state import RoomState
from agents.room_watch import patience_of, watch_room
from agents.switchboard import Switchboard
from agents.taking_over import TakingOver
from agents.tools.tool import Tool
from agents.turn import Turn
from pipelines.events import (
    AudioMissed,
    CaptionState,
    ChatReceived,
    DataReceived,
    Event,
    ParticipantJoined,
    ParticipantRenamed,
)
from pipelines.lease import Leases
from pipelines.settings import CaptionFormatName, Settings
from pipelines.speech.engines import Engines
from pipelines.speech.vad import make_vad
from pipelines.transcript.ledger import Ledger


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
        tools: The installed ones.
        leases: Decide which of two jobs carries out what must not happen twice.
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
        tools: Sequence[Tool],
        leases: Leases,
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
        self._leases, self._tools = leases, tools
        self._end = end
        # A predecessor that hands over says when; until then nothing is this job's.
        self._turn = Turn(since=math.inf, cuts=None) if leaving else Turn()
        self._cuts = cuts
        self._acting: Acting | None = None
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
                kept=keeps,
            ),
            room=self._room,
            rtc_room=ctx.room,
            captions=self._captions,
            ledger=ledger,
            listening=Listening(self._room, ledger, before=heard_before),
            engines=engines,
            spread=self._spread,
        )
        self._taking_over = (
            TakingOver(
                ctx,
                settings,
                self._desk,
                turn=self._turn,
                cuts=cuts,
                leaving=leaving,
                beat_soon=beat_soon,
            )
            if leaving
            else None
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
            host = self._host = AgentHost(self._desk, tasks)
            acting = self._start_acting(host, tasks)
            await self._switchboard.connect(host, self._desk)
            if not self._keeps:
                not_kept = {"about": "keeping", "state": CaptionState.NOT_KEPT}
                self._captions.notify("captions", not_kept, about="keeping")
            running.set()
            taking_over = self._taking_over
            beginning = tasks.create_task(taking_over.run() if taking_over else self._begin())
            await self._watch(host, stopping)

            beginning.cancel()
            if not taking_over:
                until = min(time.time(), self._turn.until)
                self._desk.listening.end(until, self._desk.mark_hole)
            room.end_intake()
            finish_by = time.monotonic() + shutdown.FINISH_EFFECTS
            if self._acting:
                self._acting.close()
            await host.stop_all(deadline=shutdown.DRAIN_AGENTS)
            await self._finish_effects(finish_by)
            self._captions.close()
            last = {sending, *acting}
            await asyncio.wait(last, timeout=shutdown.SEND_CAPTIONS)
            for task in last:
                task.cancel()

    def state(self, state: RoomState) -> RoomState:
        """Return ``state`` with what is the case now, for the next heartbeat."""
        if self._host is None:  # What a predecessor heard is still all that was heard.
            return state
        takeover_at = self._taking_over.at if self._taking_over else 0.0
        if takeover_at and not state.takeover_at:
            state = replace(state, handover="", leaving="", takeover_at=takeover_at)
        return replace(
            state,
            heard_until=self._desk.listening.heard_until(time.time()),
            agents=tuple(sorted(self._host.names)),
        )

    async def leave_to_successor(self, successor: Successor) -> None:
        """Finish the spans of speech that are open at the watershed, and end."""
        await asyncio.sleep(successor.at - time.time())
        self._turn.until = successor.at
        self._stop_acting()  # The other job does from now on.
        heard = self._room.hand_over()
        await tell_cuts(self._cuts, successor, lambda: {who: one.cut for who, one in heard.items()})
        self._end(Ending.HANDED_OVER)

    def lose_room(self, *, over: bool = False) -> None:
        """Mark no hole from now on: there may be a successor, whose own hole covers them all.

        Args:
            over: Whether the room is gone for everybody: then no other job acts either, and what is
                approved gets to its end.
        """
        self._desk.lost_room = True
        if not over:
            self._stop_acting()

    def mark_held_back(self) -> None:
        """Mark the holes since the room was lost: there is no successor."""
        self._desk.lost_room = False
        for hole in self._desk.held_back:
            self._desk.mark_hole(hole)

    def end_approvals(self) -> None:
        """Leave nothing open or on its way: the meeting has ended."""
        if self._acting:
            self._acting.approvals.end()

    def _start_acting(
        self, host: AgentHost, tasks: asyncio.TaskGroup
    ) -> tuple[asyncio.Task[None], ...]:
        """Serve calls, where the agent may say anything; return the task, if there is one."""
        if self._settings.listen_only:
            return ()
        self._acting = self._desk.acting = Acting(
            self._desk,
            self._settings,
            self._switchboard,
            host,
            tools=self._tools,
            leases=self._leases,
            keeps=self._keeps,
        )
        return (tasks.create_task(self._acting.run(), name="acting"),)

    def _stop_acting(self) -> None:
        if self._acting:
            self._acting.stop()

    async def _finish_effects(self, until: float) -> None:
        """Wait for what people have approved, until ``until`` of the monotonic clock."""
        if self._acting:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, until - time.monotonic())):
                    await self._acting.approvals.finished()

    async def _begin(self) -> None:
        if self._acting:
            self._acting.begin()
        await self._desk.listening.begin(self._desk.mark_hole)

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
        if self._acting:
            self._acting.receive(event)
        if self._host:
            self._host.spread(event)

    async def _watch(self, host: AgentHost, stopping: asyncio.Event) -> None:
        decryption = self._room.decryption
        await watch_room(
            self._desk,
            self._switchboard,
            host,
            EncryptionWatch(self._ctx.room, decryption, self._captions, self._key),
            patience=patience_of(self._ctx.job, self._settings),
            empty=lambda: self._end(Ending.EMPTY),
            stopping=stopping,
        )

    @property
    def _formats(self) -> tuple[CaptionFormatName, ...]:
        """How captions are sent: legacy packets can't be encrypted."""
        if self._settings.listen_only:
            return ()
        formats = self._settings.caption_formats
        if self._key.get_secret_value():
            formats = tuple(name for name in formats if name != "legacy")
        return formats or ("text-stream",)
