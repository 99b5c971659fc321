"""The built-in agent that notes who was there and who spoke when; chat where it is asked to.

La Suite Meet's file of a recording is made of these notes
(:mod:`pipelines.transcript.recording_metadata`).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from pydantic import Field

from agents.plugin import (
    AgentSettings,
    AgentSpec,
    AttributesChanged,
    ChatReceived,
    Event,
    Meeting,
    ParticipantJoined,
    ParticipantLeft,
    SettingsChanged,
    SpeechEnded,
    SpeechStarted,
    Stored,
)
from pipelines.events import iso
from pipelines.transcript.recording_metadata import CONNECTED, DISCONNECTED

STILL: Final = 5.0
"""Seconds between two notes that somebody still speaks: what a crash costs of long speech."""

HAND: Final = "handRaisedAt"
ROLE: Final = "room_role"
"""Attributes by which La Suite Meet's page tells of raised hands and of roles."""

LONGEST_ROLE: Final = 100
"""Characters of a role that are kept: attributes are whatever a client sends."""

LONGEST_TEXT: Final = 200 * 1024
"""Bytes of a message as JSON, in which a character may be 12; a kept line has more beside it."""

Note = tuple[str, dict[str, str]]


class MetadataSettings(AgentSettings):
    """What the room's metadata may say under ``agents.metadata``."""

    chat: bool = Field(default=False, description="Keep the text of chat messages too.")


class MetadataCollector:
    """Writes presence, voice activity, raised hands and roles down as they happen."""

    def __init__(self, settings: MetadataSettings) -> None:
        self._settings = settings
        self._speaking: dict[str, float] = {}  # identity -> start of its speech

    async def run(self, meeting: Meeting) -> None:
        """Note every event until the meeting ends; speech that is going on ends with it."""
        for kind, fields in _gone(await meeting.stored(), meeting.participants()):
            await meeting.store(kind, fields)
        async with asyncio.TaskGroup() as tasks:
            reminding = tasks.create_task(self._remind(meeting))
            async for event in meeting.events():
                for kind, fields in self._notes(event):
                    await meeting.store(kind, fields)
            reminding.cancel()
        for identity, started_at in self._speaking.items():
            for kind, fields in _speech_ended(SpeechEnded(time.time(), identity, started_at)):
                await meeting.store(kind, fields)

    def _notes(self, event: Event) -> Iterator[Note]:
        match event:
            case SettingsChanged(settings=MetadataSettings() as settings):
                self._settings = settings
            case ParticipantJoined(at, identity):
                yield CONNECTED, _fields(at, identity)
                yield from _attributes(at, identity, event.attributes, joined=True)
            case ParticipantLeft(at, identity):
                yield DISCONNECTED, _fields(at, identity)
            case AttributesChanged(at, identity, changed):
                yield from _attributes(at, identity, changed)
            case SpeechStarted(at, identity):
                self._speaking[identity] = at
                yield "speech_start", _fields(at, identity)
            case SpeechEnded(at, identity, started_at):
                if self._speaking.get(identity) == started_at:
                    del self._speaking[identity]
                yield from _speech_ended(event)
            case ChatReceived(at, identity, text) if self._settings.chat:
                yield "chat_received", _fields(at, identity, text=_that_fits(text))

    async def _remind(self, meeting: Meeting) -> None:
        while True:
            await asyncio.sleep(STILL)
            now = time.time()
            if who := [one for one, since in self._speaking.items() if now - since > STILL]:
                await meeting.store("still_speaking", {"at": iso(now), "identities": who})


def _gone(earlier: Iterable[Stored], present: Collection[str]) -> Iterator[Note]:
    """Note who left while nobody looked: when is not known, so it is now, and marked."""
    there: dict[str, None] = {}
    for note in earlier:
        if note.kind == CONNECTED:
            there[note.data["identity"]] = None
        elif note.kind == DISCONNECTED:
            there.pop(note.data["identity"], None)
    for identity in there:
        if identity not in present:
            yield DISCONNECTED, _fields(time.time(), identity, seen="no")


def _fields(at: float, identity: str, **more: str) -> dict[str, str]:
    return {"identity": identity, "at": iso(at), **more}


def _that_fits(text: str) -> str:
    while len(json.dumps(text)) > LONGEST_TEXT:
        text = f"{text[: len(text) // 2]}…"
    return text


def _speech_ended(ended: SpeechEnded) -> Iterator[Note]:
    started = iso(ended.started_at)
    yield "speech_end", _fields(ended.at, ended.identity, started_at=started)


def _attributes(
    at: float, identity: str, changed: Mapping[str, str], *, joined: bool = False
) -> Iterator[Note]:
    raised = changed.get(HAND)
    if raised:
        yield "hand_raised", _fields(at, identity)
    elif raised is not None and not joined:
        yield "hand_lowered", _fields(at, identity)
    if role := changed.get(ROLE):
        yield "role", _fields(at, identity, role=role[:LONGEST_ROLE])


SPEC: Final = AgentSpec(
    name="metadata",
    create=MetadataCollector,
    settings=MetadataSettings,
    isolation="inline",
    hears=True,
    description="Presence, voice activity, raised hands and roles; chat where the room's metadata "
    "asks for it.",
)
