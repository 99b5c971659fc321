"""A recording from its address to a transcription: fetched, decoded, cut, heard in parallel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, BinaryIO, Final, TypeAlias

from pipelines.errors import EngineError, RetryableError, StepError
from pipelines.post_meeting.batch_engine import BatchEngine, NamedEngine
from pipelines.post_meeting.media.address import MediaAddress
from pipelines.post_meeting.media.decode import Recording, decode
from pipelines.post_meeting.media.fetch import Fetching, fetched
from pipelines.post_meeting.media.private_addresses import AllowedHosts
from pipelines.post_meeting.transcribe_settings import TranscribeSettings
from pipelines.post_meeting.transcription import HeardSegment, Transcription, Unheard
from pipelines.post_meeting.whisperx_http import HttpEngine
from pipelines.settings import VadName
from pipelines.speech.engines import Engines
from pipelines.transcript.stores.s3_access import S3Access

Progress: TypeAlias = Callable[[float, float | None], None]
"""Takes seconds of the recording that are done, and its length, None where that is not known."""

_DONE: Final = None
_HEARD_ENOUGH: Final = 0.98  # share of the speech
_SHORT_BY: Final = 2.0  # seconds by which a header may be wrong about the length


def open_engine(
    settings: TranscribeSettings, engines: Engines, *, engine: str, language: str, vad: VadName
) -> BatchEngine[Any]:
    """Return what transcribes recordings: the service at an address, or an engine by name.

    Args:
        settings: The service's address, if there is one.
        engines: Where named engines come from; owns them.
        engine: Name that goes before the settings' and before the service; empty for theirs.
        language: BCP 47 tag; empty is the settings' (by name), or the service's to tell.
        vad: Finds the speech.

    Raises:
        StepError: ``engine_unusable``; the message has the fix.
    """
    if settings.transcribe_url and not engine:
        return HttpEngine(settings, language=language, vad=vad)
    try:
        recognizer = engines.recognizer(engine or settings.transcribe_engine, language=language)
    except EngineError as error:
        raise StepError("engine_unusable", str(error)) from None
    return NamedEngine(recognizer, parallel=engines.workers, vad=vad)


def fetching_of(settings: TranscribeSettings, s3: S3Access | None) -> Fetching:
    """Return what the settings let be fetched."""
    return Fetching(
        max_bytes=settings.media_max_bytes,
        timeout=settings.media_timeout,
        allowed=AllowedHosts(settings.media_allow),
        s3=s3,
    )


async def transcribe(
    address: MediaAddress,
    *,
    engine: BatchEngine[Any],
    fetching: Fetching,
    most: float,
    language: str = "",
    started_at: str | None = None,
    last: bool = False,
    progress: Progress = lambda _, __: None,
) -> Transcription:
    """Transcribe a recording; nothing of it stays on this machine.

    Args:
        address: Where it is.
        engine: What listens.
        fetching: What may be fetched.
        most: Longest recording, seconds.
        language: BCP 47 tag that ``engine`` was made with.
        started_at: When the recording began, ISO 8601, where somebody knows.
        last: Take what was heard also where much was not: nobody tries again.
        progress: Called as pieces are done, also out of order.

    Raises:
        StepError: The recording or the engine can't be used: ``no_audio_in_file``,
            ``corrupted_audio_file``, ``media_duration_too_long``, ``media_too_large``,
            ``media_not_found``, ``media_refused``, ``engine_refused``.
        RetryableError: It may work later: ``media_unavailable``, ``engine_unavailable``; also
            where more than 2 % of the speech was not heard.
    """
    async with fetched(address, fetching) as file:
        recording, answers = await _hear(file, engine, most, progress)
    segments = [one for one in answers if isinstance(one, HeardSegment)]
    unheard = [one for one in answers if isinstance(one, Unheard)]
    share = _share_heard(segments, unheard)
    if not share or (share < _HEARD_ENOUGH and not last):
        much = f"{share:.0%} of the speech" if share else "nothing"
        raise RetryableError("engine_unavailable", f"{much} was heard: {unheard[0].reason}")
    short = recording.seconds is not None and recording.decoded < recording.seconds - _SHORT_BY
    return Transcription(
        engine=engine.name,
        language=language,
        started_at=started_at,
        seconds=round(recording.decoded, 3),
        damaged=recording.cut or recording.broken > 0 or short,
        segments=tuple(sorted(segments, key=lambda one: one.start)),
        unheard=tuple(sorted(unheard, key=lambda one: one.start)),
    )


def _share_heard(segments: Sequence[HeardSegment], unheard: Sequence[Unheard]) -> float:
    """Return how much of the speech was heard, from 0 to 1; where nobody spoke that is all."""
    if not unheard:
        return 1.0
    heard = sum(one.end - one.start for one in segments)
    return heard / (heard + sum(one.end - one.start for one in unheard)) if heard else 0.0


async def _hear(
    file: BinaryIO, engine: BatchEngine[Any], most: float, progress: Progress
) -> tuple[Recording, list[HeardSegment | Unheard]]:
    """Decode on a thread, no faster than the engine listens: few pieces are ever held."""
    recording = Recording(None)
    answers: list[HeardSegment | Unheard] = []
    free = asyncio.Semaphore(engine.parallel)

    async def hear(piece: Any) -> None:
        try:
            answers.extend(await engine.hear(piece))
        finally:
            free.release()
        progress(engine.end(piece), recording.seconds)

    problem: StepError | None = None
    # Closed on this thread: a task that is cancelled waits for the thread that decodes.
    with closing(_pieces(file, engine, most, recording)) as pieces:
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    await free.acquire()
                    piece = await _in_thread(pieces)
                    if piece is _DONE:
                        break
                    tasks.create_task(hear(piece))
        except* StepError as group:
            problem = _first(group)
    if problem:  # Python 3.11.3 and older wrap in a group what is raised up there.
        raise problem
    progress(recording.decoded, recording.decoded)
    return recording, answers


def _pieces(
    file: BinaryIO, engine: BatchEngine[Any], most: float, told: Recording
) -> Generator[Any, None, None]:
    yield from engine.pieces(decode(file, most=most, told=told))


async def _in_thread(pieces: Iterator[Any]) -> Any:
    """Return the next piece; one that is being cut when we are cancelled is waited for."""
    cutting = asyncio.get_running_loop().run_in_executor(None, next, pieces, _DONE)
    try:
        return await asyncio.shield(cutting)
    except asyncio.CancelledError:
        await asyncio.wait([cutting])
        raise


def _first(group: BaseExceptionGroup[StepError]) -> StepError:
    """Return the error to show: one that can't heal says more than one that may."""
    errors: list[StepError] = []
    for error in group.exceptions:
        errors += [_first(error)] if isinstance(error, BaseExceptionGroup) else [error]
    return min(errors, key=lambda error: isinstance(error, RetryableError))
