"""Speech engines as the platform sees them: the adapter to ``livekit.agents.stt``.

An engine is any LiveKit ``STT``; whether it streams or takes whole pieces is hidden here. The
plugins' own retries are off: they lose the audio in flight. :mod:`pipelines.speech.failover` says
again what an engine has not settled.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Final
from weakref import WeakKeyDictionary

from livekit.agents import APIConnectOptions, APIError, stt

from pipelines.metrics import EngineCounts
from pipelines.speech.backlog import Backlog
from pipelines.speech.batch import BatchSource
from pipelines.speech.breaker import Breaker, State
from pipelines.speech.engine_failure import (
    CircuitOpenError,
    NonsenseError,
    Trouble,
    retry_after,
    trouble,
)
from pipelines.speech.engine_stream import CONNECT_TIMEOUT, EngineStream, frames
from pipelines.speech.failover import FailoverRecognition
from pipelines.speech.heard import RATE, Heard, Interrupted, Lost, Recognition, Samples, Source
from pipelines.speech.usage import Usage

__all__ = ["RATE", "Heard", "Interrupted", "Lost", "Recognition", "Recognizer", "Samples"]

ANSWER_TIMEOUT: Final = 15.0
"""Seconds that a service may take for a piece, or for the last words of a stream."""
LOCAL_TIMEOUT: Final = 60.0
"""The same for an engine on this machine, whose children may be busy with other speakers."""
SILENT_SPEECH: Final = 20.0
"""Seconds of speech to which a streaming service says nothing at all before it counts as dead."""


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
                    frames(samples),
                    conn_options=APIConnectOptions(max_retry=0, timeout=CONNECT_TIMEOUT),
                )
        if not event.alternatives:
            return "", self._language
        best = event.alternatives[0]
        if not isinstance(best.text, str):
            raise NonsenseError
        return best.text.strip(), str(best.language) or self._language
