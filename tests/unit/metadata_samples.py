"""Agents with settings, and metadata that says something of them, right or wrong."""

from __future__ import annotations

import json
from typing import Literal

import pytest
from pydantic import field_validator

from agents.plugin import AgentSettings, AgentSpec
from agents.room_settings import RoomSettings, read_room_settings
from pipelines.errors import RoomSettingsError

RECORDING = "7f3c2f0e-6b1d-4d58-9a53-0c5b1f6b7a11"
CANARY = "sk-canary-4f1d"


class Captions(AgentSettings):
    language: str = ""
    engine: str = ""
    interims: bool = True
    size: Literal["small", "large"] = "small"
    words: tuple[str, ...] = ()

    @field_validator("engine")
    @classmethod
    def _plain(cls, value: str) -> str:
        if ":" in value:
            raise ValueError(f"no engine {value}")
        if value == "crash":
            raise RuntimeError(value)
        return value


class Chat(AgentSettings):
    chat: bool = True


class Demanding(AgentSettings):
    template: str


SPECS = {
    name: AgentSpec(name=name, create=lambda _settings: None, settings=model)  # type: ignore[arg-type, return-value]
    for name, model in {"transcriber": Captions, "metadata": Chat, "minutes": Demanding}.items()
}
DEFAULTS = ("metadata", "transcriber")


def read(room: object = "", job: object = "", *, allowed: tuple[str, ...] = ()) -> RoomSettings:
    texts = [part if isinstance(part, str) else json.dumps(part) for part in (room, job)]
    return read_room_settings(*texts, specs=SPECS, defaults=DEFAULTS, allowed=allowed)


def error_of(room: object = "", job: object = "", *, allowed: tuple[str, ...] = ()) -> str:
    with pytest.raises(RoomSettingsError) as caught:
        read(room, job, allowed=allowed)
    return str(caught.value)


MEET_AI = {
    "meetingData": {
        "id": "V1StGXR8_Z5jdHi6B-myT",
        "name": "Planning",
        "agentId": "a1",
        "createdByUserId": "u1",
        "status": "upcoming",
    },
    "agentData": {"id": "a1", "name": "Ada", "userId": "u1", "instructions": "Be brief."},
}
LA_SUITE = {
    "recording_mode": "transcript",
    "recording_status": "started",
    "configuration": {"can_publish_sources": ["microphone"], "everyone_can_mute": False},
    "access_level": "restricted",
}

STRUCTURE = {
    "agents-type": ({"agents": ["transcriber"]}, "agents"),
    "agent-type": ({"agents": {"transcriber": "on"}}, "agents.transcriber"),
    "agent-number": ({"agents": {"transcriber": 1}}, "agents.transcriber"),
    "unknown-agent": ({"agents": {"transcribr": {}}}, "agents.transcribr"),
    "required": ({"agents": {"minutes": {}}}, "agents.minutes.template"),
    "string": ({"agents": {"transcriber": {"engine": 3}}}, "agents.transcriber.engine"),
    "boolean": ({"agents": {"metadata": {"chat": "yes"}}}, "agents.metadata.chat"),
    "boolean-number": ({"agents": {"metadata": {"chat": 1}}}, "agents.metadata.chat"),
    "choice": ({"agents": {"transcriber": {"size": "huge"}}}, "agents.transcriber.size"),
    "item": ({"agents": {"transcriber": {"words": ["a", 2]}}}, "agents.transcriber.words.1"),
    "meeting-type": ({"meetingData": "m1"}, "meetingData"),
    "meeting-id": ({"meetingData": {"id": 7}}, "meetingData.id"),
    "meeting-line": ({"meetingData": {"id": "m\n1"}}, "meetingData.id"),
    "agent-data": ({"agentData": [1]}, "agentData"),
    "language": ({"language": "french please"}, "language"),
    "terms": ({"keyTerms": "LiveKit"}, "keyTerms"),
    "term": ({"glossary": ["ok", ""]}, "glossary.1"),
    "role": ({"roles": {"u1": "king"}}, "roles.u1"),
    "summary": ({"summary": True}, "summary"),
    "template": ({"summary": {"template": "../secrets"}}, "summary.template"),
    "redact": ({"summary": {"redact": "yes"}}, "summary.redact"),
    "destination": ({"summary": {"deliver": ["https://elsewhere"]}}, "summary.deliver.0"),
    "summary-key": ({"summary": {"webhook": "https://elsewhere"}}, "summary.webhook"),
}
SMUGGLED = ["api_key", "base_url", "webhook", "deliver", "plugin", "store", "__class__"]
