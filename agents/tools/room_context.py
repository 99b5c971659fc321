"""What a tool is given of the room, and of what is kept: a ``ToolContext``."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final
from weakref import WeakSet

from agents.chat import LONGEST_CHAT, post_chat
from agents.mailbox import Mailbox
from agents.meeting import Desk
from agents.plugin import MeetingInfo
from pipelines.errors import ToolError
from pipelines.events import CaptionFinal, ChatReceived, Event

OWNER: Final = "tools"
"""The agent in whose name tools keep their notes."""

_MESSAGES: Final = 1_000
"""Chat messages that wait for a tool that reads them."""


class ToolRoom:
    """Gives each run of a tool its context.

    Args:
        desk: The meeting.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        # Of each only as long as a tool reads it.
        self._readers: WeakSet[Mailbox[ChatReceived]] = WeakSet()

    def receive(self, event: Event) -> None:
        """Tell the tools that read the chat."""
        if isinstance(event, ChatReceived):
            for box in list(self._readers):
                box.put(event)

    def context(self, asked_by: str, key: str) -> RoomContext:
        """Return what a tool is given; see ``ToolContext`` for the arguments."""
        return RoomContext(self._desk, self._readers, asked_by=asked_by, key=key)


class RoomContext:
    """What one run of a tool is given, in the job's loop."""

    def __init__(
        self, desk: Desk, readers: WeakSet[Mailbox[ChatReceived]], *, asked_by: str, key: str
    ) -> None:
        self._desk = desk
        self._readers = readers
        self._asked_by = asked_by
        self._key = key

    @property
    def info(self) -> MeetingInfo:
        """Identity and start of the meeting, and what its metadata says."""
        return self._desk.info

    @property
    def asked_by(self) -> str:
        """Who asked for the call."""
        return self._asked_by

    @property
    def key(self) -> str:
        """The same for every try of one call."""
        return self._key

    def participants(self) -> Mapping[str, str]:
        """Return identity -> display name of the people in the room now."""
        return self._desk.room.people

    async def said(self, *, since: float = 0.0) -> Sequence[CaptionFinal]:
        """Return the meeting's finals."""
        return await self._desk.ledger.said(since=since)

    def chat(self) -> AsyncIterator[ChatReceived]:
        """Iterate over the chat messages that come from now on."""
        box: Mailbox[ChatReceived] = Mailbox(_MESSAGES)
        self._readers.add(box)
        return aiter(box)

    async def post_chat(self, text: str, *, key: str = "") -> None:
        """Write in the chat, as clients of LiveKit do: a text stream, and the older packet."""
        if len(text) > LONGEST_CHAT:
            raise ToolError(f"the message has {len(text)} characters, at most {LONGEST_CHAT}")
        room = self._desk.rtc_room
        if self._desk.lost_room or not room.isconnected():
            raise ToolError("the agent is not connected to the room")
        message = sha256(f"{self._key}/{key}".encode()).hexdigest()[:32]
        await post_chat(room.local_participant, text, message=message)

    async def note(self, kind: str, data: Mapping[str, Any], *, key: str = "") -> bool:
        """Keep a note of the agent ``tools``, once."""
        ledger = self._desk.ledger
        fields = {**data, "key": f"{self._key}/{key}" if key else self._key}
        for line in await ledger.lines():
            if line.kind == "note" and line.data.get("agent") == OWNER:
                kept = line.data["data"]
                if line.data["kind"] == kind and kept.get("key") == fields["key"]:
                    return False
        ledger.append("note", {"agent": OWNER, "kind": kind, "data": fields}, at=time.time())
        await ledger.copied()
        return True
