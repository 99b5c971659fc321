"""Speech engines as the platform sees them: spans of samples in, settled text out.

The only adapter to ``livekit.agents.stt``. An engine is any LiveKit ``STT``; whether it streams or
takes whole pieces is hidden here, and so are its retries: what an engine has not settled is kept
and said to it again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
from livekit.agents import APIConnectOptions, stt
from livekit.agents.utils.audio import AudioByteStream

from pipelines.errors import EngineFailedError
from pipelines.speech.cutter import Cutter
from pipelines.speech.engine_failure import failure, is_worth_a_retry

RATE: Final = 16_000
"""Samples per second of everything that is recognised."""
TRIES: Final = 3
"""How often an engine is asked before it counts as failed."""
RETRY_DELAY: Final = 1.0
"""Seconds before the second and the third try."""
CONNECT_TIMEOUT: Final = 10.0
"""Seconds to reach an engine."""
SETTLE_TIMEOUT: Final = 60.0
"""Seconds of silence after the end of the audio at which a streaming engine counts as failed."""
KEPT: Final = 120 * RATE
"""Most samples that are kept to be said again; older ones are given up."""
SHORTEST: Final = RATE // 10
"""Fewest samples that a batch provider takes (OpenAI: 0.1 s); shorter ones are padded."""

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Heard:
    """What an engine says of one span of speech.

    Args:
        text: What was heard so far in this part. An empty final withdraws the part's interims.
        final: Settled; no later one has this part.
        start: Seconds from the first sample pushed.
        end: Seconds from the first sample pushed, not before ``start``.
        language: BCP 47 tag, or empty where the engine does not tell.
        part: Which final of the span it belongs to: 0, 1, 2...; an interim carries the part that
            it will become.
    """

    text: str
    final: bool
    start: float
    end: float
    language: str = ""
    part: int = 0


class Recognition(Protocol):
    """One span of one speaker on its way through an engine."""

    def push(self, samples: Samples, *, speech: float = 1.0) -> None:
        """Give audio; never blocks.

        Args:
            samples: int16 mono at 16,000 Hz, shape ``(n,)``, at most 100 ms.
            speech: Probability that somebody speaks in the chunk, 0 to 1.
        """

    def end(self) -> None:
        """Say that no more audio comes; results still do."""

    def __aiter__(self) -> AsyncIterator[Heard]:
        """Iterate, once, until everything pushed is settled.

        Raises:
            EngineFailedError: The engine did not answer; what it had settled was yielded before.
        """

    async def aclose(self) -> None:
        """Give up what is not settled."""


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

    def prewarm(self) -> None:
        """Begin what the engine needs before its first word: a connection or a child process."""
        self._engine.prewarm()

    def recognition(self) -> Recognition:
        """Begin to recognise one span of one speaker; close it with ``aclose``."""
        failing = Failing(self.name, self._advice)
        if self._engine.capabilities.streaming:
            return StreamingRecognition(self._engine, failing, self._language)
        return BatchRecognition(self._engine, failing, self._language, self._slots)

    async def aclose(self) -> None:
        """Close the engine."""
        await self._engine.aclose()


@dataclass(frozen=True, slots=True)
class Failing:
    """How a failure of the engine ``name`` is put into words."""

    name: str
    advice: str

    def because(self, error: Exception) -> EngineFailedError:
        """Return ``error`` as an error for people; it holds no secret and no transcript."""
        return failure(self.name, error, self.advice)


class StreamingRecognition:
    """A span through an engine that streams: one stream, or another one after a failure.

    The plugin's own retries are off: they would lose the audio in flight. Audio is kept here until
    a final covers it, and is said again to the next stream.
    """

    def __init__(self, engine: stt.STT[str], failing: Failing, language: str) -> None:
        self._engine = engine
        self._failing = failing
        self._language = language
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
            except Exception as error:  # noqa: BLE001 - whatever a plugin raises, words are kept
                problem = error
            if problem is None:
                break
            self._alive = False
            failed = 1 if self._part > part else failed + 1
            if failed >= TRIES or not is_worth_a_retry(problem):
                if self._interim is not None:
                    yield self._as_final(self._interim)
                raise self._failing.because(problem) from None
            await asyncio.sleep(RETRY_DELAY)
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
        frames = AudioByteStream(RATE, 1)
        try:
            for frame in frames.push(samples.tobytes()) + frames.flush():
                self._stream.push_frame(frame)
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
        return Heard(heard.text, True, heard.start, heard.end, heard.language, heard.part)

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


class BatchRecognition:
    """A span through an engine that takes whole pieces: long speech is cut, results keep order."""

    def __init__(
        self, engine: stt.STT[str], failing: Failing, language: str, slots: asyncio.Semaphore
    ) -> None:
        self._engine = engine
        self._failing = failing
        self._language = language
        self._slots = slots
        self._cutter = Cutter()
        self._buffer: list[Samples] = []
        self._pushed = 0
        self._cut_at = 0
        self._pieces: asyncio.Queue[asyncio.Task[Heard | None] | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Heard | None]] = set()

    def push(self, samples: Samples, *, speech: float = 1.0) -> None:
        """See :class:`Recognition`."""
        self._buffer.append(samples)
        self._pushed += len(samples)
        if self._cutter.cut_after(len(samples) / RATE, speech):
            self._cut()

    def end(self) -> None:
        """See :class:`Recognition`."""
        if self._buffer:
            self._cut()
        self._pieces.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Heard]:
        """See :class:`Recognition`."""
        part = 0
        problem: Exception | None = None
        while (piece := await self._pieces.get()) is not None:
            try:
                heard = await piece
            except Exception as error:  # noqa: BLE001 - the pieces after it are still wanted
                problem = problem or error
                continue
            if heard is not None:
                yield Heard(heard.text, True, heard.start, heard.end, heard.language, part)
                part += 1
        if problem is not None:
            raise self._failing.because(problem) from None

    async def aclose(self) -> None:
        """See :class:`Recognition`."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _cut(self) -> None:
        piece = np.concatenate(self._buffer)
        start, self._cut_at = self._cut_at, self._pushed
        self._buffer.clear()
        task = asyncio.create_task(self._recognize(piece, start / RATE, self._pushed / RATE))
        self._tasks.add(task)  # cancelled and awaited in aclose
        self._pieces.put_nowait(task)

    async def _recognize(self, piece: Samples, start: float, end: float) -> Heard | None:
        if len(piece) < SHORTEST:
            piece = np.pad(piece, (0, SHORTEST - len(piece)))
        frames = AudioByteStream(RATE, 1)
        audio = frames.push(piece.tobytes()) + frames.flush()
        async with self._slots:
            event = await self._engine.recognize(
                audio,
                conn_options=APIConnectOptions(
                    max_retry=TRIES - 1, retry_interval=RETRY_DELAY, timeout=CONNECT_TIMEOUT
                ),
            )
        if not event.alternatives or not (text := event.alternatives[0].text.strip()):
            return None
        language = str(event.alternatives[0].language) or self._language
        return Heard(text, True, start, end, language)
