"""What the metadata agent notes of what happens in a room."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from agents import metadata
from agents.mailbox import Mailbox
from agents.metadata import MetadataCollector, MetadataSettings
from agents.plugin import (
    AttributesChanged,
    ChatReceived,
    Event,
    ParticipantJoined,
    ParticipantLeft,
    SettingsChanged,
    SpeechEnded,
    SpeechStarted,
    Stored,
)
from pipelines.events import iso
from pipelines.transcript.ledger import MAX_LINE


class Meeting:
    """Gives the agent events and takes its notes."""

    def __init__(self, earlier: Sequence[Stored] = ()) -> None:
        self.inbox: Mailbox[Event] = Mailbox(100)
        self.notes: list[tuple[str, dict[str, Any]]] = []
        self._earlier = earlier

    def events(self) -> AsyncIterator[Event]:
        return aiter(self.inbox)

    def participants(self) -> Mapping[str, str]:
        return {"james": "James"}

    async def stored(self) -> Sequence[Stored]:
        return self._earlier

    async def store(self, kind: str, data: Mapping[str, Any]) -> None:
        assert len(json.dumps(data)) < MAX_LINE
        self.notes.append((kind, dict(data)))


async def noted(*events: Event, chat: bool = False) -> list[tuple[str, dict[str, Any]]]:
    meeting = Meeting()
    for event in events:
        meeting.inbox.put(event)
    meeting.inbox.close()
    agent = MetadataCollector(MetadataSettings(chat=chat))
    await agent.run(meeting)  # type: ignore[arg-type] # it uses no more of a meeting
    return meeting.notes


async def test_presence_and_speech_are_noted_with_the_times_at_which_they_were() -> None:
    assert await noted(
        ParticipantJoined(1.0, "ada", "Ada"),
        SpeechStarted(2.0, "ada"),
        SpeechEnded(3.5, "ada", 2.0),
        ParticipantLeft(4.0, "ada", "Ada"),
    ) == [
        ("participant_connected", {"identity": "ada", "at": iso(1.0)}),
        ("speech_start", {"identity": "ada", "at": iso(2.0)}),
        ("speech_end", {"identity": "ada", "at": iso(3.5), "started_at": iso(2.0)}),
        ("participant_disconnected", {"identity": "ada", "at": iso(4.0)}),
    ]


async def test_who_speaks_when_the_meeting_ends_has_spoken_until_then() -> None:
    notes = await noted(SpeechStarted(2.0, "ada"), SpeechStarted(2.5, "james"))
    ended = [(kind, data["identity"], data.get("started_at")) for kind, data in notes[2:]]
    assert ended == [("speech_end", "ada", iso(2.0)), ("speech_end", "james", iso(2.5))]


async def test_while_somebody_goes_on_speaking_that_is_noted_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metadata, "STILL", 0.01)
    meeting = Meeting()
    meeting.inbox.put(SpeechStarted(2.0, "ada"))

    async def store(kind: str, data: Mapping[str, Any]) -> None:
        meeting.notes.append((kind, dict(data)))
        if kind == "still_speaking":
            meeting.inbox.close()

    meeting.store = store  # type: ignore[method-assign]
    await MetadataCollector(MetadataSettings()).run(meeting)  # type: ignore[arg-type] # see above
    kind, data = meeting.notes[1]
    assert (kind, data["identities"]) == ("still_speaking", ["ada"])


async def test_chat_is_kept_only_where_it_is_asked_for() -> None:
    chat = ChatReceived(1.0, "ada", "hello")
    assert await noted(chat) == []
    assert await noted(SettingsChanged(0.5, MetadataSettings(chat=True)), chat) == [
        ("chat_received", {"identity": "ada", "at": iso(1.0), "text": "hello"})
    ]


async def test_no_message_is_too_long_to_be_kept() -> None:
    ((_, data),) = await noted(ChatReceived(1.0, "ada", "👋" * 30_001), chat=True)
    assert data["text"].endswith("…")


async def test_raised_hands_and_roles_are_noted() -> None:
    hand, role = "handRaisedAt", "room_role"
    joined = {hand: "", role: "member"}
    notes = await noted(
        ParticipantJoined(1.0, "ada", "Ada", joined),
        AttributesChanged(2.0, "ada", {hand: "2026-11-21T10:00:00Z"}),
        AttributesChanged(3.0, "ada", {hand: ""}),
        AttributesChanged(4.0, "ada", {role: "administrator", "color": "hsl(1)"}),
    )
    assert [(kind, data.get("role")) for kind, data in notes] == [
        ("participant_connected", None),
        ("role", "member"),
        ("hand_raised", None),
        ("hand_lowered", None),
        ("role", "administrator"),
    ]


async def test_who_left_while_nobody_looked_is_told_as_left_now_and_as_not_seen() -> None:
    def stored(kind: str, identity: str) -> Stored:
        return Stored(1.0, kind, {"identity": identity, "at": iso(1.0)})

    earlier = [
        stored("participant_connected", "ada"),
        stored("participant_connected", "james"),
        stored("participant_connected", "guest"),
        stored("speech_start", "ada"),
        stored("participant_disconnected", "guest"),
    ]
    meeting = Meeting(earlier)
    meeting.inbox.close()
    began = time.time()
    await MetadataCollector(MetadataSettings()).run(meeting)  # type: ignore[arg-type] # see above
    ((kind, data),) = meeting.notes
    assert (kind, data["identity"], data["seen"]) == ("participant_disconnected", "ada", "no")
    assert data["at"] >= iso(began)
