"""A streaming engine that says when it spoke: what follows is our own part of a caption's delay."""

from __future__ import annotations

import itertools
import time
from typing import Final

from livekit.agents import APIConnectOptions, LanguageCode, stt
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, NotGivenOr

from pipelines.testing import EchoSTT

SETTING: Final = "stamped=bench.stamped_stt:StampedSTT"
"""For ``GREFFIER_ENGINE_PLUGINS``."""

_FINAL_EVERY: Final = 400  # milliseconds of audio


def stamp_of(text: str) -> float:
    """Return the Unix seconds at which the engine gave this final."""
    return float(text.rpartition(" ")[2])


class StampedSTT(EchoSTT):
    """An engine that gives a final each 0.4 s of speech: ``7 1790000000.123456``."""

    def __init__(self) -> None:
        super().__init__()
        self._finals = itertools.count(1)

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,  # noqa: ARG002 - it understands none
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.RecognizeStream:
        """Begin a span."""
        return _StampedStream(self, conn_options, self._finals)


class _StampedStream(stt.RecognizeStream):
    def __init__(
        self, engine: StampedSTT, conn_options: APIConnectOptions, numbers: itertools.count[int]
    ) -> None:
        super().__init__(stt=engine, conn_options=conn_options)
        self._numbers = numbers

    async def _run(self) -> None:
        start = end = 0  # milliseconds
        async for item in self._input_ch:
            if not isinstance(item, self._FlushSentinel):
                end += round(item.duration * 1000)
            if end - start >= _FINAL_EVERY or (
                isinstance(item, self._FlushSentinel) and end > start
            ):
                data = stt.SpeechData(
                    LanguageCode("en"),
                    f"{next(self._numbers)} {time.time():.6f}",
                    start_time=start / 1000,
                    end_time=end / 1000,
                )
                kind = stt.SpeechEventType.FINAL_TRANSCRIPT
                self._event_ch.send_nowait(stt.SpeechEvent(type=kind, alternatives=[data]))
                start = end
