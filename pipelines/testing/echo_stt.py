"""A streaming engine that says how much it heard; costs nothing, answers at once."""

from __future__ import annotations

import itertools
from typing import Final

from livekit.agents import APIConnectOptions, LanguageCode, stt
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, NotGivenOr
from livekit.agents.utils import AudioBuffer

_INTERIM_EVERY: Final = 500  # milliseconds of audio


class EchoSTT(stt.STT[str]):
    """An engine whose text states what it heard: ``span 3 has 1.85 seconds``.

    Spans are counted from 1 in the order in which they began. An interim comes each 0.5 s of
    audio (``span 3 has 0.50 seconds``), the final in the moment the input ends or is flushed. Times
    are given as the engine's own.
    """

    def __init__(self) -> None:
        super().__init__(
            capabilities=stt.STTCapabilities(
                streaming=True, interim_results=True, offline_recognize=False, manual_flush=True
            )
        )
        self._numbers = itertools.count(1)

    @property
    def model(self) -> str:
        """Name of the model."""
        return "echo"

    @property
    def provider(self) -> str:
        """Name of the provider."""
        return "greffier"

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,  # noqa: ARG002 - it understands none
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.RecognizeStream:
        """Begin a span."""
        return _EchoStream(self, conn_options, next(self._numbers))

    async def _recognize_impl(
        self,
        buffer: AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions,
    ) -> stt.SpeechEvent:
        raise NotImplementedError("EchoSTT streams")


class _EchoStream(stt.RecognizeStream):
    def __init__(self, engine: EchoSTT, conn_options: APIConnectOptions, number: int) -> None:
        super().__init__(stt=engine, conn_options=conn_options)
        self._number = number

    async def _run(self) -> None:
        start = end = shown = 0  # milliseconds
        async for item in self._input_ch:
            if isinstance(item, self._FlushSentinel):
                if end > start:
                    self._say(stt.SpeechEventType.FINAL_TRANSCRIPT, start, end)
                start = shown = end
                continue
            end += round(item.duration * 1000)
            if end - shown >= _INTERIM_EVERY:
                shown = end
                self._say(stt.SpeechEventType.INTERIM_TRANSCRIPT, start, end)

    def _say(self, kind: stt.SpeechEventType, start: int, end: int) -> None:
        text = f"span {self._number} has {(end - start) / 1000:.2f} seconds"
        data = stt.SpeechData(
            LanguageCode("en"), text, start_time=start / 1000, end_time=end / 1000
        )
        self._event_ch.send_nowait(stt.SpeechEvent(type=kind, alternatives=[data]))
