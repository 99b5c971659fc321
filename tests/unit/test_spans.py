"""Spans of speech carry their audio, the half second before included, without a hole."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.speech.segmenter import Ended, Started
from pipelines.speech.spans import ONSET, PRE_ROLL, Piece, SpanDetector
from pipelines.speech.vad import SAMPLE_RATE

CHUNK = 800


class LoudIsSpeech:
    """A detector whose truth is in the samples."""

    def predict(self, window: npt.NDArray[np.int16]) -> float:
        return 1.0 if np.abs(window).mean() > 100 else 0.0


def numbered(seconds: float, *, loud: bool, start: int) -> npt.NDArray[np.int16]:
    """Samples that are all different below 100, or above: their place can be read off them."""
    n = round(seconds * SAMPLE_RATE)
    return np.full(n, 1000 + start if loud else start % 50, dtype=np.int16)


def feed(detector: SpanDetector, audio: npt.NDArray[np.int16]) -> list[Started | Piece | Ended]:
    found: list[Started | Piece | Ended] = []
    for offset in range(0, len(audio), CHUNK):
        found += detector.feed(audio[offset : offset + CHUNK])[1]
    return found


def test_a_span_holds_its_audio_and_half_a_second_before_it_without_hole_or_double() -> None:
    audio = np.concatenate(
        [
            numbered(2, loud=False, start=1),
            numbered(1.5, loud=True, start=2),
            numbered(1.5, loud=False, start=3),
        ]
    )
    found = feed(SpanDetector(LoudIsSpeech()), audio)
    assert isinstance(found[0], Started)
    assert isinstance(found[-1], Ended)
    pieces = [piece for piece in found if isinstance(piece, Piece)]
    first = round(pieces[0].at * SAMPLE_RATE)
    joined = np.concatenate([piece.samples for piece in pieces])
    assert np.array_equal(joined, audio[first : first + len(joined)])
    assert found[0].at - 2 * PRE_ROLL < pieces[0].at <= found[0].at - PRE_ROLL + 0.05
    assert first + len(joined) >= 3.5 * SAMPLE_RATE


def test_the_first_sound_of_a_span_is_in_it_although_it_lies_in_the_silence_before() -> None:
    audio = np.concatenate(
        [
            numbered(2, loud=True, start=1),
            numbered(0.6, loud=False, start=2),  # ends one span, and the next begins at once
            numbered(2, loud=True, start=3),
        ]
    )
    found = feed(SpanDetector(LoudIsSpeech()), audio)
    second = next(item for item in found[1:] if isinstance(item, Started))
    first_piece = next(p for p in found[found.index(second) :] if isinstance(p, Piece))
    assert second.at - ONSET - 0.05 <= first_piece.at <= second.at - ONSET + 0.05


def test_silence_gives_no_audio_away() -> None:
    assert feed(SpanDetector(LoudIsSpeech()), numbered(5, loud=False, start=0)) == []


def test_audio_that_ends_in_speech_ends_the_span() -> None:
    detector = SpanDetector(LoudIsSpeech())
    feed(detector, numbered(1, loud=True, start=0))
    assert detector.finish() == [Ended(1.0)]
