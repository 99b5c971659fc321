"""Which meeting a job serves: its own, or that of the job before it.

A room that was made anew and went on with a meeting is that meeting's for as long as it is open,
also once the meeting is sealed and no lease or journal tells of it: who comes back into it goes on.
That is noted as a lease that nobody beats, for a day.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import Final

from livekit.protocol.agent import Job

from agents.room_settings import RoomSettings
from pipelines.errors import HeldError
from pipelines.lease import REMEMBERED, LeaseKey, Leases
from pipelines.settings import Settings
from pipelines.transcript.continuation import continued_meeting
from pipelines.transcript.resume import Before
from pipelines.transcript.stores.files import FilesStore

log = logging.getLogger(__name__)

LONGEST_LOOK: Final = 1.0
"""Seconds that looking for an earlier meeting may take; LiveKit wants its answer within 3 s."""


def meeting_of(job: Job, settings: RoomSettings) -> str:
    """Return the meeting's id: of a recording its own, else what metadata says, else room and SID.

    A recording is a meeting of its own, so that its lines, its stores and its seal never mix with
    those of another agent, or of another recording, in the same room.
    """
    if settings.recording_id:
        return f"recording-{settings.recording_id}"
    return settings.meeting_id or f"{job.room.name}/{job.room.sid}"


async def meeting_to_serve(
    job: Job,
    settings: Settings,
    asked: RoomSettings,
    before: Before | None,
    files: FilesStore,
    *,
    noted: str = "",
) -> str:
    """Return the id of the meeting that a job is to serve; its own where a disk does not tell.

    Args:
        job: The job.
        settings: The process's settings.
        asked: What the metadata says of the meeting.
        before: What the lease tells of the epoch before, of this opening of the room or another.
        files: Where sealed meetings are.
        noted: What :func:`noted_meeting` says of this opening of the room.
    """
    own = meeting_of(job, asked)
    if asked.recording_id or asked.meeting_id:
        return own
    if noted:
        return noted
    try:
        async with asyncio.timeout(LONGEST_LOOK):
            continued = await continued_meeting(
                before,
                room=job.room.name,
                room_sid=job.room.sid,
                within=settings.continue_within,
                now=time.time(),
                journal_dir=settings.journal_dir,
                files=files,
            )
    except OSError as error:  # The time-out is one too.
        cause = {"room": job.room.name, "cause": repr(error)}
        log.warning("not known whether an earlier meeting goes on", extra=cause)
        return own
    return continued or own


async def note_meeting(leases: Leases, key: LeaseKey, sid: str, meeting: str) -> None:
    """Note that the room of ``sid`` has gone on with ``meeting``.

    Args:
        leases: Where it is noted.
        key: Of the room's lease.
        sid: Of the room.
        meeting: Its id.

    Raises:
        LeaseError: The leases can't be reached.
    """
    for old in await leases.leases("continued", expired=True):
        await leases.release(old.key, epoch=old.epoch)
    note = LeaseKey("continued", (*key.parts, sid))
    state = {"meeting": meeting}
    with suppress(HeldError):  # It is noted already.
        await leases.claim(note, holder=meeting, epoch=1, ttl=REMEMBERED, state=state)


async def noted_meeting(leases: Leases, key: LeaseKey, sid: str) -> str:
    """Return the meeting that the room of ``sid`` has gone on with, or an empty string.

    Raises:
        LeaseError: The leases can't be reached.
    """
    note = await leases.read(LeaseKey("continued", (*key.parts, sid)))
    return str(note.state["meeting"]) if note and not note.expired else ""
