"""The steps after a meeting: each reads what it needs, has it done, and puts what is made.

Each loads what it calls when it is first done: a Celery worker of one queue has one step's
libraries.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from pipelines.errors import StepError
from pipelines.failpoints import failpoint
from pipelines.post_meeting.attempt import StepFunction, Task
from pipelines.post_meeting.source import Source
from pipelines.post_meeting.summary import Summary
from pipelines.post_meeting.transcription import Transcription
from pipelines.post_meeting.work import ALIGNED, DOCUMENT, RECORDING, SOURCE, SUMMARY
from pipelines.settings import Settings
from pipelines.transcript.document import TranscriptDocument

_Model = TypeVar("_Model", bound=BaseModel)


def steps_of(settings: Settings) -> Mapping[str, StepFunction]:
    """Return kind of step -> what does it."""
    steps = Steps(settings)
    return {
        "transcribe": steps.transcribe,
        "align": steps.align,
        "summarise": steps.summarise,
        "minutes": steps.minutes,
        "deliver": steps.deliver,
    }


class Steps:
    """What does each kind of step.

    Args:
        settings: The process's settings.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def transcribe(self, task: Task) -> None:
        """Make ``recording.json`` of the recording."""
        from pipelines.post_meeting.media.address import MediaAddress  # noqa: PLC0415 - see above
        from pipelines.post_meeting.transcribe import (  # noqa: PLC0415 - see above
            fetching_of,
            open_engine,
            transcribe,
        )
        from pipelines.speech.engines import Engines  # noqa: PLC0415 - see above

        source = await _read(task, SOURCE, Source)
        document = await _read(task, DOCUMENT, TranscriptDocument)
        language = source.language or _spoken(document)
        engines = Engines(self._settings)
        try:
            engine = open_engine(
                self._settings, engines, engine="", language=language, vad=self._settings.vad
            )
            heard = await transcribe(
                MediaAddress.parse(source.address, files=True),
                engine=engine,
                fetching=fetching_of(self._settings, self._settings.s3_access),
                most=self._settings.media_max_seconds,
                language=language,
                started_at=source.started_at,
                last=task.last,
                progress=lambda done, length: task.progress(done / length if length else 0.0),
            )
        finally:
            await engines.aclose()
        await task.artefacts.put(RECORDING, await asyncio.to_thread(_encoded, heard))
        failpoint("transcribe")

    async def align(self, task: Task) -> None:
        """Make ``aligned.json``: the live lines, better where the recording is."""
        from pipelines.post_meeting.align import align  # noqa: PLC0415 - see above

        document = await _read(task, DOCUMENT, TranscriptDocument)
        if await task.artefacts.read(RECORDING) is not None:
            heard = await _read(task, RECORDING, Transcription)
            threshold = self._settings.align_threshold
            document = await asyncio.to_thread(align, document, heard, threshold=threshold)
        await task.artefacts.put(ALIGNED, await asyncio.to_thread(_encoded, document))
        failpoint("align")

    async def summarise(self, task: Task) -> None:
        """Make ``summary.json``."""
        from pipelines.post_meeting.llm import open_llm  # noqa: PLC0415 - see above
        from pipelines.post_meeting.summarise import summarise  # noqa: PLC0415 - see above

        document = await _read(task, ALIGNED, TranscriptDocument)
        async with open_llm(self._settings) as llm:
            summary = await summarise(
                document,
                template=task.wanted.template,
                language=task.wanted.language,
                llm=llm,
                progress=task.progress,
            )
        await task.artefacts.put(SUMMARY, await asyncio.to_thread(_encoded, summary))
        failpoint("summarise")

    async def minutes(self, task: Task) -> None:
        """Make ``summary.md`` and the minutes in each format."""
        from pipelines.post_meeting.minutes.formats import MINUTES  # noqa: PLC0415 - see above

        document = await _read(task, ALIGNED, TranscriptDocument)
        summary = await _read(task, SUMMARY, Summary)
        for number, (name, make) in enumerate(MINUTES.items()):
            await task.artefacts.put(name, await asyncio.to_thread(make, document, summary))
            failpoint("minutes")
            task.progress((number + 1) / len(MINUTES))

    async def deliver(self, task: Task) -> None:
        """Deliver to one destination, and note it as ``deliveries/<destination>.json``."""
        from pipelines.post_meeting.deliver.deliver import deliver  # noqa: PLC0415 - see above
        from pipelines.post_meeting.deliver.parcel import pack  # noqa: PLC0415 - see above
        from pipelines.post_meeting.minutes.formats import MINUTES  # noqa: PLC0415 - see above

        document = await _read(task, ALIGNED, TranscriptDocument)
        summary = await _read(task, SUMMARY, Summary)
        made = {name: await task.artefacts.read(name) for name in MINUTES}
        parcel = await asyncio.to_thread(
            pack,
            document,
            summary,
            {name: data for name, data in made.items() if data},
            redact=task.wanted.redact,
        )
        await deliver(
            parcel,
            task.step.destination,
            settings=self._settings,
            s3=self._settings.s3_access,
            artefacts=task.artefacts,
        )


async def _read(task: Task, name: str, model: type[_Model]) -> _Model:
    raw = await task.artefacts.read(name)
    try:
        return await asyncio.to_thread(model.model_validate_json, raw or b"")
    except ValidationError:
        # Its text would quote what was said.
        raise StepError("artefact_unreadable", f"{name} is not what this version writes") from None


def _encoded(model: BaseModel) -> bytes:
    return model.model_dump_json(indent=1).encode() + b"\n"


def _spoken(document: TranscriptDocument) -> str:
    """Return the language of most live lines, empty where none says."""
    said = Counter(segment.language for segment in document.segments if segment.language)
    return said.most_common(1)[0][0] if said else ""
