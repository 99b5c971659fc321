"""A meeting for tools, without a room: what was said is given, what they write is kept in lists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.mailbox import Mailbox
from agents.plugin import MeetingInfo
from pipelines.events import CaptionFinal, ChatReceived

INFO = MeetingInfo(meeting="weekly", room="weekly", epoch=1, started_at=1_700_000_000.0)


@dataclass
class Context:
    """What a tool is given, by a test."""

    info: MeetingInfo = INFO
    asked_by: str = "ada"
    key: str = "k1"
    people: dict[str, str] = field(default_factory=lambda: {"ada": "Ada", "bob": "Bob"})
    finals: list[CaptionFinal] = field(default_factory=list)
    posted: list[str] = field(default_factory=list)
    notes: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    inbox: Mailbox[ChatReceived] = field(default_factory=lambda: Mailbox(100))

    def participants(self) -> Mapping[str, str]:
        return self.people

    async def said(self, *, since: float = 0.0) -> Sequence[CaptionFinal]:
        return [caption for caption in self.finals if caption.at >= since]

    def chat(self) -> AsyncIterator[ChatReceived]:
        return aiter(self.inbox)

    async def post_chat(self, text: str, *, key: str = "") -> None:
        self.posted.append(text)

    async def note(self, kind: str, data: Mapping[str, Any], *, key: str = "") -> bool:
        self.notes.append((kind, data))
        return True
