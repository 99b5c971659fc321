"""The built-in agent that writes live captions of everyone's speech, overlaps included."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from agents.caption_status import CaptionStatus, Notice
from agents.plugin import (
    AgentSpec,
    AttributesChanged,
    AudioChunk,
    Meeting,
    MetadataChanged,
    ParticipantJoined,
    SettingsChanged,
    SpeechEnded,
)
from agents.spoken_language import METHOD, LanguageSwitch, SpokenLanguages
from agents.transcriber_settings import TranscriberSettings
from pipelines.errors import EngineError
from pipelines.events import CaptionState
from pipelines.failpoints import failpoint
from pipelines.speech.stt import RATE, Heard, Interrupted, Lost, Recognition, Recognizer
from pipelines.transcript.assembler import Assembler

log = logging.getLogger(__name__)

LAST_SECONDS: Final = 6.0
"""Seconds that engines have after the end of the meeting, within ``shutdown.DRAIN_AGENTS``."""


class Transcriber:
    """Gives every participant's speech to the engine and its words to the room.

    Each participant has one task from join to leave; each span of speech one more until its last
    final. An engine's trouble costs time, not words, as long as it comes back or there is a
    fallback; else the hole is kept and told to the room.
    """

    def __init__(self, settings: TranscriberSettings) -> None:
        self._settings = settings
        self._engine: str | None = None
        self._status = CaptionStatus()
        self._asked: tuple[object, ...] | None = None
        self._languages = SpokenLanguages()
        self._listening: set[str] = set()
        self._come_back: set[str] = set()
        self._open: dict[Recognition, Assembler] = {}
        self._ending = False

    async def run(self, meeting: Meeting) -> None:
        """Transcribe until the meeting ends and the last final is out."""
        await meeting.register_rpc(METHOD, self._languages.called)
        meeting.watch_unsettled(self._unsettled_since)
        await self._use_engine(meeting)
        async with asyncio.TaskGroup() as tasks:
            async for event in meeting.events():
                match event:
                    case ParticipantJoined(identity=identity, attributes=attributes):
                        await self._take(meeting, self._languages.joined, identity, attributes)
                        self._come_back.add(identity)
                        if identity not in self._listening:
                            self._listening.add(identity)
                            tasks.create_task(self._listen_until_gone(meeting, identity, tasks))
                    case AttributesChanged(identity=identity, changed=changed):
                        await self._take(meeting, self._languages.changed, identity, changed)
                    case SettingsChanged(settings=TranscriberSettings() as settings):
                        self._settings = settings
                        await self._use_engine(meeting)
                    case MetadataChanged():
                        await self._use_engine(meeting)
            self._ending = True
            for recognition in self._open:
                recognition.hurry(LAST_SECONDS)
        await meeting.store("engine_seconds", meeting.engines.usage.as_dict())
        await self._tell(meeting, self._status.stopped())

    async def _use_engine(self, meeting: Meeting) -> None:
        own, info = self._settings, meeting.info
        options = own.options
        asked = (
            own.engine,
            own.language or info.language,
            (*info.key_terms, *own.key_terms),
            tuple(options.items()),
        )
        if asked == self._asked:
            return
        if self._asked is not None:
            meeting.engines.forgive()
        self._asked = asked
        try:
            recognizer = self._recognizer(meeting, asked[1])
            recognizer.prewarm()
        except EngineError as error:
            self._engine = None
            await self._fail(meeting, error)
            return
        self._engine = recognizer.name
        await self._tell(meeting, self._status.ready(recognizer.name))
        if recognizer.ignored:
            ignored = list(recognizer.ignored)
            await meeting.notify("transcriber", engine=recognizer.name, ignored=ignored)

    def _recognizer(self, meeting: Meeting, language: str) -> Recognizer:
        own = self._settings
        return meeting.engines.recognizer(
            own.engine,
            language=language,
            key_terms=(*meeting.info.key_terms, *own.key_terms),
            options=own.options,
        )

    def _language(self, meeting: Meeting, identity: str) -> str:
        """Return what ``identity`` speaks as far as anybody said, else an empty string."""
        own = self._languages.of(identity)
        return own or self._settings.language or meeting.info.language

    async def _take(
        self,
        meeting: Meeting,
        change: Callable[[str, Mapping[str, str]], None],
        identity: str,
        attributes: Mapping[str, str],
    ) -> None:
        try:
            change(identity, attributes)
        except ValueError as error:
            log.warning("language of a participant ignored", extra={"cause": str(error)})
            await meeting.notify("transcriber", identity=identity, problem=str(error))

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
        switch: LanguageSwitch | None = None  # while a span is open
        async for item in meeting.speech(identity):
            match item:
                case AudioChunk():
                    wanted = self._language(meeting, identity)
                    if switch is None or switch.due(wanted, len(item.samples) / RATE, item.speech):
                        if recognition:
                            recognition.end()
                        switch = LanguageSwitch(wanted)
                        recognition = await self._begin(meeting, identity, item, wanted, tasks)
                    if recognition:
                        recognition.push(item.samples, speech=item.speech)
                case SpeechEnded():
                    if recognition:
                        recognition.end()
                    recognition = switch = None
        if recognition:
            recognition.end()

    async def _begin(
        self,
        meeting: Meeting,
        identity: str,
        first: AudioChunk,
        language: str,
        tasks: asyncio.TaskGroup,
    ) -> Recognition | None:
        """Begin to recognise a span, or tell why not: that costs the span."""
        if self._engine is None:
            return None
        try:
            recognition = self._recognizer(meeting, language).recognition()
        except Exception as error:
            # An operator's own engine may raise anything.
            await self._fail(meeting, error)
            return None
        assembler = Assembler(
            began=first.at,
            identity=identity,
            track=first.track,
            engine=self._engine,
            new_segment=meeting.new_segment,
        )
        self._open[recognition] = assembler
        if self._ending:
            recognition.hurry(LAST_SECONDS)
        tasks.create_task(self._caption(meeting, recognition, assembler))
        return recognition

    async def _caption(
        self, meeting: Meeting, recognition: Recognition, assembler: Assembler
    ) -> None:
        engine = assembler.engine
        try:
            async for item in recognition:
                match item:
                    case Heard():
                        engine = item.engine
                        await self._tell(meeting, self._status.words(recognition, engine))
                        if caption := assembler.receive(item):
                            if item.final:
                                failpoint("engine_final")
                            await meeting.publish(caption)
                    case Interrupted(reason):
                        log.warning("engine has trouble", extra={"cause": reason})
                        await self._tell(meeting, self._status.trouble(recognition, reason))
                    case Lost(start, end, reason):
                        await self._mark_hole(meeting, assembler, start, end, reason)
                        await self._tell(meeting, self._status.failed(reason, recognition))
            if self._status.state is not CaptionState.FAILED:
                await self._tell(meeting, self._status.words(recognition, engine))
        except Exception as error:
            # One span's failure must not end everybody's captions.
            await self._fail(meeting, error)
        finally:
            del self._open[recognition]
            if unsettled := recognition.unsettled:
                await self._mark_hole(meeting, assembler, *unsettled, "the meeting ended")
            await recognition.aclose()

    async def _mark_hole(
        self, meeting: Meeting, assembler: Assembler, start: float, end: float, reason: str
    ) -> None:
        log.error("speech lost", extra={"seconds": round(end - start, 3), "cause": reason})
        await meeting.mark_hole(
            assembler.identity,
            at=assembler.began + start,
            end=assembler.began + end,
            reason=reason,
        )

    def _unsettled_since(self) -> float | None:
        """Return where the oldest speech begins that would be lost with this job."""
        begins = (
            assembler.began + unsettled[0]
            for recognition, assembler in self._open.items()
            if (unsettled := recognition.unsettled)
        )
        return min(begins, default=None)

    async def _fail(self, meeting: Meeting, error: Exception) -> None:
        # Only our own errors are worded without what was said.
        known = isinstance(error, EngineError)
        log.error("no captions", extra={"cause": str(error) if known else type(error).__name__})
        reason = str(error) if known else "the speech engine can't be used; the log tells why"
        await self._tell(meeting, self._status.failed(reason))

    async def _tell(self, meeting: Meeting, notice: Notice | None) -> None:
        if notice:
            await meeting.notify("captions", **notice)


SPEC: Final = AgentSpec(
    name="transcriber",
    create=Transcriber,
    settings=TranscriberSettings,
    isolation="inline",
    hears=True,
    description="Live captions of everyone's speech, shown and kept.",
)
