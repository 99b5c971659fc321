"""The built-in agent that notes who was there and who spoke when; chat where it is asked to."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from agents.plugin import (
    AgentSettings,
    AgentSpec,
    ChatReceived,
    Meeting,
    ParticipantJoined,
    ParticipantLeft,
    SettingsChanged,
    SpeechEnded,
    SpeechStarted,
)
from pipelines.events import iso

_Noted = ParticipantJoined | ParticipantLeft | SpeechStarted | SpeechEnded | ChatReceived


class MetadataSettings(AgentSettings):
    """What the room's metadata may say under ``agents.metadata``."""

    chat: bool = Field(default=False, description="Keep the text of chat messages too.")


class MetadataCollector:
    """Writes presence and voice activity down as they happen."""

    def __init__(self, settings: MetadataSettings) -> None:
        self._settings = settings

    async def run(self, meeting: Meeting) -> None:
        """Note every event until the meeting ends."""
        async for event in meeting.events():
            match event:
                case SettingsChanged(settings=MetadataSettings() as settings):
                    self._settings = settings
                case ParticipantJoined():
                    await self._note(meeting, "participant_connected", event)
                case ParticipantLeft():
                    await self._note(meeting, "participant_disconnected", event)
                case SpeechStarted():
                    await self._note(meeting, "speech_start", event)
                case SpeechEnded():
                    await self._note(meeting, "speech_end", event)
                case ChatReceived(text=text) if self._settings.chat:
                    await self._note(meeting, "chat_received", event, text=text)

    async def _note(self, meeting: Meeting, kind: str, event: _Noted, **more: str) -> None:
        await meeting.store(kind, {"identity": event.identity, "at": iso(event.at), **more})


SPEC: Final = AgentSpec(
    name="metadata",
    create=MetadataCollector,
    settings=MetadataSettings,
    isolation="inline",
    hears=True,
    description="Presence and voice activity; chat where the room's metadata asks for it.",
)
