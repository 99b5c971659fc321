"""What becomes of a job when a dispatch is deleted: its own, or the one that asked first.

LiveKit ends a job when its own dispatch is deleted. Whoever asked for the agent knows of the first
dispatch only: La Suite Meet stops a recording by the id that it stored when it began. A job may
serve for a later one: it took over, or of two dispatches at one moment the later one came to the
worker first. So it looks for the first one. We never delete it ourselves.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final

import aiohttp
from livekit import api
from livekit.protocol.agent import Job
from livekit.protocol.agent_dispatch import AgentDispatch

from agents.ending import Ending
from agents.livekit_api import OURS, is_dispatched, is_room_open, open_api
from pipelines.settings import Settings

log = logging.getLogger(__name__)

INTERVAL: Final = 1.0
"""Seconds between two looks."""

TIMEOUT: Final = 2.0
"""Seconds that a look may take."""


async def oldest_like(livekit: api.LiveKitAPI, *, room: str, dispatch: str) -> str:
    """Return the id of the room's oldest dispatch that asks for the same as ``dispatch`` does.

    It is ``dispatch`` itself where there is no older one of somebody else's, or nobody can tell.

    Args:
        livekit: The server's API.
        room: Name of the room.
        dispatch: Id of a dispatch.
    """
    try:
        async with asyncio.timeout(TIMEOUT):
            listed = await livekit.agent_dispatch.list_dispatch(room)
    except (api.TwirpError, aiohttp.ClientError, TimeoutError) as error:
        log.warning("older dispatches not looked for", extra={"cause": repr(error)})
        return dispatch
    own = next((one for one in listed if one.id == dispatch), None)
    if own is None:
        return dispatch
    alike = [one for one in listed if _asks(one) == _asks(own) and OURS not in one.attributes]
    return min(alike, key=lambda one: one.state.created_at, default=own).id


def _asks(dispatch: AgentDispatch) -> tuple[str, str]:
    return (dispatch.agent_name, dispatch.metadata)


async def until_withdrawn(livekit: api.LiveKitAPI, *, room: str, sid: str, dispatch: str) -> bool:
    """Return when the dispatch is gone from the room that it was made in.

    Args:
        livekit: The server's API.
        room: Name of the room.
        sid: Of the room; a room that was made anew has other dispatches, which tells nothing.
        dispatch: Id of the dispatch.

    Returns:
        Whether it was there at a look before.
    """
    seen = False
    while True:
        try:
            async with asyncio.timeout(TIMEOUT):
                listed = await is_dispatched(livekit, room, dispatch)
                if not listed and await is_room_open(livekit, room, sid):
                    return seen
                seen = seen or listed
        except (api.TwirpError, aiohttp.ClientError, TimeoutError) as error:
            log.warning("first dispatch not looked for", extra={"cause": repr(error)})
        await asyncio.sleep(INTERVAL)


async def ended_by(settings: Settings, job: Job, *, first: str) -> Ending:
    """Return why LiveKit, or the worker, ends a job that did not ask for it.

    Args:
        settings: The process's settings.
        job: The job.
        first: Id of the dispatch that asked first; empty where nobody but us has asked.
    """
    room = job.room.name
    try:
        async with asyncio.timeout(TIMEOUT), open_api(settings) as livekit:
            if not await is_room_open(livekit, room, job.room.sid):
                return Ending.OVER
            if first and not await is_dispatched(livekit, room, first):
                return Ending.WITHDRAWN
            if not await is_dispatched(livekit, room, job.dispatch_id):
                return Ending.DROPPED
    except (api.TwirpError, aiohttp.ClientError, TimeoutError) as error:
        log.warning("own dispatch not looked for", extra={"cause": repr(error)})
    return Ending.WORKER


async def forget(settings: Settings, job: Job) -> None:
    """Delete the job's own dispatch if we made it, which nobody else knows of.

    Never fails: it is gone with its room at the latest.
    """
    if OURS not in job.attributes:
        return
    with suppress(api.TwirpError, aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(TIMEOUT), open_api(settings) as livekit:
            await livekit.agent_dispatch.delete_dispatch(job.dispatch_id, job.room.name)
