"""The built-in agent that writes live captions of everyone's speech, overlaps included."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from agents.plugin import (
    AgentSettings,
    AgentSpec,
    AudioChunk,
    Meeting,
    MetadataChanged,
    ParticipantJoined,
    SettingsChanged,
    SpeechEnded,
)
from pipelines.errors import EngineError
from pipelines.events import CaptionState
from pipelines.failpoints import failpoint
from pipelines.speech.stt import Recognition, Recognizer
from pipelines.transcript.assembler import Assembler

log = logging.getLogger(__name__)

KeyTerm = Annotated[str, StringConstraints(min_length=1, max_length=100)]
LANGUAGE_TAG: Final = r"^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4})?$"


class TranscriberSettings(AgentSettings):
    """What the room's metadata may say under ``agents.transcriber``."""

    engine: str = Field(
        default="",
        max_length=100,
        pattern=r"^[A-Za-z0-9._-]*(/[A-Za-z0-9._/-]+)?$",
        description="Speech engine, `provider/model`, of those the operator allows.",
    )
    language: str = Field(
        default="",
        pattern=LANGUAGE_TAG,
        description="Language of speech (BCP 47); else the room's `language`.",
    )
    key_terms: tuple[KeyTerm, ...] = Field(
        default=(),
        alias="keyTerms",
        max_length=1000,
        description="Words the engine should know, beside the room's `keyTerms`.",
    )


class Transcriber:
    """Gives every participant's speech to the engine and its words to the room.

    Each participant has one task from join to leave; each span of speech one more until its last
    final. A failed engine costs that span, is told to the room, and is asked again at the next.
    """

    def __init__(self, settings: TranscriberSettings) -> None:
        self._settings = settings
        self._recognizer: Recognizer | None = None
        self._state = CaptionState.STOPPED
        self._asked: tuple[str, str, tuple[str, ...]] | None = None
        self._listening: set[str] = set()
        self._come_back: set[str] = set()

    async def run(self, meeting: Meeting) -> None:
        """Transcribe until the meeting ends and the last final is out."""
        await self._use_engine(meeting)
        async with asyncio.TaskGroup() as tasks:
            async for event in meeting.events():
                match event:
                    case ParticipantJoined(identity=identity):
                        self._come_back.add(identity)
                        if identity not in self._listening:
                            self._listening.add(identity)
                            tasks.create_task(self._listen_until_gone(meeting, identity, tasks))
                    case SettingsChanged(settings=TranscriberSettings() as settings):
                        self._settings = settings
                        await self._use_engine(meeting)
                    case MetadataChanged():
                        await self._use_engine(meeting)
        await self._tell(meeting, CaptionState.STOPPED)

    async def _use_engine(self, meeting: Meeting) -> None:
        own, info = self._settings, meeting.info
        asked = (
            own.engine,
            own.language or info.language,
            (*info.key_terms, *own.key_terms),
        )
        if asked == self._asked:
            return
        self._asked = asked
        engine, language, key_terms = asked
        try:
            self._recognizer = meeting.engines.recognizer(
                engine, language=language, key_terms=key_terms
            )
            self._recognizer.prewarm()
        except EngineError as error:
            await self._fail(meeting, error)
        else:
            await self._tell(meeting, CaptionState.STARTED, engine=self._recognizer.name)

    async def _listen_until_gone(
        self, meeting: Meeting, identity: str, tasks: asyncio.TaskGroup
    ) -> None:
        """Listen once for each time they joined, never twice at a time."""
        try:
            while identity in self._come_back:
                self._come_back.discard(identity)
                await self._listen(meeting, identity, tasks)
        finally:
            self._listening.discard(identity)

    async def _listen(self, meeting: Meeting, identity: str, tasks: asyncio.TaskGroup) -> None:
        recognition: Recognition | None = None
        begun = False
        async for item in meeting.speech(identity):
            match item:
                case AudioChunk():
                    if not begun:
                        begun = True
                        recognition = await self._begin(meeting, identity, item, tasks)
                    if recognition:
                        recognition.push(item.samples, speech=item.speech)
                case SpeechEnded():
                    if recognition:
                        recognition.end()
                    recognition, begun = None, False
        if recognition:
            recognition.end()

    async def _begin(
        self, meeting: Meeting, identity: str, first: AudioChunk, tasks: asyncio.TaskGroup
    ) -> Recognition | None:
        """Begin to recognise a span, or tell why not: that costs the span."""
        if self._recognizer is None:
            return None
        try:
            recognition = self._recognizer.recognition()
        except Exception as error:
            # An operator's own engine may raise anything.
            await self._fail(meeting, error)
            return None
        assembler = Assembler(
            began=first.at,
            identity=identity,
            track=first.track,
            engine=self._recognizer.name,
            new_segment=meeting.new_segment,
        )
        tasks.create_task(self._caption(meeting, recognition, assembler))
        return recognition

    async def _caption(
        self, meeting: Meeting, recognition: Recognition, assembler: Assembler
    ) -> None:
        try:
            async for heard in recognition:
                if caption := assembler.receive(heard):
                    if heard.final:
                        failpoint("engine_final")
                    await meeting.publish(caption)
            await self._tell(meeting, CaptionState.STARTED, engine=assembler.engine)
        except Exception as error:
            # One span's failure must not end everybody's captions.
            await self._fail(meeting, error)
        finally:
            await recognition.aclose()

    async def _fail(self, meeting: Meeting, error: Exception) -> None:
        # Only our own errors are worded without what was said.
        reason = str(error) if isinstance(error, EngineError) else type(error).__name__
        log.error("no captions", extra={"cause": reason})
        await self._tell(meeting, CaptionState.FAILED, reason=reason)

    async def _tell(self, meeting: Meeting, state: CaptionState, **fields: str) -> None:
        """Tell the room a change; the same state twice is no news."""
        if state is not self._state:
            self._state = state
            await meeting.notify("captions", state=state, **fields)


SPEC: Final = AgentSpec(
    name="transcriber",
    create=Transcriber,
    settings=TranscriberSettings,
    isolation="inline",
    hears=True,
    description="Live captions of everyone's speech, shown and kept.",
)
