"""The LiveKit server's API with the key of this process's settings, and what we ask it."""

from __future__ import annotations

import logging
from typing import Final

import aiohttp
from livekit import api
from livekit.protocol.agent import Job
from livekit.protocol.agent_dispatch import AgentDispatch, CreateAgentDispatchRequest
from livekit.protocol.models import ParticipantInfo

from pipelines.settings import Settings

log = logging.getLogger(__name__)

OURS: Final = "greffier.again"
"""Attribute of a dispatch that we made ourselves, to bring an agent back: the id of somebody else's
that it stands in for, or empty. All others are somebody else's to delete."""


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


async def people_in(livekit: api.LiveKitAPI, room: str) -> list[ParticipantInfo]:
    """List who is in the room, agents and recorders included.

    Raises:
        TwirpError: The server does not say.
        aiohttp.ClientError: The server is not there.
    """
    listed = await livekit.room.list_participants(api.ListParticipantsRequest(room=room))
    return list(listed.participants)


async def participant_in(
    livekit: api.LiveKitAPI, room: str, identity: str
) -> ParticipantInfo | None:
    """Return a participant, hidden or not; None where there is none of this identity.

    Raises:
        TwirpError: The server does not say.
        aiohttp.ClientError: The server is not there.
    """
    try:
        return await livekit.room.get_participant(
            api.RoomParticipantIdentity(room=room, identity=identity)
        )
    except api.TwirpError as error:
        if error.code == api.TwirpErrorCode.NOT_FOUND:
            return None
        raise


async def remove(livekit: api.LiveKitAPI, room: str, identity: str) -> None:
    """Put a job out of the room: nothing that it still says or does reaches anybody.

    Never fails: it may have gone by itself, and whoever comes after it tries again.
    """
    try:
        await livekit.room.remove_participant(
            api.RoomParticipantIdentity(room=room, identity=identity)
        )
    except (api.TwirpError, aiohttp.ClientError) as error:
        log.info("ghost not removed", extra={"room": room, "cause": repr(error)})


def asked_first(job: Job) -> str:
    """Return the id of somebody else's dispatch that a job serves; empty where nobody else asked.

    One of ours can never be it: it is deleted once a later one stands in for it.
    """
    return str(job.attributes.get(OURS, job.dispatch_id))


async def dispatch_again(
    livekit: api.LiveKitAPI, room: str, agent_name: str, metadata: str, *, first: str
) -> AgentDispatch | None:
    """Ask for an agent by a dispatch of our own, which nobody else knows.

    Args:
        livekit: The server's API.
        room: Name of the room.
        agent_name: Of the agent; may be empty.
        metadata: Of the job.
        first: Id of somebody else's dispatch that it stands in for; empty if there is none in this
            opening of the room.

    Raises:
        TwirpError: The server refuses.
        aiohttp.ClientError: The server is not there.
    """
    return await livekit.agent_dispatch.create_dispatch(
        CreateAgentDispatchRequest(
            room=room, agent_name=agent_name, metadata=metadata, attributes={OURS: first}
        )
    )


async def forget_dispatches(
    livekit: api.LiveKitAPI,
    room: str,
    agent_name: str,
    metadata: str,
    *,
    before: AgentDispatch | None = None,
) -> None:
    """Delete our own dispatches that serve nobody any more; never fails.

    Args:
        livekit: The server's API.
        room: Name of the room.
        agent_name: Of the agent; may be empty.
        metadata: Of the job.
        before: Only those that were made before this one: a later one is somebody's who stands in
            for it.
    """
    try:
        for one in await livekit.agent_dispatch.list_dispatch(room):
            same = one.agent_name == agent_name and one.metadata == metadata
            older = before is None or one.state.created_at < before.state.created_at
            if same and OURS in one.attributes and older:
                await livekit.agent_dispatch.delete_dispatch(one.id, room)
    except (api.TwirpError, aiohttp.ClientError) as error:
        log.info("old dispatches not deleted", extra={"room": room, "cause": repr(error)})


def is_person(participant: ParticipantInfo) -> bool:
    """Tell whether a job would see somebody who is neither an agent nor a recorder."""
    kinds = ParticipantInfo.Kind
    return participant.kind not in {kinds.AGENT, kinds.EGRESS} and not participant.permission.hidden
