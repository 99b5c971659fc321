"""Answers dispatches: asks who is in the room and who serves it, and claims its lease."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Final

from livekit import api
from livekit.agents import AgentServer, JobRequest
from livekit.protocol.agent import Job

from agents.answer import Accept, Claim, Refuse, answer
from agents.identity import EPOCH, JOB_KEY, identity_of
from agents.livekit_api import OURS, asked_first, open_api
from agents.meeting_id import meeting_of, meeting_to_serve, note_meeting, noted_meeting
from agents.plugin import AgentSpec
from agents.room_settings import RoomSettings, fallback_settings, read_room_settings
from agents.room_state import RoomState, room_key, succeed
from agents.waiting_job import FIRST_BEAT, kept_alive
from pipelines.errors import HeldError, LeaseError, RoomSettingsError
from pipelines.la_suite import COLLECTOR
from pipelines.lease import Lease, LeaseKey, Leases
from pipelines.settings import Settings
from pipelines.transcript.epochs import epoch_of, journals_of
from pipelines.transcript.resume import Before
from pipelines.transcript.stores.files import FilesStore

log = logging.getLogger(__name__)

CLAIM_TIMEOUT: Final = 0.3
"""Seconds that asking may take, who is in the room and who holds its lease; LiveKit wants its
answer within 3 s."""

JOINS_WITHIN: Final = 60.0
"""Seconds after which an accepted job that is not in the room is no longer on its way there."""


@dataclass(frozen=True, slots=True)
class _Hold:
    """The lease of a job that is accepted.

    Args:
        key: Of the room's lease.
        state: That the job begins with.
        sure: Whether it is known to be claimed.
    """

    key: LeaseKey
    state: RoomState
    sure: bool


class Dispatcher:
    """Answers the dispatches of one worker.

    Args:
        settings: The process's settings.
        specs: The installed agents.
        server: The worker, whose running jobs hold their claims.
        leases: Who serves which room, of all workers.
    """

    def __init__(
        self,
        settings: Settings,
        specs: Mapping[str, AgentSpec],
        server: AgentServer,
        leases: Leases,
    ) -> None:
        self._settings = settings
        self._specs = specs
        self._server = server
        self._leases = leases
        self._files = FilesStore(settings.store_dir)
        self._asking: dict[str, Claim] = {}
        self._waiting: dict[str, Claim] = {}

    async def on_request(self, request: JobRequest) -> None:
        """Accept or refuse, within 2 s whatever is away."""
        job = request.job
        room_settings = self._read(job)
        claim = self._claim(job, room_settings)
        # Claimed before the first await: of two dispatches at one moment the earlier one wins.
        ahead = set(self._asking.values())
        self._asking[job.id] = claim
        try:
            decision, hold = await self._decide(job, room_settings, claim, ahead)
            if isinstance(decision, Refuse):
                await self._refuse(request, decision)
                return
            self._waiting[job.id] = claim
            if hold and hold.sure:
                # From here on the lease tells who serves: also that another one does.
                del self._asking[job.id]
            await self._accept(request, claim, decision, hold)
        finally:
            # From here on the job is among the server's running ones, or it never came.
            self._asking.pop(job.id, None)
            self._waiting.pop(job.id, None)

    async def _decide(
        self, job: Job, room_settings: RoomSettings, claim: Claim, ahead: set[Claim]
    ) -> tuple[Accept | Refuse, _Hold | None]:
        key = room_key(job.room.name, claim.agent_name, claim.job_key)
        present, (asked, lease, noted) = await asyncio.gather(
            self._present(job.room.name), self._lease(key, job.room.sid)
        )
        before = RoomState.of(lease.state) if lease else None
        last = (
            Before(before.meeting, before.sid, before.silent + lease.age)
            if before and lease
            else None
        )
        meeting = await meeting_to_serve(
            job, self._settings, room_settings, last, self._files, noted=noted
        )
        journals = journals_of(self._settings.journal_dir, meeting)
        decision = answer(
            claim,
            room=job.room.name,
            held=bool(lease and lease.holder and not lease.expired) if asked else None,
            ahead=ahead,
            serving={*self._running(present), *self._waiting.values()},
            present=present,
            epochs=[*map(epoch_of, journals), *([lease.epoch] if lease else [])],
            now=time.time(),
            most=self._settings.max_jobs,
            recordings_only=self._settings.profile == COLLECTOR,
        )
        if isinstance(decision, Refuse) or not asked:
            return decision, None
        state = succeed(
            before,
            sid=job.room.sid,
            meeting=meeting,
            first=asked_first(job),
            dispatch=job.dispatch_id,
            metadata=job.metadata,
            identity=decision.identity,
        )
        goes_on = meeting not in {meeting_of(job, room_settings), noted}
        return await self._hold(key, job, state, decision, note=goes_on)

    async def _hold(
        self, key: LeaseKey, job: Job, state: RoomState, decision: Accept, *, note: bool
    ) -> tuple[Accept | Refuse, _Hold | None]:
        """Claim the lease, whoever else is on the way to it."""
        try:
            async with asyncio.timeout(CLAIM_TIMEOUT):
                lease = await self._leases.claim(
                    key,
                    holder=job.id,
                    epoch=decision.epoch,
                    ttl=FIRST_BEAT,
                    state=state.as_dict(),
                )
                if OURS not in job.attributes and (
                    tombstone := await self._leases.tombstone(key, job.room.sid)
                ):  # Somebody has changed their mind.
                    await self._leases.clear_tombstone(key, job.room.sid, tombstone)
                if note:
                    await note_meeting(self._leases, key, job.room.sid, state.meeting)
        except HeldError:
            return Refuse("a job serves the room under this name already"), None
        except (LeaseError, TimeoutError) as error:
            # The job claims it by itself as soon as it can.
            log.warning("lease not claimed", extra={"room": job.room.name, "cause": repr(error)})
            return decision, _Hold(key, state, sure=False)
        if lease.epoch != decision.epoch:
            room, agent_name = job.room.name, self._settings.agent_name
            identity = identity_of(agent_name, room, lease.epoch, plain=False)
            decision, state = Accept(identity, lease.epoch), replace(state, identity=identity)
        return decision, _Hold(key, state, sure=True)

    async def _refuse(self, request: JobRequest, decision: Refuse) -> None:
        level = logging.ERROR if decision.mistaken else logging.INFO
        log.log(level, "dispatch refused", extra={**_fields(request), "cause": decision.reason})
        await request.reject(terminate=not decision.elsewhere)

    async def _accept(
        self, request: JobRequest, claim: Claim, decision: Accept, hold: _Hold | None
    ) -> None:
        """Accept it; returns when the job has a process, or will never have one."""
        log.info("dispatch accepted", extra={**_fields(request), "epoch": decision.epoch})
        async with AsyncExitStack() as stack:
            if hold:
                keeping = kept_alive(
                    self._leases,
                    hold.key,
                    holder=request.job.id,
                    epoch=decision.epoch,
                    state=hold.state,
                )
                await stack.enter_async_context(keeping)
            await request.accept(
                name=self._settings.display_name,
                identity=decision.identity,
                metadata=claim.job_key,
                attributes={EPOCH: str(decision.epoch), JOB_KEY: claim.job_key},
            )

    async def _lease(self, key: LeaseKey, sid: str) -> tuple[bool, Lease | None, str]:
        """Return whether the lease could be asked for, the lease, and the meeting that is noted."""
        try:
            async with asyncio.timeout(CLAIM_TIMEOUT):
                lease, noted = await asyncio.gather(
                    self._leases.read(key), noted_meeting(self._leases, key, sid)
                )
                return True, lease, noted
        except (LeaseError, TimeoutError) as error:
            # Not knowing is no reason to leave a room without its agent.
            log.warning("lease not read", extra={"room": key.parts[0], "cause": repr(error)})
            return False, None, ""

    def _running(self, present: Collection[str] | None) -> set[Claim]:
        """Return what this worker's jobs serve: one that has left its room is only ending."""
        return {
            self._claim(info.job, self._read(info.job))
            for info in self._server.active_jobs
            if present is None
            or info.accept_arguments.identity in present
            or time.time() - info.accepted_at < JOINS_WITHIN
        }

    def _claim(self, job: Job, settings: RoomSettings) -> Claim:
        return Claim(job.room.sid, self._settings.agent_name, settings.recording_id)

    def _read(self, job: Job) -> RoomSettings:
        settings = self._settings
        try:
            return read_room_settings(
                job.room.metadata,
                job.metadata,
                specs=self._specs,
                defaults=settings.default_agents,
                allowed=settings.allowed_agents,
            )
        except RoomSettingsError:  # The job tells it; here only ids matter.
            return fallback_settings(
                job.room.metadata,
                job.metadata,
                specs=self._specs,
                defaults=settings.default_agents,
            )

    async def _present(self, room: str) -> set[str] | None:
        try:
            async with asyncio.timeout(CLAIM_TIMEOUT), open_api(self._settings) as livekit:
                listed = await livekit.room.list_participants(
                    api.ListParticipantsRequest(room=room)
                )
        except Exception as error:
            # Not knowing is no reason to leave a room without its agent.
            log.warning("participants not listed", extra={"room": room, "cause": repr(error)})
            return None
        return {participant.identity for participant in listed.participants}


def _fields(request: JobRequest) -> dict[str, str]:
    """Return what a log entry tells of a dispatch."""
    job = request.job
    return {"room": job.room.name, "job_id": job.id, "dispatch_id": job.dispatch_id}
