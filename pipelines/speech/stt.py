"""Speech engines as the platform sees them: the adapter to ``livekit.agents.stt``.

An engine is any LiveKit ``STT``; whether it streams or takes whole pieces is hidden here. The
plugins' own retries are off: they lose the audio in flight. :mod:`pipelines.speech.failover` says
again what an engine has not settled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final
from weakref import WeakKeyDictionary

from livekit.agents import APIConnectOptions, APIError, stt
from livekit.agents.utils.audio import AudioByteStream

from pipelines.metrics import EngineCounts
from pipelines.speech.backlog import Backlog
from pipelines.speech.batch import BatchSource
from pipelines.speech.breaker import Breaker, State
from pipelines.speech.cutter import Cutter
from pipelines.speech.deepgram_end import watch_messages
from pipelines.speech.engine_failure import (
    CircuitOpenError,
    EngineSilentError,
    NonsenseError,
    Trouble,
    retry_after,
    trouble,
)
from pipelines.speech.failover import FailoverRecognition
from pipelines.speech.heard import RATE, Heard, Interrupted, Lost, Recognition, Samples, Source
from pipelines.speech.usage import Usage

__all__ = ["RATE", "Heard", "Interrupted", "Lost", "Recognition", "Recognizer", "Samples"]

CONNECT_TIMEOUT: Final = 5.0
"""Seconds to reach an engine."""
ANSWER_TIMEOUT: Final = 15.0
"""Seconds that a service may take for a piece, or for the last words of a stream."""
LOCAL_TIMEOUT: Final = 60.0
"""The same for an engine on this machine, whose children may be busy with other speakers."""
SILENT_SPEECH: Final = 20.0
"""Seconds of speech to which a streaming service says nothing at all before it counts as dead."""
WORTH_AN_ANSWER: Final = 1.0
"""Seconds of speech to which an engine that always answers must have answered."""
SPEECH: Final = 0.5
"""Probability from which a chunk is speech."""


class Recognizer:
    """One engine, for one language and one set of key terms; makes a recognition per span.

    Args:
        name: ``provider/model``.
        engine: The engine; closed by :meth:`aclose`.
        slots: Bounds the pieces that a batch engine works on at once.
        breaker: The circuit of the engine, whatever the language.
        usage: Counts what the engine is used for.
        backlog: Counts what waits for engines.
        language: BCP 47 tag of what is spoken, where the engine does not tell.
        advice: What to do when the engine refuses the key.
        local: It runs on this machine: it may be busy, but it does not hang.
        counts_answers: Its usage events carry a request id once it has answered; without one what
            it sent was no answer.
        fallback: Asked where this one fails.
        ignored: Names of the options that it was given and does not have.
    """

    def __init__(
        self,
        name: str,
        engine: stt.STT[str],
        *,
        slots: asyncio.Semaphore,
        breaker: Breaker | None = None,
        usage: Usage | None = None,
        backlog: Backlog | None = None,
        language: str = "",
        advice: str = "",
        local: bool = False,
        counts_answers: bool = False,
        fallback: Recognizer | None = None,
        ignored: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.breaker = breaker or Breaker()
        self.ignored = ignored
        self._engine = engine
        self._slots = slots
        self._usage = usage or Usage()
        self._backlog = backlog or Backlog()
        self._language = language
        self._advice = advice
        self._local = local
        self._counts_answers = counts_answers
        self.fallback = fallback
        self._counts = EngineCounts(name)
        self._retry_after: WeakKeyDictionary[APIError, float] = WeakKeyDictionary()
        engine.on("error", self._note_error)

    def prewarm(self) -> None:
        """Begin what the engine needs before its first word: a connection or a child process."""
        self._engine.prewarm()

    def recognition(self) -> Recognition:
        """Begin to recognise one span of one speaker; close it with ``aclose``."""
        engines = [self, self.fallback] if self.fallback else [self]
        return FailoverRecognition(engines, self._backlog, asyncio.get_running_loop().time)

    def open(self) -> Source:
        """Begin to say something to this engine, once."""
        if not self._engine.capabilities.streaming:
            return BatchSource(self._ask)
        self._counts.requests.inc()
        return EngineStream(
            self._engine,
            self._language,
            used=self._used,
            patience=LOCAL_TIMEOUT if self._local else ANSWER_TIMEOUT,
            silent_speech=None if self._local else SILENT_SPEECH,
            counts_answers=self._counts_answers,
        )

    def trouble(self, error: Exception) -> Trouble:
        """Say what an error of the engine means."""
        self._counts.failures.inc()
        found = trouble(self.name, error, self._advice, now=time.time())
        if isinstance(error, APIError):
            return replace(found, retry_after=self._retry_after.get(error, found.retry_after))
        return found

    def _used(self, audio: float, connected: float) -> None:
        self._usage.add(self.name, audio=audio, connected=connected)
        self._counts.audio.inc(audio)

    async def aclose(self) -> None:
        """Close the engine."""
        self._engine.off("error", self._note_error)
        await self._engine.aclose()

    def _note_error(self, event: stt.STTError) -> None:
        """Read ``Retry-After`` while it is there: a stream of LiveKit's raises without it."""
        seconds = retry_after(event.error, now=time.time())
        if seconds is not None and isinstance(event.error, APIError):
            self._retry_after[event.error] = seconds

    async def _ask(self, samples: Samples) -> tuple[str, str]:
        """Recognise one piece; return its text and language."""
        async with self._slots:
            if self.breaker.state is State.OPEN:
                raise CircuitOpenError
            self._counts.requests.inc()
            self._used(len(samples) / RATE, 0.0)
            async with asyncio.timeout(None if self._local else ANSWER_TIMEOUT):
                event = await self._engine.recognize(
                    _frames(samples),
                    conn_options=APIConnectOptions(max_retry=0, timeout=CONNECT_TIMEOUT),
                )
        if not event.alternatives:
            return "", self._language
        best = event.alternatives[0]
        if not isinstance(best.text, str):
            raise NonsenseError
        return best.text.strip(), str(best.language) or self._language


class EngineStream:
    """A :class:`~pipelines.speech.heard.Source`: one stream of an engine that streams.

    Args:
        engine: The engine.
        language: BCP 47 tag, where the engine does not tell.
        used: Takes seconds of audio and seconds connected, as they are used.
        patience: Seconds without an answer after the end of the audio.
        silent_speech: Seconds of speech without an answer; None for an engine that may be late.
        counts_answers: See :class:`Recognizer`.
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
            for frame in _frames(samples[:at]):
                self._stream.push_frame(frame)
            if at is not None:
                self._stream.flush()
                for frame in _frames(samples[at:]):
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


def _now() -> float:
    return asyncio.get_running_loop().time()


def _frames(samples: Samples) -> list[Any]:
    stream = AudioByteStream(RATE, 1)
    return stream.push(samples.tobytes()) + stream.flush()
