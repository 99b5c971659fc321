"""A recording in parts as large as a transcription service takes, cut in silence, as Ogg Opus."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import av

from pipelines.speech.heard import RATE, Samples
from pipelines.speech.segmenter import Ended, Segmenter, Started
from pipelines.speech.spans import Piece, SpanDetector
from pipelines.speech.vad import VoiceActivity

BIT_RATE: Final = 32_000
"""Speech at this rate costs a recogniser nothing, and an hour of it is less than the 25 MB that
OpenAI takes."""
OVER: Final = 1.2
"""Where nobody is silent, a part is cut at this many times its length."""


@dataclass(slots=True)
class AudioPart:
    """A part of a recording.

    Args:
        number: From 0.
        start: Where it begins, seconds from the recording's first sample.
        end: Where it ends, seconds.
        audio: Ogg Opus, mono.
        spans: Begin and end of the speech in it, seconds from the recording's first sample.
    """

    number: int
    start: float
    end: float = 0.0
    audio: bytes = field(default=b"", repr=False)
    spans: list[tuple[float, float]] = field(default_factory=list)


def audio_parts(
    chunks: Iterable[Samples], vad: VoiceActivity, *, length: float
) -> Iterator[AudioPart]:
    """Iterate over the parts of a recording in which somebody speaks.

    Args:
        chunks: Audio at 16 kHz, 100 ms each.
        vad: A detector of its own.
        length: Seconds after which a part ends in the next silence.
    """
    detector = SpanDetector(vad, Segmenter())
    parts = _Parts(length)
    for chunk in chunks:
        yield from parts.take(chunk, detector.feed(chunk)[1])
    yield from parts.finish(detector.finish())


class _Parts:
    def __init__(self, length: float) -> None:
        self._length = length
        self._part = AudioPart(0, 0.0)
        self._encoder = _Encoder()
        self._position = 0.0
        self._speaking: float | None = None

    def take(self, chunk: Samples, found: Iterable[Started | Piece | Ended]) -> Iterator[AudioPart]:
        self._encoder.add(chunk)
        self._position += len(chunk) / RATE
        self._note(found)
        length = self._position - self._part.start
        if length >= self._length * (1 if self._speaking is None else OVER):
            yield from self._finished()
            self._part = AudioPart(self._part.number + 1, self._position)
            self._encoder = _Encoder()

    def finish(self, found: Iterable[Started | Piece | Ended]) -> Iterator[AudioPart]:
        self._note(found)
        yield from self._finished()

    def _note(self, found: Iterable[Started | Piece | Ended]) -> None:
        for item in found:
            if isinstance(item, Started):
                self._speaking = item.at
            elif isinstance(item, Ended) and self._speaking is not None:
                self._part.spans.append((max(self._speaking, self._part.start), item.at))
                self._speaking = None

    def _finished(self) -> Iterator[AudioPart]:
        part = self._part
        part.end = self._position
        if self._speaking is not None:
            part.spans.append((max(self._speaking, part.start), part.end))
        audio = self._encoder.finish()
        if part.spans:
            part.audio = audio
            yield part


class _Encoder:
    def __init__(self) -> None:
        self._file = io.BytesIO()
        self._container = av.open(self._file, "w", format="ogg")
        self._stream = self._container.add_stream("libopus", rate=RATE, layout="mono")
        self._stream.bit_rate = BIT_RATE

    def add(self, samples: Samples) -> None:
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> bytes:
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._file.getvalue()
