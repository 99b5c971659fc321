"""A LiveKit server of one room at a time, for what is asked of its API; it does what it is told."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from livekit import api
from livekit.protocol.agent_dispatch import AgentDispatch, CreateAgentDispatchRequest
from livekit.protocol.models import ParticipantInfo, Room

from agents.identity import EPOCH

AGENT = ParticipantInfo.Kind.AGENT


@dataclass
class LiveKit:
    """The server.

    Args:
        rooms: Name -> the room.
        inside: Name -> who is in it.
        dispatches: Name -> its dispatches, oldest first.
        told: Data that was sent to a room.
        removed: Identities that were put out.
        away: How many of the next calls that list rooms it does not answer.
    """

    rooms: dict[str, Room] = field(default_factory=dict)
    inside: dict[str, list[ParticipantInfo]] = field(default_factory=dict)
    dispatches: dict[str, list[AgentDispatch]] = field(default_factory=dict)
    told: list[api.SendDataRequest] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    away: int = 0

    @property
    def room(self) -> LiveKit:
        return self

    @property
    def agent_dispatch(self) -> LiveKit:
        return self

    def open(self, name: str, *, sid: str = "RM_1", metadata: str = "", people: int = 1) -> None:
        """Open a room that is a minute old, or make it anew."""
        self.rooms[name] = Room(
            name=name,
            sid=sid,
            metadata=metadata,
            num_participants=people,
            creation_time=int(time.time()) - 60,
        )
        self.inside[name] = [ParticipantInfo(identity=f"person-{n}") for n in range(people)]
        self.dispatches[name] = []

    def agent(self, name: str, identity: str, *, epoch: int) -> None:
        self.inside[name].append(
            ParticipantInfo(identity=identity, kind=AGENT, attributes={EPOCH: str(epoch)})
        )

    def ask(
        self,
        name: str,
        agent_name: str,
        metadata: str = "",
        *,
        attributes: Mapping[str, str] | None = None,
        age: float = 60.0,
    ) -> AgentDispatch:
        """Make a dispatch ``age`` seconds ago, and drop it."""
        made = AgentDispatch(
            id=f"AD_{sum(map(len, self.dispatches.values())) + 1}",
            agent_name=agent_name,
            room=name,
            metadata=metadata,
            attributes=attributes or {},
        )
        made.state.created_at = int((time.time() - age) * 1e9)
        self.dispatches[name].append(made)
        return made

    async def list_rooms(self, request: api.ListRoomsRequest) -> Any:
        if self.away:
            self.away -= 1
            raise aiohttp.ClientError
        names = request.names or self.rooms
        found = [one for name, one in self.rooms.items() if name in names]
        return api.ListRoomsResponse(rooms=found)

    async def list_participants(self, request: api.ListParticipantsRequest) -> Any:
        return api.ListParticipantsResponse(participants=self.inside.get(request.room, []))

    async def remove_participant(self, request: api.RoomParticipantIdentity) -> None:
        self.removed.append(request.identity)

    async def send_data(self, request: api.SendDataRequest) -> None:
        self.told.append(request)

    async def list_dispatch(self, room: str) -> list[AgentDispatch]:
        return list(self.dispatches.get(room, []))

    async def create_dispatch(self, request: CreateAgentDispatchRequest) -> AgentDispatch:
        return self.ask(
            request.room,
            request.agent_name,
            request.metadata,
            attributes=request.attributes,
            age=0.0,
        )

    async def delete_dispatch(self, dispatch: str, room: str) -> None:
        self.dispatches[room] = [one for one in self.dispatches[room] if one.id != dispatch]


def stand_in(monkeypatch: pytest.MonkeyPatch, livekit: LiveKit, *modules: str) -> None:
    """Have these modules ask ``livekit``."""

    @asynccontextmanager
    async def open_api(_settings: object) -> AsyncIterator[LiveKit]:
        yield livekit

    for module in modules:
        monkeypatch.setattr(f"{module}.open_api", open_api)
