"""A transcription service over HTTP, in the shape of WhisperX (as La Suite runs it) or OpenAI."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import stamina

from pipelines.errors import RetryableError, StepError
from pipelines.post_meeting.batch_engine import Answers
from pipelines.post_meeting.heard_json import only_spoken, read_answer
from pipelines.post_meeting.media.parts import AudioPart, audio_parts
from pipelines.post_meeting.transcribe_settings import TranscribeSettings
from pipelines.retry_after import seconds_to_wait
from pipelines.settings import VadName
from pipelines.speech.heard import Samples
from pipelines.speech.vad import make_vad

ATTEMPTS: Final = 3
"""Tries of a piece, before the whole step is tried again later."""
LONGEST_ANSWER: Final = 64 * 1024 * 1024
"""Bytes; twelve hours of words are some 20 MB."""

_PASSING: Final = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
)
_UNREADABLE: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
_KEY_REFUSED: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class HttpEngine:
    """A :class:`~pipelines.post_meeting.batch_engine.BatchEngine` at an address.

    It gets whole hours, so that it can tell voices apart; what it hears in silence is left out.

    Args:
        settings: Its address, key and model.
        language: BCP 47 tag, or empty: the service is to tell.
        vad: Finds the speech.
    """

    def __init__(self, settings: TranscribeSettings, *, language: str, vad: VadName) -> None:
        self.name = f"http/{settings.transcribe_model}"
        self.parallel = settings.transcribe_workers
        self._settings = settings
        self._language = language
        self._vad = vad

    def pieces(self, chunks: Iterable[Samples]) -> Iterator[AudioPart]:
        """See ``BatchEngine``."""
        length = self._settings.transcribe_part_minutes * 60
        return audio_parts(chunks, make_vad(self._vad), length=length)

    def end(self, piece: AudioPart) -> float:
        """See ``BatchEngine``."""
        return piece.end

    async def hear(self, piece: AudioPart) -> Answers:
        """See ``BatchEngine``."""
        async for attempt in stamina.retry_context(
            on=RetryableError, attempts=ATTEMPTS, timeout=None, wait_initial=1.0, wait_max=20.0
        ):
            with attempt:
                body = await self._ask(piece.audio)
                try:
                    segments = read_answer(
                        body,
                        offset=piece.start,
                        seconds=piece.end - piece.start,
                        part=piece.number,
                        language=self._language,
                    )
                except ValueError as error:
                    raise _unavailable(f"sent an answer that can't be read ({error})") from None
                return only_spoken(segments, piece.spans)
        raise AssertionError("stamina returns or raises")

    async def _ask(self, audio: bytes) -> Any:
        settings = self._settings
        url = f"{settings.transcribe_url.rstrip('/')}/audio/transcriptions"
        key = settings.transcribe_key.get_secret_value()
        timeout = aiohttp.ClientTimeout(total=settings.transcribe_timeout, sock_connect=10)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(
                    url,
                    data=self._form(audio),
                    headers={"Authorization": f"Bearer {key}"} if key else {},
                    allow_redirects=False,
                ) as answer,
            ):
                if answer.status != HTTPStatus.OK:
                    raise _refusal(answer)
                read = bytearray()
                async for chunk in answer.content.iter_any():
                    read += chunk
                    if len(read) > LONGEST_ANSWER:
                        raise _unavailable(f"answered more than {LONGEST_ANSWER:,} bytes")
                return json.loads(read)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # Only its kind: the message may quote the address.
            raise _unavailable(f"did not answer ({type(error).__name__})") from None
        except ValueError:
            raise _unavailable("sent an answer that can't be read") from None

    def _form(self, audio: bytes) -> aiohttp.FormData:
        settings = self._settings
        form = aiohttp.FormData()
        form.add_field("file", audio, filename="recording.ogg", content_type="audio/ogg")
        form.add_field("model", settings.transcribe_model)
        form.add_field("response_format", settings.transcribe_format)
        if language := _primary(self._language):
            form.add_field("language", language)
        # OpenAI's name of the field ends in brackets, that of La Suite's WhisperX does not.
        lists = {"verbose_json": "timestamp_granularities[]"}
        for unit in ("word", "segment"):
            form.add_field(lists.get(settings.transcribe_format, "timestamp_granularities"), unit)
        return form


def _primary(language: str) -> str:
    """Return what WhisperX and OpenAI take: no region, and nothing where they are to tell."""
    primary = language.partition("-")[0].lower()
    return "" if primary in ("multi", "mul", "und") else primary


def _refusal(answer: aiohttp.ClientResponse) -> StepError:
    status = answer.status
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        wait = seconds_to_wait(answer.headers.get("Retry-After", ""), now=time.time())
        return _unavailable(f"answered {status}", after=wait or 0.0)
    if status in _UNREADABLE:
        return StepError(
            "corrupted_audio_file",
            f"the transcription service answered {status}: it can't read the recording, or does "
            "not know GREFFIER_TRANSCRIBE_MODEL or GREFFIER_TRANSCRIBE_FORMAT",
        )
    fix = "correct GREFFIER_TRANSCRIBE_URL"
    if status in _KEY_REFUSED:
        fix = "correct GREFFIER_TRANSCRIBE_KEY"
    elif status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        fix = "lower GREFFIER_TRANSCRIBE_PART_MINUTES"
    return StepError("engine_refused", f"the transcription service answered {status}: {fix}")


def _unavailable(what: str, *, after: float = 0.0) -> RetryableError:
    return RetryableError("engine_unavailable", f"the transcription service {what}", after=after)
