"""Engines for recordings: one protocol, whether pieces of speech or whole hours are sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from pipelines.post_meeting.media.speech import Speech, speech_pieces
from pipelines.post_meeting.transcription import HeardSegment, Unheard
from pipelines.settings import VadName
from pipelines.speech.heard import Heard, Lost, Samples
from pipelines.speech.stt import Recognizer
from pipelines.speech.vad import make_vad

PieceT = TypeVar("PieceT")

Answers = Sequence[HeardSegment | Unheard]


class BatchEngine(Protocol, Generic[PieceT]):
    """What listens to recordings.

    ``name`` is shown in the transcript, ``parallel`` is how many pieces it takes at once.
    """

    name: str
    parallel: int

    def pieces(self, chunks: Iterable[Samples]) -> Iterator[PieceT]:
        """Cut a recording, in silence; blocks, for a thread."""

    def end(self, piece: PieceT) -> float:
        """Return where a piece ends, seconds from the recording's first sample."""

    async def hear(self, piece: PieceT) -> Answers:
        """Return what is said in a piece; times count from the recording's first sample.

        Raises:
            RetryableError: It did not answer; ``engine_unavailable``.
            StepError: It refuses, and would again.
        """


class NamedEngine:
    """Any speech engine of :mod:`pipelines.speech.engines`, one piece of speech at a time.

    It never gets silence, so no text comes from it.

    Args:
        recognizer: The engine; owned by whoever made it.
        parallel: Pieces at the same time.
        vad: Finds the speech.
    """

    def __init__(self, recognizer: Recognizer, *, parallel: int, vad: VadName) -> None:
        self.name = recognizer.name
        self.parallel = parallel
        self._recognizer = recognizer
        self._vad = vad

    def pieces(self, chunks: Iterable[Samples]) -> Iterator[Speech]:
        """See :class:`BatchEngine`."""
        return speech_pieces(chunks, make_vad(self._vad))

    def end(self, piece: Speech) -> float:
        """See :class:`BatchEngine`."""
        return piece.end

    async def hear(self, piece: Speech) -> Answers:
        """See :class:`BatchEngine`; what the engine does not hear, asked twice, is a hole."""
        answers = await self._say(piece)
        if any(isinstance(answer, Unheard) for answer in answers):
            answers = await self._say(piece)
        return answers

    async def _say(self, piece: Speech) -> Answers:
        recognition = self._recognizer.recognition()
        answers: list[HeardSegment | Unheard] = []
        try:
            for samples, probability in piece.chunks:
                recognition.push(samples, speech=probability)
            recognition.end()
            async for item in recognition:
                match item:
                    case Heard(final=True) if item.text.strip():
                        answers.append(_segment(item, piece))
                    case Lost(start, end, reason):
                        at = piece.audio_start
                        answers.append(Unheard(start=at + start, end=at + end, reason=reason))
        finally:
            await recognition.aclose()
        return answers


def _segment(heard: Heard, piece: Speech) -> HeardSegment:
    """Make a segment; an engine that takes whole pieces counts the pre-roll as speech."""
    start = min(max(piece.audio_start + heard.start, piece.start), piece.end)
    end = min(max(piece.audio_start + heard.end, start), piece.end)
    return HeardSegment(
        text=heard.text.strip(), start=start, end=max(end, start), language=heard.language
    )
