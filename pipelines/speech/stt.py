"""Speech engines as the platform sees them: spans of samples in, settled text out.

The only adapter to ``livekit.agents.stt``. An engine is any LiveKit ``STT``; whether it streams or
takes whole pieces is hidden here, and so are its retries: what an engine has not settled is kept
and said to it again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, Final

from livekit.agents import APIConnectOptions, stt
from livekit.agents.utils.audio import AudioByteStream

from pipelines.errors import EngineFailedError
from pipelines.metrics import EngineCounts
from pipelines.speech.batch import BatchRecognition
from pipelines.speech.cutter import Cutter
from pipelines.speech.engine_failure import failure, is_worth_a_retry
from pipelines.speech.heard import RATE, Heard, Recognition, Samples

__all__ = ["RATE", "Heard", "Recognition", "Recognizer", "Samples"]

RETRY_DELAYS: Final = (0.1, 2.0)
"""Seconds before the second and the third try; the first is LiveKit's and can't be changed."""
CONNECT_TIMEOUT: Final = 10.0
"""Seconds to reach an engine."""
SETTLE_TIMEOUT: Final = 60.0
"""Seconds of silence after the end of the audio at which a streaming engine counts as failed."""
KEPT: Final = 120 * RATE
"""Most samples that are kept to be said again; older ones are given up."""


class Recognizer:
    """One engine, for one language and one set of key terms; makes a recognition per span.

    Args:
        name: ``provider/model``.
        engine: The engine; closed by :meth:`aclose`.
        slots: Bounds the pieces that a batch engine works on at once.
        language: BCP 47 tag of what is spoken, where the engine does not tell.
        advice: What to do when the engine refuses the key.
    """

    def __init__(
        self,
        name: str,
        engine: stt.STT[str],
        *,
        slots: asyncio.Semaphore,
        language: str = "",
        advice: str = "",
    ) -> None:
        self.name = name
        self._engine = engine
        self._slots = slots
        self._language = language
        self._advice = advice
        self._counts = EngineCounts(name)

    def prewarm(self) -> None:
        """Begin what the engine needs before its first word: a connection or a child process."""
        self._engine.prewarm()

    def recognition(self) -> Recognition:
        """Begin to recognise one span of one speaker; close it with ``aclose``."""
        if self._engine.capabilities.streaming:
            return StreamingRecognition(self._engine, self._because, self._language, self._counts)
        return BatchRecognition(self._ask, self._because)

    async def aclose(self) -> None:
        """Close the engine."""
        await self._engine.aclose()

    def _because(self, error: Exception) -> EngineFailedError:
        return failure(self.name, error, self._advice)

    async def _ask(self, samples: Samples) -> tuple[str, str]:
        """Recognise one piece; return its text and language."""
        async with self._slots:
            self._counts.requests.inc()
            self._counts.audio.inc(len(samples) / RATE)
            with self._counts.failures.count_exceptions(Exception):
                event = await self._engine.recognize(
                    _frames(samples),
                    conn_options=APIConnectOptions(
                        max_retry=len(RETRY_DELAYS),
                        retry_interval=RETRY_DELAYS[1],
                        timeout=CONNECT_TIMEOUT,
                    ),
                )
        if not event.alternatives:
            return "", self._language
        best = event.alternatives[0]
        return best.text.strip(), str(best.language) or self._language


class StreamingRecognition:
    """A span through an engine that streams: one stream, or another one after a failure.

    The plugin's own retries are off: they would lose the audio in flight. Audio is kept here until
    a final covers it, and is said again to the next stream.
    """

    def __init__(
        self,
        engine: stt.STT[str],
        because: Callable[[Exception], EngineFailedError],
        language: str,
        counts: EngineCounts,
    ) -> None:
        self._engine = engine
        self._because = because
        self._language = language
        self._counts = counts
        self._cutter = Cutter() if engine.capabilities.manual_flush else None
        self._kept: deque[tuple[Samples, bool]] = deque()
        self._kept_from = 0
        self._pushed = 0
        self._offset = 0.0
        self._settled = 0.0
        self._part = 0
        self._interim: Heard | None = None
        self._ended = False
        self._alive = False
        self._deadline: asyncio.Timeout | None = None
        self._stream = self._open()

    def push(self, samples: Samples, *, speech: float = 1.0) -> None:
        """See :class:`Recognition`."""
        cut = self._cutter is not None and self._cutter.cut_after(len(samples) / RATE, speech)
        self._kept.append((samples, cut))
        self._pushed += len(samples)
        while self._pushed - self._kept_from > KEPT:
            self._give_up_oldest()
        self._say(samples, cut=cut)

    def end(self) -> None:
        """See :class:`Recognition`."""
        self._ended = True
        self._say_end()
        if self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time() + SETTLE_TIMEOUT)

    async def __aiter__(self) -> AsyncIterator[Heard]:
        """See :class:`Recognition`."""
        failed = 0
        while True:
            problem: Exception | None = None
            part = self._part
            try:
                async for heard in self._results():
                    yield heard
            except Exception as error:  # whatever a plugin raises, the words are kept
                problem = error
                self._counts.failures.inc()
            if problem is None:
                break
            self._alive = False
            failed = 1 if self._part > part else failed + 1
            if failed > len(RETRY_DELAYS) or not is_worth_a_retry(problem):
                if self._interim is not None:
                    yield self._as_final(self._interim)
                raise self._because(problem) from None
            await asyncio.sleep(RETRY_DELAYS[failed - 1])
            await self._stream.aclose()
            self._stream = self._open()
        if self._interim is not None:
            yield self._as_final(self._interim)

    async def aclose(self) -> None:
        """See :class:`Recognition`."""
        self._alive = False
        await self._stream.aclose()

    def _open(self) -> stt.RecognizeStream:
        stream = self._engine.stream(
            conn_options=APIConnectOptions(max_retry=0, timeout=CONNECT_TIMEOUT)
        )
        self._stream = stream
        self._counts.requests.inc()
        self._alive = True
        self._offset = self._kept_from / RATE
        for samples, cut in self._kept:
            self._say(samples, cut=cut)
        if self._ended:
            self._say_end()
        return stream

    def _say(self, samples: Samples, *, cut: bool) -> None:
        if not self._alive:
            return
        try:
            for frame in _frames(samples):
                self._stream.push_frame(frame)
            self._counts.audio.inc(len(samples) / RATE)
            if cut:
                self._stream.flush()
        except RuntimeError:
            self._alive = False  # closed by its own failure, which the iteration will see

    def _say_end(self) -> None:
        if not self._alive:
            return
        try:
            self._stream.end_input()
        except RuntimeError:
            self._alive = False

    async def _results(self) -> AsyncIterator[Heard]:
        while True:
            loop = asyncio.get_running_loop()
            at = loop.time() + SETTLE_TIMEOUT if self._ended else None
            try:
                async with asyncio.timeout_at(at) as self._deadline:
                    event = await anext(self._stream)
            except StopAsyncIteration:
                return
            finally:
                self._deadline = None
            heard = self._read(event)
            if heard is not None:
                yield heard

    def _read(self, event: stt.SpeechEvent) -> Heard | None:
        """Turn an event into what is yielded, and keep the books."""
        final = event.type == stt.SpeechEventType.FINAL_TRANSCRIPT
        interim = event.type == stt.SpeechEventType.INTERIM_TRANSCRIPT
        if not (final or interim) or not event.alternatives:
            return None
        best = event.alternatives[0]
        text = best.text.strip()
        if not text and not (final and self._interim is not None):
            return None
        start, end = self._times(best)
        heard = Heard(text, final, start, end, str(best.language) or self._language, self._part)
        if not final:
            self._interim = heard
            return heard
        return self._as_final(heard)

    def _as_final(self, heard: Heard) -> Heard:
        self._interim = None
        self._part += 1
        self._settled = max(self._settled, heard.end)
        while self._kept and self._kept_from + len(self._kept[0][0]) <= self._settled * RATE:
            self._give_up_oldest()
        return replace(heard, final=True)

    def _times(self, data: stt.SpeechData) -> tuple[float, float]:
        pushed = self._pushed / RATE
        if data.end_time <= 0.0:
            return self._settled, pushed
        start = min(max(data.start_time + self._offset, 0.0), pushed)
        end = min(max(data.end_time + self._offset, start), pushed)
        return start, end

    def _give_up_oldest(self) -> None:
        samples, _ = self._kept.popleft()
        self._kept_from += len(samples)


def _frames(samples: Samples) -> list[Any]:
    stream = AudioByteStream(RATE, 1)
    return stream.push(samples.tobytes()) + stream.flush()
