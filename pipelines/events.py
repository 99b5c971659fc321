"""What happened in a meeting, as frozen facts.

Every event carries ``at``: UTC wall time in seconds since the Unix epoch, taken from media time
where the event comes from audio (see :mod:`pipelines.speech.clock`), so that neither the delay of
a detector nor network jitter is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


def iso(at: float) -> str:
    """Format Unix seconds as ISO 8601 in UTC with milliseconds: ``2026-11-21T09:30:00.250Z``."""
    # Rounded before formatting: isoformat truncates, and a time must survive being read back.
    moment = datetime.fromtimestamp(round(at, 3), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix(text: str) -> float:
    """Return the Unix seconds of an ISO 8601 time; one without a zone is UTC.

    Raises:
        ValueError: It is no such time.
    """
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class CaptionState(StrEnum):
    """What people in the room are told about the captions (topic ``greffier.status``)."""

    STARTED = "started"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    RESUMED = "resumed"
    FAILED = "failed"
    NOT_DURABLE = "not durable"
    DURABLE = "durable"
    ENCRYPTED = "unavailable: end-to-end encrypted"
    AVAILABLE = "available"
    NOT_KEPT = "not kept"


class HoleCause(StrEnum):
    """Why nobody listened."""

    RESTART = "restart"
    ENGINE = "engine"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class ParticipantJoined:
    """Somebody is in the room; also sent for those who were there before the agent."""

    at: float
    identity: str
    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ParticipantLeft:
    """Somebody left, or the server gave up on their connection."""

    at: float
    identity: str
    name: str


@dataclass(frozen=True, slots=True)
class ParticipantRenamed:
    """Somebody's display name changed; ``name`` is the new one."""

    at: float
    identity: str
    name: str


@dataclass(frozen=True, slots=True)
class MicrophoneMuted:
    """A participant's microphone no longer delivers audio: muted, unpublished or unsubscribed."""

    at: float
    identity: str


@dataclass(frozen=True, slots=True)
class MicrophoneUnmuted:
    """A participant's microphone delivers audio."""

    at: float
    identity: str


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """A participant began to speak at ``at``."""

    at: float
    identity: str


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """A participant's speech ended at ``at``; ``started_at`` is the ``at`` of its start."""

    at: float
    identity: str
    started_at: float


@dataclass(frozen=True, slots=True)
class AudioMissed:
    """A participant's microphone was open from ``at`` to ``end``, and no audio of it came."""

    at: float
    identity: str
    end: float


@dataclass(frozen=True, slots=True)
class CaptionInterim:
    """The engine's present guess for a segment; replaced by the next one or by the final."""

    at: float
    segment: str
    identity: str
    name: str
    text: str
    track: str = ""


@dataclass(frozen=True, slots=True)
class Correction:
    """That a person, not a machine, says how a segment reads.

    Args:
        at: When, Unix seconds.
        by: The person's LiveKit identity.
        name: The person's display name as last known.
        original: What the machine had settled.
    """

    at: float
    by: str
    name: str
    original: str


@dataclass(frozen=True, slots=True)
class CaptionFinal:
    """A segment's settled text, as it is kept.

    Args:
        at: When the segment's speech began, Unix seconds.
        end: When the segment's speech ended, Unix seconds.
        segment: Id of the segment, unique in the meeting, the same as its interims'.
        identity: The speaker's LiveKit identity.
        name: The speaker's display name as last known.
        text: What was said; never empty.
        track: SID of the transcribed track, or empty.
        language: BCP 47 tag, or empty where the engine does not tell.
        engine: The engine's name, e.g. ``pocketsphinx/en-us``.
        revision: 0, or counted up when a kept segment is corrected; the highest one counts.
        index: Counts the finals and corrections of the meeting from 1, given when they are kept; 0
            before.
        correction: Whose the text is, where a person has corrected it.
    """

    at: float
    end: float
    segment: str
    identity: str
    name: str
    text: str
    track: str = ""
    language: str = ""
    engine: str = ""
    revision: int = 0
    index: int = 0
    correction: Correction | None = None


@dataclass(frozen=True, slots=True)
class CaptionCorrected:
    """A person corrected a settled segment.

    Args:
        at: When, Unix seconds.
        caption: The segment as it reads now; its ``correction`` says who corrected it.
    """

    at: float
    caption: CaptionFinal


@dataclass(frozen=True, slots=True)
class Hole:
    """Speech may be missing: whatever was said, nobody heard or understood it.

    Args:
        at: When it began, Unix seconds.
        end: When somebody listened again, Unix seconds.
        cause: ``restart``: the job was replaced; ``engine``: the speech engine did not answer;
            ``network``: no audio came.
        speakers: Whose speech; empty: everybody's.
        reason: In words for people, without anything that was said; or empty.
    """

    at: float
    end: float
    cause: HoleCause
    speakers: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ChatReceived:
    """A chat message, from ``lk.chat`` or the legacy topic, once."""

    at: float
    identity: str
    text: str
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class DataReceived:
    """A data packet on ``topic`` (empty where the sender gave none)."""

    at: float
    identity: str
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class AttributesChanged:
    """A participant's attributes; ``changed`` holds only those that differ."""

    at: float
    identity: str
    changed: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MetadataChanged:
    """The room's metadata, parsed; unknown keys are kept as they came."""

    at: float
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """This agent's own settings changed in the running room; ``settings`` is its spec's model."""

    at: float
    settings: Any


Event = (
    ParticipantJoined
    | ParticipantLeft
    | ParticipantRenamed
    | MicrophoneMuted
    | MicrophoneUnmuted
    | SpeechStarted
    | SpeechEnded
    | AudioMissed
    | CaptionInterim
    | CaptionFinal
    | CaptionCorrected
    | ChatReceived
    | DataReceived
    | AttributesChanged
    | MetadataChanged
    | SettingsChanged
)
