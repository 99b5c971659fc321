"""Ends a job that serves for a later dispatch when the dispatch that asked first is deleted.

LiveKit ends a job when its own dispatch is deleted. Whoever asked for the agent knows of the first
dispatch only: La Suite Meet stops a recording by the id that it stored when it began. A job may
serve for a later one: it took over, or of two dispatches at one moment the later one came to the
worker first. So it looks for the first one. We never delete it ourselves.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import aiohttp
from livekit import api
from livekit.protocol.agent_dispatch import AgentDispatch

from agents.livekit_api import is_dispatched, is_room_open

log = logging.getLogger(__name__)

INTERVAL: Final = 1.0
"""Seconds between two looks."""

TIMEOUT: Final = 2.0
"""Seconds that a look may take."""


async def oldest_like(livekit: api.LiveKitAPI, *, room: str, dispatch: str) -> str:
    """Return the id of the room's oldest dispatch that asks for the same as ``dispatch`` does.

    It is ``dispatch`` itself where there is no older one, or nobody can tell.

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
    alike = [one for one in listed if _asks(one) == _asks(own)]
    return min(alike, key=lambda one: one.state.created_at).id


def _asks(dispatch: AgentDispatch) -> tuple[str, str]:
    return (dispatch.agent_name, dispatch.metadata)


async def until_withdrawn(livekit: api.LiveKitAPI, *, room: str, sid: str, dispatch: str) -> None:
    """Return when the dispatch is gone from the room that it was made in.

    Args:
        livekit: The server's API.
        room: Name of the room.
        sid: Of the room; a room that was made anew has other dispatches, which tells nothing.
        dispatch: Id of the dispatch.
    """
    while True:
        try:
            async with asyncio.timeout(TIMEOUT):
                listed = await is_dispatched(livekit, room, dispatch)
                if not listed and await is_room_open(livekit, room, sid):
                    return
        except (api.TwirpError, aiohttp.ClientError, TimeoutError) as error:
            log.warning("first dispatch not looked for", extra={"cause": repr(error)})
        await asyncio.sleep(INTERVAL)
