"""One job: a meeting from the dispatch to the seal. Puts the parts together and orders the end.

Start: settings from metadata -> epoch and ledger -> ghosts out of the room -> connect -> agents.
End: intake stops -> agents drain -> last captions -> stores -> seal; see ``shutdown.py``.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from livekit.agents import JobContext

from agents import shutdown
from agents.closing import let_go, seal, write_recording_file
from agents.ending import Ending, disconnected
from agents.epoch import open_ledger, put_ghosts_out
from agents.first_dispatch import INTERVAL, ended_by, forget, oldest_like, until_withdrawn
from agents.handover import Cuts
from agents.heartbeat import Heartbeat
from agents.identity import EPOCH
from agents.livekit_api import OURS, asked_first, open_api
from agents.livekit_compat import accepted_attributes, is_connected
from agents.meeting_id import meeting_of
from agents.plugin import AgentSpec
from agents.room_settings import RoomSettings
from agents.room_state import room_key, succeed
from agents.sitting import Sitting
from agents.switchboard import Switchboard
from agents.tools.tool import Tool
from pipelines.errors import FencedError
from pipelines.lease import Leases
from pipelines.leases.open_leases import open_leases
from pipelines.metrics import metrics
from pipelines.settings import Settings
from pipelines.speech.engines import Engines
from pipelines.transcript.epochs import first_dispatch
from pipelines.transcript.ledger import Ledger
from pipelines.transcript.recording_file import RecordingFile, open_recording_file
from pipelines.transcript.stores.open_stores import Stores

log = logging.getLogger(__name__)

GONE: Final = frozenset({None, Ending.OVER, Ending.CUT_OFF})
"""Endings after which there is no room with dispatches, or none that can be asked."""


class MeetingJob:
    """A meeting's agents and what they share, from :meth:`start` to :meth:`stop`.

    Args:
        ctx: LiveKit's context of the job, not connected yet.
        settings: The process's settings.
        specs: The installed agents.
        stores: Where the lines go.
        tools: The installed tools.
    """

    def __init__(
        self,
        ctx: JobContext,
        settings: Settings,
        specs: Mapping[str, AgentSpec],
        stores: Stores,
        tools: Sequence[Tool] = (),
    ) -> None:
        self._ctx = ctx
        self._settings = settings
        self._specs = specs
        self._stores = stores
        self._tools = tools
        self._running = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ending: Ending | None = None
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
        leases = open_leases(self._settings)
        heartbeat = self._heartbeat(leases, switchboard.now)
        try:
            await heartbeat.begin()
            await self._keep(leases, heartbeat, switchboard)
        except* FencedError:
            self._ending = Ending.FENCED
            log.warning("job leaves", extra={"cause": self._ending.value})
            self._ctx.shutdown(self._ending.value)
        else:
            if self._ending not in GONE:
                await forget(self._settings, self._ctx.job)
        finally:
            await let_go((leases,))

    async def _keep(self, leases: Leases, heartbeat: Heartbeat, switchboard: Switchboard) -> None:
        """Hold the meeting with its ledger open, and close it: lines to the stores, the seal."""
        asked = switchboard.now
        key = asked.e2ee_key if asked.e2ee_key.get_secret_value() else self._settings.e2ee_key
        # Whether it may be kept must not change in the middle of a job.
        keeps = self._settings.store_encrypted_rooms or not key.get_secret_value()
        recording_file = self._recording_file(asked.recording_id, keeps=keeps)
        ledger = await self._open(heartbeat, asked, keeps=keeps)
        engines = Engines(self._settings)
        metrics().meetings_running.inc()
        try:
            async with asyncio.TaskGroup() as tasks:
                keeping = [tasks.create_task(ledger.run(), name="ledger")]
                if recording_file:
                    preparing = recording_file.prepare()
                    keeping.append(tasks.create_task(preparing, name="bucket of the recordings"))
                try:
                    sitting = Sitting(
                        self._ctx,
                        self._settings,
                        switchboard,
                        ledger,
                        engines,
                        key=key,
                        keeps=keeps,
                        heard_before=heartbeat.state.heard_until or None,
                        tools=self._tools,
                        leases=leases,
                        cuts=Cuts(leases, self._ctx.job.id),
                        leaving=heartbeat.state.leaving,
                        beat_soon=heartbeat.beat_soon,
                        end=self._end,
                    )
                    ending = await self._hold(sitting, heartbeat, ledger)
                    if ending.is_final:
                        sitting.end_approvals()
                        ledger.append("ended", {}, at=time.time())
                        await heartbeat.release(ending.tombstone)
                        if recording_file:
                            writing = write_recording_file(recording_file, ledger)
                            tasks.create_task(writing, name="recording's metadata")
                finally:
                    ledger.close()
                    await asyncio.wait(keeping, timeout=shutdown.FLUSH_STORES)
                    for task in keeping:
                        task.cancel()
            if ending.is_final and keeps:
                await seal(ledger, self._settings.journal_dir, self._stores, recording_file)
        finally:
            ledger.release()
            parts = (engines, *self._stores.all, *((recording_file,) if recording_file else ()))
            await let_go(parts)
            metrics().meetings_running.dec()

    async def _open(self, heartbeat: Heartbeat, asked: RoomSettings, *, keeps: bool) -> Ledger:
        """Begin the epoch; meanwhile those before it are put out of the room."""
        epoch = int(accepted_attributes(self._ctx).get(EPOCH, "0"))
        async with asyncio.TaskGroup() as tasks:
            opening = tasks.create_task(
                open_ledger(
                    self._ctx,
                    self._settings,
                    self._stores,
                    asked,
                    meeting=heartbeat.state.meeting,
                    keep=keeps,
                )
            )
            if not heartbeat.state.handover:
                tasks.create_task(put_ghosts_out(self._ctx, self._settings, epoch))
        return opening.result()

    async def _hold(self, sitting: Sitting, heartbeat: Heartbeat, ledger: Ledger) -> Ending:
        """Hold the meeting for as long as the job has its room; return why it ended."""
        room = self._ctx.room

        def disconnected_(reason: int) -> None:
            self._ending = self._ending or disconnected(reason)
            over = self._ending.is_final and self._ending is not Ending.REMOVED
            sitting.lose_room(over=over)

        room.on("disconnected", disconnected_)
        try:
            async with asyncio.TaskGroup() as tasks:
                beating = tasks.create_task(self._beat(heartbeat, sitting), name="heartbeat")
                watching = tasks.create_task(self._leave_when_withdrawn(heartbeat, ledger))
                await sitting.hold(running=self._running, stopping=self._stopping)
                watching.cancel()
                beating.cancel()
        finally:
            room.off("disconnected", disconnected_)
        ending = await self._why(heartbeat)
        if ending not in {Ending.CUT_OFF, Ending.FENCED}:
            sitting.mark_held_back()
        return ending

    async def _beat(self, heartbeat: Heartbeat, sitting: Sitting) -> None:
        try:
            successor = await heartbeat.run(sitting.state, self._serves)
        except FencedError:
            sitting.lose_room()
            raise
        await sitting.leave_to_successor(successor)

    def _serves(self) -> bool:
        """Tell whether the meeting is this job's: it is in its room, or ends in good order."""
        in_order = self._stopping.is_set() and (self._ending is None or self._ending.is_final)
        return is_connected(self._ctx.room) or in_order

    def _end(self, ending: Ending) -> None:
        """Ask LiveKit to end the job, which calls :meth:`stop`."""
        self._ending = self._ending or ending
        self._ctx.shutdown(ending.value)

    async def _why(self, heartbeat: Heartbeat) -> Ending:
        """Return why the job ends, now that it does."""
        if self._ending not in {None, Ending.REMOVED}:
            return self._ending
        fenced = await heartbeat.is_fenced()
        if fenced:
            return Ending.FENCED
        if fenced is None and self._ending is Ending.REMOVED:
            return Ending.FENCED  # It may be a successor's doing.
        # LiveKit has ended it, or its worker, which ends.
        ending = await ended_by(self._settings, self._ctx.job, first=heartbeat.state.first)
        if self._ending and ending is Ending.WORKER:
            return self._ending
        return ending

    async def _leave_when_withdrawn(self, heartbeat: Heartbeat, ledger: Ledger) -> None:
        """End the job when the dispatch that asked first is gone: LiveKit looks at its own only."""
        job = self._ctx.job
        room, sid, own = job.room.name, job.room.sid, {"", job.dispatch_id}
        async with open_api(self._settings) as livekit:
            oldest = await oldest_like(livekit, room=room, dispatch=job.dispatch_id)
            while True:
                # A store that was away may tell of another one late, where the lease can't.
                known = heartbeat.known
                told = heartbeat.state.first if known else first_dispatch(ledger.opened, sid)
                told = oldest if told in own else told
                if told not in own:
                    break
                await asyncio.sleep(INTERVAL)
                if OURS in job.attributes:  # Somebody may ask after us: it is theirs from then on.
                    oldest = await oldest_like(livekit, room=room, dispatch=job.dispatch_id)
            if heartbeat.state.first in own:
                heartbeat.state = replace(heartbeat.state, first=told)
            was_there = await until_withdrawn(livekit, room=room, sid=sid, dispatch=told)
        if was_there or OURS in job.attributes:
            self._end(Ending.WITHDRAWN)
        else:  # Taken back before somebody asked again, by this job's own dispatch.
            heartbeat.state = replace(heartbeat.state, first=job.dispatch_id)

    def _heartbeat(self, leases: Leases, asked: RoomSettings) -> Heartbeat:
        job, settings = self._ctx.job, self._settings
        attributes = accepted_attributes(self._ctx)
        return Heartbeat(
            leases,
            room_key(job.room.name, settings.agent_name, asked.recording_id),
            holder=job.id,
            epoch=int(attributes.get(EPOCH, "0")),
            ttl=settings.lease_ttl,
            state=succeed(
                None,
                sid=job.room.sid,
                meeting=meeting_of(job, asked),
                first=asked_first(job),
                dispatch=job.dispatch_id,
                metadata=job.metadata,
                identity=self._ctx.local_participant_identity,
            ),
        )

    def _recording_file(self, recording_id: str, *, keeps: bool) -> RecordingFile | None:
        """Return the file that this meeting is to be told in, if it is a recording."""
        file = open_recording_file(self._settings) if recording_id else None
        if file and not keeps:
            log.warning("no recording's metadata: encrypted rooms are not kept")
            return None
        return file
