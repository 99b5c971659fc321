"""Somebody in a room who calls the agent and reads what it sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from livekit import rtc

from bench.rooms import Rooms

AGENT = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


class Stream(NamedTuple):
    """A text stream, once it is whole."""

    sender: str
    text: str
    attributes: Mapping[str, str]


class Guest:
    """A participant; an async context manager that joins and leaves.

    Args:
        rooms: The server's.
        room: Name of the room.
        identity: Of the guest; the name is made of it.
        agent: Identity of the agent; without it, the one agent that is in the room.
        token: Further arguments of the token.
    """

    def __init__(
        self, rooms: Rooms, room: str, identity: str, *, agent: str = "", **token: Any
    ) -> None:
        self.identity = identity
        self.room = rtc.Room()
        self._url = rooms.url
        self._token = rooms.token(room, identity, name=identity.title(), **token)
        self._agent = agent
        self._reading: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.room.connect(self._url, self._token)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.room.disconnect()
        for task in self._reading:
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)

    @property
    def agent(self) -> str:
        """Identity of the agent; if it was not given, empty while there is not exactly one."""
        there = self.room.remote_participants.values()
        found = [one.identity for one in there if one.kind == AGENT]
        return self._agent or (found[0] if len(found) == 1 else "")

    async def call(self, method: str, **payload: Any) -> dict[str, Any]:
        """Call the agent, and return its answer."""
        answer = await self.room.local_participant.perform_rpc(
            destination_identity=self.agent, method=method, payload=json.dumps(payload)
        )
        told: dict[str, Any] = json.loads(answer)
        return told

    async def code(self, method: str, **payload: Any) -> int:
        """Call the agent, and return the code of the error; 0 where there is none."""
        try:
            await self.call(method, **payload)
        except rtc.RpcError as error:
            return error.code
        return 0

    async def write(self, text: str) -> None:
        """Write in the chat."""
        await self.room.local_participant.send_text(text, topic="lk.chat")

    def reads(self, topic: str) -> list[Stream]:
        """Return the text streams of ``topic``; they are added as they come."""
        read: list[Stream] = []

        async def take(reader: rtc.TextStreamReader, sender: str) -> None:
            text = await reader.read_all()
            read.append(Stream(sender, text, reader.info.attributes or {}))

        def opened(reader: rtc.TextStreamReader, sender: str) -> None:
            self._reading.add(asyncio.create_task(take(reader, sender)))

        self.room.register_text_stream_handler(topic, opened)
        return read
