"""The words of a recording, each with a time, whatever the engine left out: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pipelines.post_meeting.transcription import HeardSegment, HeardWord

LONGEST: Final = 1.5
"""Seconds that a word lasts at most: one that seems to last longer has silence in it."""
SHORTEST: Final = 0.02
_CHARACTERS: Final = 3  # in a row of a text without spaces


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word; times in seconds from the recording's first sample, ``end`` after ``start``."""

    text: str
    start: float
    end: float
    voice: str | None


def timed_words(segment: HeardSegment) -> list[TimedWord]:
    """Return the words of a segment in their order.

    A word without times lies between its neighbours; without any words, the text is spread over the
    segment evenly.
    """
    if not segment.words:
        return _spread(_pieces(segment.text), segment.start, segment.end, segment.voice)
    result: list[TimedWord] = []
    untimed: list[HeardWord] = []
    at = segment.start
    for word in segment.words:
        if word.start is None:
            untimed.append(word)
            continue
        result += _between(untimed, at, word.start, segment)
        untimed = []
        end = word.end if word.end is not None else word.start + SHORTEST
        end = min(max(end, word.start + SHORTEST), word.start + LONGEST)
        result.append(TimedWord(word.text, word.start, end, word.voice or segment.voice))
        at = max(at, end)
    return result + _between(untimed, at, segment.end, segment)


def _between(
    words: Sequence[HeardWord], start: float, end: float, segment: HeardSegment
) -> list[TimedWord]:
    spread = _spread([word.text for word in words], start, end, segment.voice)
    return [
        replace(timed, voice=word.voice or timed.voice)
        for word, timed in zip(words, spread, strict=True)
    ]


def _spread(texts: Sequence[str], start: float, end: float, voice: str | None) -> list[TimedWord]:
    """Give each text a share of the time, as long as it has letters."""
    letters = sum(map(len, texts))
    seconds = max(end - start, SHORTEST * len(texts))
    result = []
    for text in texts:
        length = seconds * len(text) / letters
        result.append(TimedWord(text, start, start + max(length, SHORTEST), voice))
        start += length
    return result


def _pieces(text: str) -> list[str]:
    words = text.split()
    if len(words) > 1 or len(text) <= 2 * _CHARACTERS or text.isascii():
        return words
    return [text[at : at + _CHARACTERS] for at in range(0, len(text), _CHARACTERS)]
