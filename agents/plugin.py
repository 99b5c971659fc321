"""The one page a plugin author reads: what an agent is, and what it is given.

An agent is a class with one method, ``run``; a package offers it through an entry point::

    # pyproject.toml
    [project.entry-points."greffier.agents"]
    wordcount = "my_package:SPEC"

    # my_package.py
    class WordCount:
        def __init__(self, settings: WordCountSettings) -> None: ...

        async def run(self, meeting: Meeting) -> None:
            async for event in meeting.events():
                match event:
                    case CaptionFinal(name=name, text=text):
                        ...

    SPEC = AgentSpec(name="wordcount", create=WordCount, settings=WordCountSettings)

``run`` is called once per meeting and returns when the events end. Everything in :class:`Meeting`
may be called from ``run`` and from tasks it starts. An agent that raises is marked failed; the
meeting and the other agents go on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from pipelines.events import (
    AttributesChanged,
    AudioMissed,
    CaptionCorrected,
    CaptionFinal,
    CaptionInterim,
    ChatReceived,
    Correction,
    DataReceived,
    Event,
    MetadataChanged,
    MicrophoneMuted,
    MicrophoneUnmuted,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantRenamed,
    SettingsChanged,
    SpeechEnded,
    SpeechStarted,
)
from pipelines.speech.engines import Engines

if TYPE_CHECKING:
    from agents.acting import Acting

__all__ = [
    "AgentSettings",
    "AgentSpec",
    "AttributesChanged",
    "AudioChunk",
    "AudioMissed",
    "CaptionCorrected",
    "CaptionFinal",
    "CaptionInterim",
    "ChatReceived",
    "Correction",
    "DataReceived",
    "Event",
    "Meeting",
    "MeetingAgent",
    "MeetingInfo",
    "MetadataChanged",
    "MicrophoneMuted",
    "MicrophoneUnmuted",
    "ParticipantJoined",
    "ParticipantLeft",
    "ParticipantRenamed",
    "RpcCall",
    "RpcHandler",
    "SettingsChanged",
    "SpeechEnded",
    "SpeechStarted",
    "Stored",
]


class AgentSettings(BaseModel):
    """What room metadata may say under ``agents.<name>``; a key it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class MeetingInfo:
    """Which meeting it is, and what its metadata says now; ``MetadataChanged`` tells of a change.

    Args:
        meeting: The meeting's id: ``meetingData.id``, else room name and SID.
        room: The LiveKit room's name.
        epoch: Counts the jobs that served this meeting; grows.
        started_at: Start of the meeting, Unix seconds.
        language: BCP 47 tag asked for in the room's metadata, or empty.
        key_terms: Glossary of the room: words an engine or a model should know.
        metadata: The room's metadata, the job's laid over it; the last that was valid.
        kept: Whether it may be kept: False in an encrypted room, unless the operator allows it.
    """

    meeting: str
    room: str
    epoch: int
    started_at: float
    language: str = ""
    key_terms: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    kept: bool = True


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Consecutive audio of one participant's microphone.

    Args:
        samples: int16 mono at 16,000 Hz, shape ``(n,)``; 50 to 100 ms.
        at: Wall time of the first sample, Unix seconds.
        track: SID of the track; of the one that was open first, where several are mixed.
        gap: True on the first chunk, and after a pause (mute, rejoin, another track): what went
            before is not adjacent.
        speech: Highest probability in the chunk that somebody speaks, 0 to 1.
    """

    samples: npt.NDArray[np.int16]
    at: float
    track: str
    gap: bool = False
    speech: float = 0.0


@dataclass(frozen=True, slots=True)
class RpcCall:
    """One RPC call; ``caller`` is the identity that the LiveKit server vouches for."""

    caller: str
    payload: str
    response_timeout: float


@dataclass(frozen=True, slots=True)
class Stored:
    """What :meth:`Meeting.store` kept, and when (Unix seconds)."""

    at: float
    kind: str
    data: Mapping[str, Any]


RpcHandler = Callable[[RpcCall], Awaitable[str]]


class Meeting(Protocol):
    """What an agent is given. Every method may be called from the agent's own event loop."""

    @property
    def info(self) -> MeetingInfo:
        """Identity and start of the meeting, and what its metadata says now."""

    def events(self) -> AsyncIterator[Event]:
        """Iterate over what happens, from those already in the room to the end of the meeting.

        Call it once. The queue holds 1,000 events; an agent that falls further behind misses the
        oldest interims first, then the oldest events; at its end this is logged.
        """

    def participants(self) -> Mapping[str, str]:
        """Return identity -> display name of the people in the room now; agents are not people."""

    def audio(self, identity: str) -> AsyncIterator[AudioChunk]:
        """Iterate over a participant's unmuted microphones, mixed, until they leave.

        Muted time is not delivered. The spec must say ``hears=True``. At most 10 s wait in the
        queue; a reader that is slower loses the oldest: ``at`` tells.

        Raises:
            PermissionError: The agent's spec does not say ``hears=True``.
        """

    def speech(self, identity: str) -> AsyncIterator[SpeechStarted | AudioChunk | SpeechEnded]:
        """Iterate over what a participant says, until they leave.

        Each span is a ``SpeechStarted``, its audio (0.5 s before the start included), and a
        ``SpeechEnded``; mute and leave end a span. Otherwise as :meth:`audio`.
        """

    @property
    def engines(self) -> Engines:
        """The speech engines that the operator allows. For agents with ``isolation="inline"``."""

    @property
    def acting(self) -> Acting | None:
        """Tools, approvals, the operator's language model. For agents with ``isolation="inline"``.

        None where the worker only listens.
        """

    async def publish(self, caption: CaptionInterim | CaptionFinal) -> None:
        """Show a caption in its speaker's name; keep it where it is final.

        A final is journalled before anybody sees it, and is never dropped. Of several interims of
        a segment only the latest is shown, and none after the final. An empty ``name`` is filled
        in with the speaker's. An empty final withdraws the segment. A revision of a segment that a
        person has corrected is kept and not shown: the person's words stand.

        Args:
            caption: With a ``segment`` from :meth:`new_segment`.

        Raises:
            ValueError: A field has a wrong type, a time is none, or this revision is kept already.
        """

    def new_segment(self) -> str:
        """Return an id for a caption that no other caption of this meeting has."""

    async def notify(self, kind: str, **fields: Any) -> None:
        """Tell the room a fact: JSON ``{"type": kind, ...fields}`` on topic ``greffier.status``."""

    async def send_data(self, payload: bytes | str, *, topic: str, to: Sequence[str] = ()) -> None:
        """Send to everyone, or to the identities in ``to``.

        Text goes as a text stream, bytes as a reliable data packet (at most 15 KiB).
        """

    async def register_rpc(self, method: str, handler: RpcHandler) -> None:
        """Answer RPC calls of ``method`` until the agent ends; the handler runs on its loop.

        Raises:
            ValueError: Another agent of this meeting has registered the method.
        """

    async def store(self, kind: str, data: Mapping[str, Any]) -> None:
        """Keep a line of the agent's own: journalled now, in every store soon.

        Raises:
            MeetingEndedError: The meeting has ended, and the agent was not quick enough.
            TypeError: ``data`` is not JSON-serialisable.
        """

    async def stored(self) -> Sequence[Stored]:
        """Return what this agent stored so far, in earlier epochs too, in order of keeping.

        It is read from journals and stores; one that does not answer within 1 s is left out.
        """

    async def mark_hole(self, identity: str, *, at: float, end: float, reason: str) -> None:
        """Keep that what ``identity`` said from ``at`` to ``end`` is lost, and tell the room.

        Args:
            identity: The speaker.
            at: Unix seconds.
            end: Unix seconds.
            reason: In words for people, without anything that was said.
        """

    def watch_unsettled(self, oldest: Callable[[], float | None]) -> None:
        """Have ``oldest`` asked how far back your unfinished work on speech reaches.

        It is asked with each heartbeat, every second or more often. If the job dies, what was said
        from there on is marked as a hole.

        Args:
            oldest: Returns Unix seconds, or None where all is settled; called from the job's
                loop, so it must be quick and thread-safe. One that fails is not asked again.
        """

    async def said(self, *, since: float = 0.0) -> Sequence[CaptionFinal]:
        """Return the meeting's finals that began at or after ``since``, in order of time.

        Each reads as it does now: corrected, where a person has corrected it.
        """

    async def get_state(self, key: str) -> Any:
        """Return what :meth:`set_state` kept under ``key``, also in an earlier epoch, or None."""

    async def set_state(self, key: str, value: Any) -> None:
        """Keep a small JSON value under ``key`` across a restart of the job.

        Raises:
            TypeError: ``value`` is not JSON-serialisable.
            ValueError: It is longer than 64 KiB.
        """


class MeetingAgent(Protocol):
    """A plugin's agent, made for one meeting."""

    async def run(self, meeting: Meeting) -> None:
        """Serve the meeting until ``meeting.events()`` ends."""


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """What a plugin says of itself.

    Args:
        name: The key under ``agents`` in the room's metadata; lower case, letters, digits, ``-``.
        create: Makes the agent from its validated settings.
        settings: Model of what the metadata may say; the default takes no keys.
        isolation: ``thread`` runs the agent on a thread and loop of its own, so that blocking it
            blocks nobody; ``inline`` runs it in the job's loop, for code that needs it.
        hears: The agent reads audio (:meth:`Meeting.audio`); only then is audio decoded for it.
        description: One line for ``worker.py settings`` and the docs.
    """

    name: str
    create: Callable[[Any], MeetingAgent]
    settings: type[AgentSettings] = AgentSettings
    isolation: Literal["thread", "inline"] = "thread"
    hears: bool = False
    description: str = ""
