"""The speech in a recording, cut in silence into pieces that an engine takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from pipelines.speech.cutter import Cutter
from pipelines.speech.heard import RATE, Samples
from pipelines.speech.segmenter import Ended, Segmenter, Started
from pipelines.speech.spans import Piece, SpanDetector
from pipelines.speech.vad import VoiceActivity

PAUSE: Final = 0.3
"""Seconds of silence that end a piece. Shorter than in a live stream: here all speakers are in one
track, and a piece should be one's."""


@dataclass(slots=True)
class Speech:
    """A piece of speech, at most half a minute.

    Args:
        start: Where speech begins, seconds from the recording's first sample.
        audio_start: Where the audio begins: earlier, for a soft first consonant.
        end: Where speech ends, seconds.
        chunks: The audio in chunks of 100 ms or less, each with its probability of speech.
    """

    start: float
    audio_start: float
    end: float = 0.0
    chunks: list[tuple[Samples, float]] = field(default_factory=list)


def speech_pieces(chunks: Iterable[Samples], vad: VoiceActivity) -> Iterator[Speech]:
    """Iterate over the speech in a recording; what is silent is in no piece.

    Args:
        chunks: Audio at 16 kHz, 100 ms each.
        vad: A detector of its own.
    """
    detector = SpanDetector(vad, Segmenter(min_silence=PAUSE))
    pieces = _Pieces()
    for chunk in chunks:
        yield from pieces.take(detector.feed(chunk)[1])
    yield from pieces.take(detector.finish())


class _Pieces:
    """Makes pieces of spans: a long span is cut."""

    def __init__(self) -> None:
        self._piece: Speech | None = None
        self._cutter = Cutter()

    def take(self, items: Iterable[Started | Piece | Ended]) -> Iterator[Speech]:
        for item in items:
            match item:
                case Started(at):
                    self._piece, self._cutter = Speech(at, audio_start=-1.0), Cutter()
                case Ended(at):
                    yield from self._end(at)
                case Piece():
                    yield from self._add(item)

    def _end(self, at: float) -> Iterator[Speech]:
        piece, self._piece = self._piece, None
        if piece and piece.chunks:
            piece.end = max(at, piece.start)
            yield piece

    def _add(self, chunk: Piece) -> Iterator[Speech]:
        piece = self._piece
        if piece is None:
            return
        if not piece.chunks:
            piece.audio_start = chunk.at
        cut = self._cutter.cut(chunk.samples, chunk.speech)
        piece.chunks.append((chunk.samples[:cut], chunk.speech))
        if cut is None:
            return
        piece.end = chunk.at + cut / RATE
        yield piece
        self._piece = Speech(piece.end, audio_start=piece.end)
        if cut < len(chunk.samples):
            self._piece.chunks.append((chunk.samples[cut:], chunk.speech))
