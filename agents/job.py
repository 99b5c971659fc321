"""One job: a meeting from the dispatch to the seal. Puts the parts together and orders the end.

Start: settings from metadata -> epoch and ledger -> ghosts out of the room -> connect -> agents.
End: intake stops -> agents drain -> last captions -> stores -> seal; see ``shutdown.py``.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Mapping
from functools import partial
from typing import Final

from livekit.agents import AutoSubscribe, JobContext, JobProcess

from agents import shutdown
from agents.captions import Captions
from agents.closing import let_go, seal, write_recording_file
from agents.encryption import EncryptionWatch, encryption_options
from agents.epoch import open_ledger, put_ghosts_out
from agents.first_dispatch import oldest_like, until_withdrawn
from agents.history import History
from agents.host import AgentHost
from agents.meeting import Desk
from agents.plugin import AgentSpec, MeetingInfo
from agents.registry import load_specs
from agents.room import MeetingRoom
from agents.switchboard import Switchboard
from pipelines.errors import FencedError
from pipelines.events import CaptionState, Event, ParticipantJoined, ParticipantRenamed
from pipelines.metrics import metrics
from pipelines.settings import CaptionFormatName, Settings
from pipelines.speech.engines import Engines
from pipelines.speech.vad import make_vad
from pipelines.transcript.ledger import Ledger, first_dispatch
from pipelines.transcript.recording_file import RecordingFile, open_recording_file
from pipelines.transcript.stores.open_stores import Stores, open_stores

log = logging.getLogger(__name__)

FIRST_PERSON: Final = 300.0
"""Seconds that a job waits in a room that nobody has entered yet: LiveKit's ``empty_timeout``."""

WATCH_INTERVAL: Final = 0.5


def prepare_process(settings: Settings, proc: JobProcess) -> None:
    """Set up a job's process before it has a job: LiveKit's ``setup_fnc``."""
    # At the default of 5 ms one spinning plugin thread starves ten speakers.
    sys.setswitchinterval(0.0005)
    metrics()  # From now on nothing that is counted touches the disk for space.
    proc.userdata["settings"] = settings
    proc.userdata["specs"] = load_specs()
    make_vad(settings.vad)  # Its model is loaded before anybody speaks.
    # Loading the client of S3 takes a second: not while a room waits.
    proc.userdata["stores"] = open_stores(settings)


async def run_job(ctx: JobContext) -> None:
    """Serve the dispatched room: LiveKit's entrypoint; returns once the agents run."""
    prepared = ctx.proc.userdata
    job = MeetingJob(ctx, prepared["settings"], prepared["specs"], prepared["stores"])
    prepared["job"] = job
    await job.start()


async def end_job(ctx: JobContext) -> None:
    """End the meeting in good order: LiveKit's ``on_session_end``, the room still connected."""
    if job := ctx.proc.userdata.get("job"):
        await job.stop()


