"""The LiveKit server's API with the key of this process's settings, and what we ask it."""

from __future__ import annotations

from livekit import api

from pipelines.settings import Settings


def open_api(settings: Settings) -> api.LiveKitAPI:
    """Return a client for an event loop; use it as an async context manager."""
    return api.LiveKitAPI(
        settings.livekit_url,
        settings.livekit_api_key,
        settings.livekit_api_secret.get_secret_value(),
    )


async def is_room_open(livekit: api.LiveKitAPI, room: str, sid: str) -> bool:
    """Tell whether the room of this name is open, and still the one of this SID.

    Raises:
        TwirpError: The server does not say.
        aiohttp.ClientError: The server is not there.
    """
    listed = await livekit.room.list_rooms(api.ListRoomsRequest(names=[room]))
    return any(found.sid == sid for found in listed.rooms)


async def is_dispatched(livekit: api.LiveKitAPI, room: str, dispatch: str) -> bool:
    """Tell whether the dispatch of this id still asks for its agent in an open room.

    Raises:
        TwirpError: The server does not say.
        aiohttp.ClientError: The server is not there.
    """
    listed = await livekit.agent_dispatch.list_dispatch(room)
    return any(found.id == dispatch for found in listed)
