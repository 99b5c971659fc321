"""One stream of an engine that streams, as a source of what it hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, Final

from livekit.agents import APIConnectOptions, stt
from livekit.agents.utils.audio import AudioByteStream

from pipelines.speech.cutter import Cutter
from pipelines.speech.deepgram_end import watch_messages
from pipelines.speech.engine_failure import EngineSilentError, NonsenseError
from pipelines.speech.heard import RATE, Heard, Samples

CONNECT_TIMEOUT: Final = 5.0
"""Seconds to reach an engine."""
WORTH_AN_ANSWER: Final = 1.0
"""Seconds of speech to which an engine that always answers must have answered."""
SPEECH: Final = 0.5
"""Probability from which a chunk is speech."""


class EngineStream:
    """A :class:`~pipelines.speech.heard.Source`: one stream of an engine that streams.

    Args:
        engine: The engine.
        language: BCP 47 tag, where the engine does not tell.
        used: Takes seconds of audio and seconds connected, as they are used.
        patience: Seconds without an answer after the end of the audio.
        silent_speech: Seconds of speech without an answer; None for an engine that may be late.
        counts_answers: See :class:`pipelines.speech.stt.Recognizer`.
    """

    stuck_until = None

    @property
    def certain(self) -> bool:
        """See ``Source``: LiveKit's Deepgram plugin tells no broken connection once it closes."""
        return self._all_heard or not self._counts_answers

    def __init__(
        self,
        engine: stt.STT[str],
        language: str,
        *,
        used: Callable[[float, float], None],
        patience: float,
        silent_speech: float | None,
        counts_answers: bool,
    ) -> None:
        self._language = language
        self._used = used
        self._patience = patience
        self._silent_speech = silent_speech
        self._counts_answers = counts_answers
        self._cutter = Cutter() if engine.capabilities.manual_flush else None
        self._ended = False
        self._alive = True
        self._speech = 0.0  # seconds of it to which there was no answer
        self._answered = False
        self._opened_at = self._answered_at = _now()
        self._all_heard = False
        self._last = stt.SpeechEvent(type=stt.SpeechEventType.END_OF_SPEECH)
        self._timeout: asyncio.Timeout | None = None
        self._stream = engine.stream(
            conn_options=APIConnectOptions(max_retry=0, timeout=CONNECT_TIMEOUT)
        )
        if counts_answers:
            watch_messages(
                self._stream,
                answered=self._note_answer,
                ended=lambda: self._ended,
                last=self._last,
            )

    def push(self, samples: Samples, *, speech: float = 1.0) -> None:
        """See ``Source``."""
        if not self._alive:
            return
        self._used(len(samples) / RATE, 0.0)
        at = self._cutter.cut(samples, speech) if self._cutter else None
        try:
            for frame in frames(samples[:at]):
                self._stream.push_frame(frame)
            if at is not None:
                self._stream.flush()
                for frame in frames(samples[at:]):
                    self._stream.push_frame(frame)
        except RuntimeError:
            self._alive = False  # closed by its own failure, which the iteration will see
        if speech >= SPEECH:
            self._speech += len(samples) / RATE
            self._limit()

    def end(self) -> None:
        """See ``Source``."""
        self._ended = True
        if self._alive:
            with suppress(RuntimeError):
                self._stream.end_input()
        self._answered_at = _now()
        self._limit()

    async def __aiter__(self) -> AsyncIterator[Heard]:
        """See ``Source``."""
        while True:
            try:
                async with asyncio.timeout_at(self._until()) as self._timeout:
                    event = await anext(self._stream)
            except StopAsyncIteration:
                break
            except TimeoutError:
                raise EngineSilentError from None
            finally:
                self._timeout = None
            if event is self._last:
                self._all_heard = True
                break
            heard = self._read(event)
            if heard is not None:
                yield heard
        if self._counts_answers and not self._answered and self._speech >= WORTH_AN_ANSWER:
            raise NonsenseError

    async def aclose(self) -> None:
        """See ``Source``."""
        self._alive = False
        self._used(0.0, _now() - self._opened_at)
        await self._stream.aclose()

    def _until(self) -> float | None:
        """Return when the engine must have said something, if it must."""
        if self._ended:
            return self._answered_at + self._patience
        if self._silent_speech is not None and self._speech >= self._silent_speech:
            # Speech that is said again comes faster than it was spoken: give it time.
            return self._answered_at + self._patience
        return None

    def _note_answer(self) -> None:
        self._answered = True

    def _limit(self) -> None:
        until = self._until()
        if until is not None and self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(until)

    def _read(self, event: stt.SpeechEvent) -> Heard | None:
        if event.type == stt.SpeechEventType.RECOGNITION_USAGE:
            self._answered = self._answered or bool(event.request_id)
            return None
        self._answered, self._answered_at, self._speech = True, _now(), 0.0
        final = event.type == stt.SpeechEventType.FINAL_TRANSCRIPT
        interim = event.type == stt.SpeechEventType.INTERIM_TRANSCRIPT
        if not (final or interim) or not event.alternatives:
            return None
        best = event.alternatives[0]
        language = str(best.language) or self._language
        return Heard(best.text, final, best.start_time, best.end_time, language)


def frames(samples: Samples) -> list[Any]:
    """Return 16 kHz audio as LiveKit's frames."""
    stream = AudioByteStream(RATE, 1)
    return stream.push(samples.tobytes()) + stream.flush()


def _now() -> float:
    return asyncio.get_running_loop().time()
