"""The beginning of a job's epoch: its ledger, and the ghosts of earlier epochs out of the room."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

import aiohttp
from livekit import api
from livekit.agents import JobContext

from agents.identity import EPOCH, JOB_KEY, others
from agents.livekit_api import asked_first, open_api, people_in, remove
from agents.livekit_compat import accepted_attributes
from agents.room_settings import RoomSettings
from pipelines.errors import FencedError
from pipelines.settings import Settings
from pipelines.transcript.epochs import epoch_of, journals_of, next_epoch
from pipelines.transcript.ledger import Ledger
from pipelines.transcript.stores.open_stores import Stores

log = logging.getLogger(__name__)

FENCE_TIMEOUT: Final = 1.0
"""Seconds that putting ghosts out of the room may take before the job joins anyway."""


async def open_ledger(
    ctx: JobContext,
    settings: Settings,
    stores: Stores,
    asked: RoomSettings,
    *,
    meeting: str,
    keep: bool,
) -> Ledger:
    """Open the ledger of the job's meeting and append its first line.

    Args:
        ctx: LiveKit's context of the job, which was accepted for an epoch.
        settings: The process's settings.
        stores: Where the lines go.
        asked: What the metadata says of the meeting.
        meeting: The meeting's id.
        keep: Whether anything of it may be written.
    """
    room = ctx.job.room
    journals = await asyncio.to_thread(journals_of, settings.journal_dir, meeting)
    chosen = int(accepted_attributes(ctx).get(EPOCH, "0"))
    seen = [epoch_of(path) for path in journals]
    epoch = chosen if chosen > max(seen, default=0) else next_epoch(seen, now=time.time())
    began = room.creation_time_ms / 1000 or float(room.creation_time) or time.time()
    ledger = await Ledger.open(
        meeting,
        epoch,
        started_at=began,
        journal_dir=settings.journal_dir,
        stores=stores.all,
        early=stores.early_copy(meeting) if keep else None,
        checkpoints=stores.redis,
        keep=keep,
    )
    opened = {
        "room": room.name,
        "room_sid": room.sid,
        "started_at": ledger.started_at,
        "dispatch": asked_first(ctx.job),
        **({"recording": asked.recording_id} if asked.recording_id else {}),
        **({"summary": asked.summary} if asked.summary else {}),
    }
    ledger.append("opened", opened, at=time.time())
    return ledger


async def put_ghosts_out(ctx: JobContext, settings: Settings, epoch: int) -> None:
    """Put the ghosts of earlier epochs out of the room: a rejoin beside them would be ended.

    Raises:
        FencedError: A newer epoch is in the room; this job came too late.
    """
    room, me = ctx.job.room.name, ctx.local_participant_identity
    try:
        async with asyncio.timeout(FENCE_TIMEOUT), open_api(settings) as livekit:
            found = others(
                await people_in(livekit, room),
                agent_name=settings.agent_name,
                room=room,
                job_key=accepted_attributes(ctx).get(JOB_KEY, ""),
                me=me,
            )
            if max(found.values(), default=0) > epoch:
                raise FencedError
            for ghost in found:
                log.warning("ghost put out of the room", extra={"identity": ghost})
                await remove(livekit, room, ghost)
    except (api.TwirpError, aiohttp.ClientError, TimeoutError) as error:
        # Its identity is not ours, so joining beside it is safe; it goes after 20 s.
        log.warning("ghosts not looked for", extra={"cause": repr(error)})
