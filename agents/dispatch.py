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
from agents.room_settings import fallback_settings, read_room_settings
from pipelines.errors import RoomSettingsError
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
    """Do not serve it; ``elsewhere`` lets LiveKit ask another worker."""

    reason: str
    elsewhere: bool = False


def answer(
    claim: Claim,
    *,
    room: str,
    serving: Collection[Claim],
    present: Collection[str] | None,
    epochs: Collection[int],
    now: float,
    most: int,
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
    """
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


def job_key_of(metadata: Mapping[str, object]) -> str:
    """Return the recording id that makes two jobs in one room two, or an empty string."""
    return str(metadata.get("recording_id", ""))


def meeting_of(job: Job, meeting_id: str) -> str:
    """Return the meeting's id: what metadata says, else room name and SID."""
    return meeting_id or f"{job.room.name}/{job.room.sid}"


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
        self._accepted: dict[str, Claim] = {}

    async def on_request(self, request: JobRequest) -> None:
        """Accept or refuse; answers within ``CLAIM_TIMEOUT`` and some ms."""
        job = request.job
        metadata, meeting = self._read(job)
        claim = Claim(job.room.sid, self._settings.agent_name, job_key_of(metadata))
        present = await self._present(job.room.name)
        decision = answer(
            claim,
            room=job.room.name,
            serving=self._serving(present),
            present=present,
            epochs=[epoch_of(path) for path in journals_of(self._settings.journal_dir, meeting)],
            now=time.time(),
            most=self._settings.max_jobs,
        )
        fields = {"room": job.room.name, "job_id": job.id, "dispatch_id": job.dispatch_id}
        if isinstance(decision, Refuse):
            log.info("dispatch refused", extra={**fields, "cause": decision.reason})
            await request.reject(terminate=not decision.elsewhere)
            return
        log.info("dispatch accepted", extra={**fields, "epoch": decision.epoch})
        self._accepted[job.id] = claim
        try:
            await request.accept(
                name=self._settings.display_name,
                identity=decision.identity,
                metadata=claim.job_key,
                attributes={EPOCH: str(decision.epoch), JOB_KEY: claim.job_key},
            )
        finally:
            # From here on the job is among the server's running ones, or it never came.
            del self._accepted[job.id]

    def _serving(self, present: Collection[str] | None) -> set[Claim]:
        """Return what this worker serves: a job that has left its room is only ending."""
        running = {
            self._claim(info.job)
            for info in self._server.active_jobs
            if present is None
            or info.accept_arguments.identity in present
            or time.time() - info.accepted_at < JOINS_WITHIN
        }
        return running | set(self._accepted.values())

    def _claim(self, job: Job) -> Claim:
        metadata, _ = self._read(job)
        return Claim(job.room.sid, self._settings.agent_name, job_key_of(metadata))

    def _read(self, job: Job) -> tuple[Mapping[str, object], str]:
        settings = self._settings
        try:
            room_settings = read_room_settings(
                job.room.metadata,
                job.metadata,
                specs=self._specs,
                defaults=settings.default_agents,
                allowed=settings.allowed_agents,
            )
        except RoomSettingsError:  # The job tells it; here only ids matter.
            room_settings = fallback_settings(
                job.room.metadata,
                job.metadata,
                specs=self._specs,
                defaults=settings.default_agents,
            )
        return room_settings.metadata, meeting_of(job, room_settings.meeting_id)

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
