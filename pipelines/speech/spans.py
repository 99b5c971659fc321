"""From chunks of audio to spans of speech with their audio, the half second before included."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from pipelines.speech.segmenter import Ended, Segmenter, Started
from pipelines.speech.vad import HANGOVER, SAMPLE_RATE, WINDOW, VoiceActivity

PRE_ROLL: Final = 0.5
"""Seconds before the start of speech that belong to its audio: a soft first consonant is no
speech yet to the detector."""

ONSET: Final = 0.15
"""Seconds before the start of speech that belong to it although the span before was given them as
the silence that ended it: they may hold its first sound, and hardly a word."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive audio.

    Args:
        samples: int16 mono at 16 kHz, shape ``(n,)``.
        at: Media time of the first sample, seconds.
        speech: Highest probability of speech in it, 0 to 1.
    """

    samples: npt.NDArray[np.int16]
    at: float
    speech: float


class SpanDetector:
    """Finds the spans of speech in one audio stream."""

    def __init__(self, vad: VoiceActivity, segmenter: Segmenter | None = None) -> None:
        self._vad = vad
        self._segmenter = segmenter or Segmenter()
        self._rest = np.empty(0, dtype=np.int16)
        self._position = 0  # samples the detector has seen
        self._recent: deque[Piece] = deque()
        self._open = False
        self._started_at = 0.0
        self._given = 0.0  # end of the last span's audio, the silence that ended it included

    def feed(self, samples: npt.NDArray[np.int16]) -> tuple[Piece, list[Started | Piece | Ended]]:
        """Take the next chunk.

        Returns:
            The chunk as a piece, and what it adds to spans, in order: the start of a span, its
            audio, its end.
        """
        at = (self._position + len(self._rest)) / SAMPLE_RATE
        probability, changes = self._classify(samples)
        piece = Piece(samples, at, probability)
        spans: list[Started | Piece | Ended] = []
        for change in changes:
            match change:
                case Started():
                    begin = max(change.at - PRE_ROLL, min(self._given, change.at - ONSET))
                    spans.append(change)
                    spans.extend(p for p in self._recent if self._end(p) > begin)
                    self._open = True
                case Ended():
                    # The chunk goes with the span that it ends: silence, but the engine's own
                    # end of speech needs some.
                    spans += [piece, change]
                    self._open = False
                    self._given = self._end(piece)
        if self._open:
            spans.append(piece)
        self._remember(piece)
        return piece, spans

    def finish(self) -> list[Started | Piece | Ended]:
        """End the span that is open: no more audio comes."""
        end = (self._position + len(self._rest)) / SAMPLE_RATE
        ended = self._segmenter.finish(end)
        self._open = False
        if ended is None:
            return []
        # Who is cut off in the middle of a word spoke to the end.
        return [ended if ended.at == end else self._without_hangover(ended)]

    def _classify(self, samples: npt.NDArray[np.int16]) -> tuple[float, list[Started | Ended]]:
        audio = np.concatenate((self._rest, samples))
        highest = 0.0
        changes: list[Started | Ended] = []
        whole = len(audio) // WINDOW * WINDOW
        for offset in range(0, whole, WINDOW):
            probability = self._vad.predict(audio[offset : offset + WINDOW])
            highest = max(highest, probability)
            start = (self._position + offset) / SAMPLE_RATE
            change = self._segmenter.process(probability, start, start + WINDOW / SAMPLE_RATE)
            match change:
                case Started():
                    self._started_at = change.at
                    changes.append(change)
                case Ended():
                    changes.append(self._without_hangover(change))
        self._position += whole
        self._rest = audio[whole:]
        return highest, changes

    def _without_hangover(self, ended: Ended) -> Ended:
        return Ended(max(self._started_at, ended.at - HANGOVER))

    def _remember(self, piece: Piece) -> None:
        self._recent.append(piece)
        # A start is found up to min_speech after it happened: keep that much more.
        keep_from = self._end(piece) - PRE_ROLL - 1.0
        while self._end(self._recent[0]) < keep_from:
            self._recent.popleft()

    @staticmethod
    def _end(piece: Piece) -> float:
        return piece.at + len(piece.samples) / SAMPLE_RATE
