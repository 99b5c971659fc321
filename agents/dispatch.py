"""Which dispatch is served, under which identity, and who is put out of the room before.

:func:`answer` decides, and knows no LiveKit; :class:`Dispatcher` asks and acts.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from livekit import api
from livekit.agents import AgentServer, JobRequest
from livekit.protocol.agent import Job
from livekit.protocol.models import ParticipantInfo

from agents.livekit_api import open_api
from agents.plugin import AgentSpec
from agents.room_settings import RoomSettings, fallback_settings, read_room_settings
from pipelines.errors import RoomSettingsError
from pipelines.la_suite import COLLECTOR
from pipelines.settings import Settings
from pipelines.transcript.ledger import epoch_of, journals_of, next_epoch

log = logging.getLogger(__name__)

EPOCH: Final = "greffier.epoch"
JOB_KEY: Final = "greffier.job"

CLAIM_TIMEOUT: Final = 0.3
"""Seconds that asking who is in the room may take; LiveKit wants its answer within 3 s."""


JOINS_WITHIN: Final = 60.0
"""Seconds after which an accepted job that is not in the room is no longer on its way there."""

FULL: Final = 0.7
"""The load at which livekit-server (``agents.target_load``) drops a dispatch without a word."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What at most one job serves at a time."""

    room_sid: str
    agent_name: str
    job_key: str


@dataclass(frozen=True, slots=True)
class Accept:
    """Serve it, as ``identity``, in ``epoch``."""

    identity: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do not serve it.

    ``elsewhere`` lets LiveKit ask another worker; ``mistaken`` is whoever dispatched it.
    """

    reason: str
    elsewhere: bool = False
    mistaken: bool = False


def answer(
    claim: Claim,
    *,
    room: str,
    serving: Collection[Claim],
    present: Collection[str] | None,
    epochs: Collection[int],
    now: float,
    most: int,
    recordings_only: bool = False,
) -> Accept | Refuse:
    """Decide on a dispatch.

    Args:
        claim: What it asks for.
        room: Name of the room.
        serving: Claims that jobs of this worker hold.
        present: Identities in the room now; None if nobody could be asked.
        epochs: Epochs of the meeting so far.
        now: Unix seconds.
        most: Claims that this worker may hold.
        recordings_only: Whether it must be of a recording.
    """
    if recordings_only and not claim.job_key:
        return Refuse("its metadata must be a recording id, a bare UUID", mistaken=True)
    if claim in serving:
        return Refuse("a job of this worker serves the room under this name already")
    if len(serving) >= most:
        return Refuse("this worker holds as many meetings as it may", elsewhere=True)
    epoch = next_epoch(list(epochs), now=now)
    identity = base_identity(claim.agent_name, room)
    # Never rejoin under the identity of a ghost: the server would end the new job too.
    if epochs or present is None or identity in present:
        identity = f"{identity}-e{epoch}"
    return Accept(identity, epoch)


def base_identity(agent_name: str, room: str) -> str:
    """Return the identity of a first epoch, as La Suite Meet names its agents."""
    return f"{agent_name or 'greffier'}-{room}"


def others(
    participants: Collection[ParticipantInfo], *, agent_name: str, room: str, job_key: str, me: str
) -> dict[str, int]:
    """Return identity -> epoch of this job's other epochs in the room: ghosts, or a newer one."""
    ours = re.compile(re.escape(base_identity(agent_name, room)) + r"(-e\d+)?")
    return {
        participant.identity: int(participant.attributes.get(EPOCH, "0"))
        for participant in participants
        if participant.kind == ParticipantInfo.Kind.AGENT
        and ours.fullmatch(participant.identity)
        and participant.attributes.get(JOB_KEY, "") == job_key
        and participant.identity != me
    }


def meeting_of(job: Job, settings: RoomSettings) -> str:
    """Return the meeting's id: of a recording its own, else what metadata says, else room and SID.

    A recording is a meeting of its own, so that its lines, its stores and its seal never mix with
    those of another agent, or of another recording, in the same room.
    """
    if settings.recording_id:
        return f"recording-{settings.recording_id}"
    return settings.meeting_id or f"{job.room.name}/{job.room.sid}"


def reported_load(meetings: int, *, most: int) -> float:
    """Return what a worker tells LiveKit: by its meetings, and always below ``FULL``.

    LiveKit spreads dispatches by it. A full worker refuses by itself, so that another one is asked
    or the refusal is at least logged. The machine's CPU is not in it: a busy neighbour is no reason
    to drop a dispatch.
    """
    return 0.9 * FULL * min(1.0, meetings / most)


class Dispatcher:
    """Answers the dispatches of one worker.

    Args:
        settings: The process's settings.
        specs: The installed agents.
        server: The worker, whose running jobs hold their claims.
    """

    def __init__(
        self, settings: Settings, specs: Mapping[str, AgentSpec], server: AgentServer
    ) -> None:
        self._settings = settings
        self._specs = specs
        self._server = server
        self._claimed: dict[str, Claim] = {}

    async def on_request(self, request: JobRequest) -> None:
        """Accept or refuse; answers within ``CLAIM_TIMEOUT`` and some ms."""
        job = request.job
        room_settings = self._read(job)
        meeting = meeting_of(job, room_settings)
        claim = self._claim(job, room_settings)
        # Claimed before the first await: of two dispatches at one moment the earlier one wins.
        ahead = set(self._claimed.values())
        self._claimed[job.id] = claim
        try:
            await self._answer(request, claim, meeting, ahead)
        finally:
            # From here on the job is among the server's running ones, or it never came.
            del self._claimed[job.id]

    async def _answer(
        self, request: JobRequest, claim: Claim, meeting: str, ahead: set[Claim]
    ) -> None:
        job = request.job
        present = await self._present(job.room.name)
        decision = answer(
            claim,
            room=job.room.name,
            serving=self._running(present) | ahead,
            present=present,
            epochs=[epoch_of(path) for path in journals_of(self._settings.journal_dir, meeting)],
            now=time.time(),
            most=self._settings.max_jobs,
            recordings_only=self._settings.profile == COLLECTOR,
        )
        fields = {"room": job.room.name, "job_id": job.id, "dispatch_id": job.dispatch_id}
        if isinstance(decision, Refuse):
            level = logging.ERROR if decision.mistaken else logging.INFO
            log.log(level, "dispatch refused", extra={**fields, "cause": decision.reason})
            await request.reject(terminate=not decision.elsewhere)
            return
        log.info("dispatch accepted", extra={**fields, "epoch": decision.epoch})
        await request.accept(
            name=self._settings.display_name,
            identity=decision.identity,
            metadata=claim.job_key,
            attributes={EPOCH: str(decision.epoch), JOB_KEY: claim.job_key},
        )

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
