"""Rooms, dispatches and tokens of a LiveKit server, as the bench and the tests need them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Literal, Self

from livekit import api
from livekit.protocol.agent_dispatch import (
    AgentDispatch,
    CreateAgentDispatchRequest,
    RoomAgentDispatch,
)
from livekit.protocol.models import ParticipantInfo, Room
from livekit.protocol.room import (
    CreateRoomRequest,
    DeleteRoomRequest,
    ListParticipantsRequest,
    RoomConfiguration,
    RoomParticipantIdentity,
    UpdateRoomMetadataRequest,
)

Kind = Literal["standard", "agent", "egress", "ingress", "sip"]


def dispatch_to(agent: str, metadata: str = "") -> RoomAgentDispatch:
    """Build a dispatch for ``CreateRoom`` or for a token's room configuration."""
    return RoomAgentDispatch(agent_name=agent, metadata=metadata)


def metadata_text(metadata: Mapping[str, Any] | str) -> str:
    """Return room metadata as the string that LiveKit keeps; a string stays as it is."""
    return metadata if isinstance(metadata, str) else json.dumps(metadata, ensure_ascii=False)


class Rooms:
    """The server's API with one key; an async context manager.

    Args:
        url: ``ws://`` or ``http://`` address.
        api_key: LiveKit API key.
        api_secret: LiveKit API secret.
    """

    def __init__(self, url: str, api_key: str, api_secret: str) -> None:
        self.url = url
        self._key = api_key
        self._secret = api_secret
        self._api: api.LiveKitAPI | None = None

    @classmethod
    def from_environment(cls) -> Self:
        """Read ``LIVEKIT_URL``, ``LIVEKIT_API_KEY`` and ``LIVEKIT_API_SECRET``.

        Raises:
            KeyError: One of them is not set.
        """
        names = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
        return cls(*(os.environ[name] for name in names))

    @property
    def api(self) -> api.LiveKitAPI:
        """The client, for what has no method here; only inside the context."""
        if self._api is None:
            raise RuntimeError("use `async with Rooms(...)`")
        return self._api

    async def create(
        self,
        name: str,
        *,
        metadata: Mapping[str, Any] | str = "",
        agents: Iterable[RoomAgentDispatch] = (),
        empty_timeout: int = 300,
        departure_timeout: int = 20,
    ) -> Room:
        """Create a room; the time-outs are LiveKit's, in seconds."""
        return await self.api.room.create_room(
            CreateRoomRequest(
                name=name,
                metadata=metadata_text(metadata),
                agents=list(agents),
                empty_timeout=empty_timeout,
                departure_timeout=departure_timeout,
            )
        )

    async def dispatch(self, room: str, agent: str, metadata: str = "") -> AgentDispatch:
        """Ask for ``agent`` in ``room`` explicitly; LiveKit creates a room that is not there."""
        return await self.api.agent_dispatch.create_dispatch(
            CreateAgentDispatchRequest(room=room, agent_name=agent, metadata=metadata)
        )

    async def set_metadata(self, room: str, metadata: Mapping[str, Any] | str) -> None:
        """Replace the metadata of a running room."""
        await self.api.room.update_room_metadata(
            UpdateRoomMetadataRequest(room=room, metadata=metadata_text(metadata))
        )

    async def participants(self, room: str) -> list[ParticipantInfo]:
        """List who is in the room, at once, hidden ones and agents included."""
        answer = await self.api.room.list_participants(ListParticipantsRequest(room=room))
        return list(answer.participants)

    async def remove(self, room: str, identity: str) -> None:
        """Remove a participant."""
        await self.api.room.remove_participant(
            RoomParticipantIdentity(room=room, identity=identity)
        )

    async def delete(self, room: str) -> None:
        """Close the room for everybody."""
        await self.api.room.delete_room(DeleteRoomRequest(room=room))

    def token(
        self,
        room: str,
        identity: str,
        *,
        name: str = "",
        kind: Kind = "standard",
        hidden: bool = False,
        attributes: Mapping[str, str] | None = None,
        can_update_own_metadata: bool = False,
        agents: Iterable[RoomAgentDispatch] = (),
        hours: float = 6,
    ) -> str:
        """Make a token to join ``room``, valid for ``hours``.

        With ``agents`` it carries a room configuration: those are dispatched if joining makes the
        room, and ignored if the room exists.
        """
        grants = api.VideoGrants(
            room_join=True,
            room=room,
            hidden=hidden,
            can_publish=True,
            can_subscribe=True,
            can_publish_data=True,
            can_update_own_metadata=can_update_own_metadata,
        )
        token = (
            api.AccessToken(self._key, self._secret)
            .with_identity(identity)
            .with_name(name)
            .with_kind(kind)
            .with_ttl(timedelta(hours=hours))
            .with_grants(grants)
        )
        if attributes:
            token = token.with_attributes(dict(attributes))
        if wanted := list(agents):
            token = token.with_room_config(RoomConfiguration(agents=wanted))
        return token.to_jwt()

    async def __aenter__(self) -> Self:
        self._api = api.LiveKitAPI(self.url, self._key, self._secret)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._api is not None:
            await self._api.aclose()
            self._api = None