class MeetingJob:
    """A meeting's agents and what they share, from :meth:`start` to :meth:`stop`.

    Args:
        ctx: LiveKit's context of the job, not connected yet.
        settings: The process's settings.
        specs: The installed agents.
        stores: Where the lines go.
    """

    def __init__(
        self,
        ctx: JobContext,
        settings: Settings,
        specs: Mapping[str, AgentSpec],
        stores: Stores,
    ) -> None:
        self._ctx = ctx
        self._settings = settings
        self._specs = specs
        self._stores = stores
        self._running = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended = False
        self._key = settings.e2ee_key
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Join the room and start its agents; returns when they run."""
        self._serving = asyncio.create_task(self._serve(), name="meeting")
        running = asyncio.create_task(self._running.wait())
        await asyncio.wait({self._serving, running}, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        if not self._running.is_set():
            await self._serving  # It raises what went wrong.

    async def stop(self) -> None:
        """End the meeting in the order and the time that ``shutdown.py`` says."""
        self._stopping.set()
        if self._serving:
            await self._serving

    async def _serve(self) -> None:
        switchboard = Switchboard(self._settings, self._specs, self._ctx.job.metadata)
        switchboard.read(self._ctx.job.room.metadata)
        own_key = switchboard.now.e2ee_key
        self._key = own_key if own_key.get_secret_value() else self._settings.e2ee_key
        recording_file = self._recording_file(switchboard.now.recording_id)
        ledger = await open_ledger(
            self._ctx, self._settings, self._stores, switchboard.now, keep=self._keeps
        )
        engines = Engines(self._settings)
        metrics().meetings_running.inc()
        try:
            async with asyncio.TaskGroup() as tasks:
                keeping = [tasks.create_task(ledger.run(), name="ledger")]
                if recording_file:
                    preparing = recording_file.prepare()
                    keeping.append(tasks.create_task(preparing, name="bucket of the recordings"))
                try:
                    await self._hold(ledger, engines, switchboard)
                    # Only after a good end: one that was cut off goes on in the next epoch.
                    ledger.append("ended", {}, at=time.time())
                    self._ended = True
                    if recording_file:
                        writing = write_recording_file(recording_file, ledger)
                        tasks.create_task(writing, name="recording's metadata")
                except FencedError as error:
                    log.warning("job ends before it began", extra={"cause": str(error)})
                    self._ctx.shutdown(str(error))
                finally:
                    ledger.close()
                    await asyncio.wait(keeping, timeout=shutdown.FLUSH_STORES)
                    for task in keeping:
                        task.cancel()
            if self._ended and self._keeps:
                await seal(ledger, self._settings.journal_dir, self._stores, recording_file)
        finally:
            ledger.release()
            parts = (engines, *self._stores.all, *((recording_file,) if recording_file else ()))
            await let_go(parts)
            metrics().meetings_running.dec()

    async def _hold(self, ledger: Ledger, engines: Engines, switchboard: Switchboard) -> None:
        """Hold the meeting until it is stopped, then drain it."""
        ctx = self._ctx
        captions = Captions(
            ctx.room,
            interim_interval=self._settings.interim_interval_ms / 1000,
            formats=self._formats,
            meeting_start=ledger.started_at,
            before_final=ledger.copied,
        )
        host: AgentHost | None = None
        history: History | None = None

        def spread(event: Event) -> None:
            if isinstance(event, ParticipantJoined | ParticipantRenamed):
                person = {"identity": event.identity, "name": event.name}
                ledger.append("person", person, at=event.at)
            if isinstance(event, ParticipantJoined):
                captions.welcome(event.identity)
            if history:
                history.receive(event)
            if host:
                host.spread(event)

        await put_ghosts_out(ctx, self._settings.agent_name, ledger.epoch)
        meeting_room = MeetingRoom(
            ctx.room,
            spread,
            vad=partial(make_vad, self._settings.vad),
            has_key=self._has_key,
            bridge=self._settings.unmute_bridge_ms / 1000,
        )
        async with meeting_room as room, asyncio.TaskGroup() as tasks:
            await ctx.connect(
                auto_subscribe=AutoSubscribe.AUDIO_ONLY, encryption=encryption_options(self._key)
            )
            room.meet()
            sending = tasks.create_task(captions.run(), name="captions")
            desk = Desk(
                info=MeetingInfo(
                    meeting=ledger.meeting,
                    room=ctx.job.room.name,
                    epoch=ledger.epoch,
                    started_at=ledger.started_at,
                    language=switchboard.now.language or self._settings.language,
                    key_terms=switchboard.now.key_terms,
                    metadata=switchboard.now.metadata,
                ),
                room=room,
                rtc_room=ctx.room,
                captions=captions,
                ledger=ledger,
                engines=engines,
                spread=spread,
            )
            if not self._settings.listen_only:
                history = History(desk, hidden=self._settings.hidden)
            host = AgentHost(desk, tasks)
            await switchboard.connect(host, desk)
            if not self._keeps:
                captions.notify("captions", {"state": CaptionState.NOT_KEPT}, about="keeping")
            self._running.set()
            watching = tasks.create_task(self._leave_with_the_first_dispatch(ledger))
            await self._watch(room, desk, host, switchboard)

            watching.cancel()
            room.end_intake()
            await host.stop_all(deadline=shutdown.DRAIN_AGENTS)
            captions.close()
            await asyncio.wait({sending}, timeout=shutdown.SEND_CAPTIONS)
            sending.cancel()

    async def _watch(
        self, room: MeetingRoom, desk: Desk, host: AgentHost, switchboard: Switchboard
    ) -> None:
        """Follow the metadata, the people and the disk until the meeting is stopped."""
        durable = True
        encryption = EncryptionWatch(self._ctx.room, room.decryption, desk.captions, self._key)
        people_until = time.monotonic()
        patience = max(FIRST_PERSON, self._patience)
        while not self._stopping.is_set():
            waits = [asyncio.create_task(event.wait()) for event in (room.changed, self._stopping)]
            await asyncio.wait(waits, timeout=WATCH_INTERVAL, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            room.changed.clear()
            await switchboard.follow(host, desk)
            await encryption.look(time.monotonic())
            if durable != desk.ledger.durable:
                durable = desk.ledger.durable
                state = CaptionState.DURABLE if durable else CaptionState.NOT_DURABLE
                desk.captions.notify("captions", {"state": state}, about="journal")
            if room.people:
                people_until, patience = time.monotonic(), self._patience
            elif time.monotonic() - people_until > patience:
                self._ctx.shutdown("nobody is in the room")
                people_until = time.monotonic()

    @property
    def _has_key(self) -> bool:
        return bool(self._key.get_secret_value())

    @property
    def _formats(self) -> tuple[CaptionFormatName, ...]:
        """How captions are sent: legacy packets can't be encrypted."""
        if self._settings.listen_only:
            return ()
        formats = self._settings.caption_formats
        if self._has_key:
            formats = tuple(name for name in formats if name != "legacy")
        return formats or ("text-stream",)

    @property
    def _keeps(self) -> bool:
        """Whether this meeting may be kept; it must not begin to be in the middle of a job."""
        return self._settings.store_encrypted_rooms or not self._has_key

    @property
    def _patience(self) -> float:
        """Seconds without people after which the job ends."""
        own = self._settings.departure_timeout
        return float(self._ctx.job.room.departure_timeout) if own is None else own

    async def _leave_with_the_first_dispatch(self, ledger: Ledger) -> None:
        job = self._ctx.job
        room, sid, own = job.room.name, job.room.sid, {"", job.dispatch_id}
        oldest = await oldest_like(self._ctx.api, room=room, dispatch=job.dispatch_id)
        # A store that was away may tell of another one late.
        while (first := first_dispatch(ledger.opened, sid)) in own:
            if oldest not in own:
                first = oldest
                break
            await asyncio.sleep(WATCH_INTERVAL)
        await until_withdrawn(self._ctx.api, room=room, sid=sid, dispatch=first)
        self._ctx.shutdown("the first dispatch is deleted")

    def _recording_file(self, recording_id: str) -> RecordingFile | None:
        """Return the file that this meeting is to be told in, if it is a recording."""
        file = open_recording_file(self._settings) if recording_id else None
        if file and not self._keeps:
            log.warning("no recording's metadata: encrypted rooms are not kept")
            return None
        return file
