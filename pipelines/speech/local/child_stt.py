"""A LiveKit STT whose model runs in child processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from livekit.agents import APIConnectOptions, LanguageCode, stt
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, NotGivenOr
from livekit.agents.utils import AudioBuffer
from livekit.agents.utils.aio import cancel_and_wait

from pipelines.errors import EngineFailedError
from pipelines.speech.local import frames
from pipelines.speech.local.pool import Child, ChildDiedError, Pool

RATE: Final = 16_000
_BYTES_PER_SECOND: Final = RATE * 2
TRIES: Final = 2
"""An utterance whose child died is said once more, to a new child."""

SpeechEventType = stt.SpeechEventType


class ChildSTT(stt.STT[str]):
    """A speech model in child processes, one utterance at a time in each.

    Subclasses say which model; see :mod:`pipelines.speech.local.models`.

    Args:
        model: Name of the model; empty takes the library's default.
        language: BCP 47 tag of what is spoken.
        key_terms: Words to expect, where the model takes any.
        workers: Most child processes; 0 is one per core, at least 2.
    """

    library: ClassVar[str]
    """Name of the provider, and of the extra that installs it."""
    package: ClassVar[str]
    """What the child imports."""
    default_model: ClassVar[str]
    offline: ClassVar[bool] = False
    """Its model comes with the package: nothing is downloaded on first use."""
    streaming: ClassVar[bool] = False

    def __init__(
        self,
        *,
        model: str = "",
        language: str = "en",
        key_terms: Sequence[str] = (),
        workers: int = 0,
    ) -> None:
        super().__init__(
            capabilities=stt.STTCapabilities(
                streaming=self.streaming,
                interim_results=self.streaming,
                manual_flush=self.streaming,
            )
        )
        self._model = model or self.default_model
        self._language = LanguageCode(language)
        self._pool = Pool(
            {
                "library": self.library,
                "model": self._model,
                "language": self._language.language,
                "key_terms": list(key_terms),
            },
            workers or max(2, os.cpu_count() or 0),
        )
        self._warming: asyncio.Task[None] | None = None

    @property
    def model(self) -> str:
        """Name of the model."""
        return self._model

    @property
    def provider(self) -> str:
        """Name of the library."""
        return self.library

    @property
    def language(self) -> LanguageCode:
        """Language of what is spoken."""
        return self._language

    @property
    def child_pids(self) -> list[int]:
        """Process ids of the children."""
        return self._pool.pids

    def prewarm(self) -> None:
        """Start a child, so that the first span does not wait for the model to load."""
        if self._warming is None:
            self._warming = asyncio.create_task(self._warm())  # awaited in aclose

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,  # noqa: ARG002 - one instance per language
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.RecognizeStream:
        """Recognise a stream; ``flush`` ends an utterance and brings its final."""
        return ChildStream(self, self._pool, conn_options)

    async def aclose(self) -> None:
        """End the children."""
        if self._warming is not None:
            await cancel_and_wait(self._warming)
        await self._pool.aclose()

    async def _recognize_impl(
        self,
        buffer: AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,  # noqa: ARG002 - one instance per language
        conn_options: APIConnectOptions,  # noqa: ARG002 - nothing to connect to
    ) -> stt.SpeechEvent:
        utterance = Utterance()
        for audio in buffer if isinstance(buffer, list) else [buffer]:
            utterance.add(bytes(audio.data))
        utterance.end()
        said = await utterance.recognise(self._pool, lambda _: None)
        return speech_event(SpeechEventType.FINAL_TRANSCRIPT, said, self._language)

    async def _warm(self) -> None:
        with contextlib.suppress(EngineFailedError):  # the first span will fail with the reason
            await self._pool.warm()


class ChildStream(stt.RecognizeStream):
    """A stream of utterances, each given whole to one child as it comes in."""

    def __init__(self, engine: ChildSTT, pool: Pool, conn_options: APIConnectOptions) -> None:
        super().__init__(stt=engine, conn_options=conn_options, sample_rate=RATE)
        self._pool = pool
        self._language = engine.language

    async def _run(self) -> None:
        offset = 0.0
        ended = False
        while not ended:
            utterance = Utterance()
            reading = asyncio.create_task(self._read(utterance))
            try:
                await utterance.begun.wait()
                if utterance.seconds:
                    await self._recognise(utterance, offset)
                ended = await reading
            finally:
                await cancel_and_wait(reading)
            offset += utterance.seconds

    async def _read(self, utterance: Utterance) -> bool:
        """Take audio until a flush, or the end: return True at the end."""
        try:
            async for item in self._input_ch:
                if not isinstance(item, self._FlushSentinel):
                    utterance.add(bytes(item.data))
                elif utterance.seconds:
                    return False
            return True
        finally:
            utterance.end()

    async def _recognise(self, utterance: Utterance, offset: float) -> None:
        def show(said: frames.Said) -> None:
            # A model that does not tell where its guess ends has heard all that was said to it.
            known = frames.Said(
                text=said["text"], start=said["start"], end=said["end"] or utterance.seconds
            )
            self._emit(SpeechEventType.INTERIM_TRANSCRIPT, known, offset)

        said = await utterance.recognise(self._pool, show)
        self._emit(SpeechEventType.FINAL_TRANSCRIPT, said, offset)

    def _emit(self, kind: SpeechEventType, said: frames.Said, offset: float) -> None:
        self._event_ch.send_nowait(speech_event(kind, said, self._language, offset))


class Utterance:
    """Audio on its way to a child; all of it is kept until its final, to be said again."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self._audio: list[bytes] = []
        self._bytes = 0
        self._ended = False
        self._more = asyncio.Event()

    @property
    def seconds(self) -> float:
        """Length of the audio so far."""
        return self._bytes / _BYTES_PER_SECOND

    def add(self, pcm: bytes) -> None:
        """Add int16 samples."""
        self._audio.append(pcm)
        self._bytes += len(pcm)
        self.begun.set()
        self._more.set()

    def end(self) -> None:
        """Say that the audio is complete."""
        self._ended = True
        self.begun.set()
        self._more.set()

    async def recognise(self, pool: Pool, show: Callable[[frames.Said], None]) -> frames.Said:
        """Wait for a child, give it the audio as it comes, return the final.

        Args:
            pool: Where children come from.
            show: Called with each interim.

        Raises:
            EngineFailedError: The model failed, or children died with this audio.
        """
        for _ in range(TRIES):
            try:
                async with pool.child() as child:
                    return await self._say_to(child, show)
            except ChildDiedError:
                continue
        raise EngineFailedError("its process died, and so did the one after it")

    async def _say_to(self, child: Child, show: Callable[[frames.Said], None]) -> frames.Said:
        telling = asyncio.create_task(self._tell(child))
        try:
            return await self._listen(child, show)
        finally:
            await cancel_and_wait(telling)

    async def _tell(self, child: Child) -> None:
        told = 0
        while True:
            self._more.clear()
            for pcm in self._audio[told:]:
                child.send(frames.frame(frames.AUDIO, pcm))
                told += 1
            if self._ended:
                child.send(frames.json_frame(frames.END, {}))
                return
            await self._more.wait()

    async def _listen(self, child: Child, show: Callable[[frames.Said], None]) -> frames.Said:
        while True:
            kind, value = await child.receive()
            said: frames.Said = value
            if kind == frames.FINAL:
                return said
            show(said)


def speech_event(
    kind: SpeechEventType, said: frames.Said, language: LanguageCode, offset: float = 0.0
) -> stt.SpeechEvent:
    """Return a LiveKit event; ``offset`` is where the utterance begins in the stream, seconds."""
    data = stt.SpeechData(
        language=language,
        text=said["text"],
        start_time=said["start"] + offset,
        end_time=said["end"] + offset if said["end"] else 0.0,
    )
    return stt.SpeechEvent(type=kind, alternatives=[data])
