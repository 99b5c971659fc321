"""A summary without a model: the lines of the transcript that say the most, as they were said.

Pure. A line is worth what its words are worth (tf-idf over the meeting), and less once another line
with the same words was chosen. No decisions, actions or questions are guessed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

from pipelines.post_meeting.facts import words
from pipelines.post_meeting.summary import EXTRACTIVE, Section, Statement, Summary
from pipelines.post_meeting.windows import split
from pipelines.transcript.document import Segment, TranscriptDocument
from pipelines.transcript.escapes import one_line

OVERVIEW: Final = 5
"""Lines of the overview at most."""
PER_SECTION: Final = 3
"""Lines of a section at most."""

_SECTION_MS: Final = 10 * 60_000
_MOST_SECTIONS: Final = 24
_SHORTEST_WORD: Final = 4
_FEWEST_WORDS: Final = 5
_LONGEST_LINE: Final = 300  # characters
_KEYWORDS: Final = 3
_AGAIN: Final = 0.3  # what a word is worth that a chosen line has


@dataclass(frozen=True)
class Extract:
    """Chooses lines of one meeting.

    Args:
        segments: All of the meeting; a line's number is its place, counted from 1.
    """

    segments: Sequence[Segment]

    def lines(self, numbers: range, most: int) -> tuple[Statement, ...]:
        """Return the lines that say the most, in their order.

        Args:
            numbers: Of the lines to choose from.
            most: How many are wanted.
        """
        left = {number: self._words[number - 1] for number in numbers}
        said: set[str] = set()
        chosen: list[int] = []
        while left and len(chosen) < most:
            best = max(left, key=lambda number: (self._worth(left[number], said), -number))
            said |= left.pop(best)
            chosen.append(best)
        return tuple(_quoted(self.segments[number - 1]) for number in sorted(chosen))

    def title(self, numbers: range) -> str:
        """Return the words that tell a stretch from the rest of the meeting."""
        told = Counter(word for number in numbers for word in self._words[number - 1])
        worth = {word: count * self._rarity[word] for word, count in told.items()}
        best = sorted(worth, key=lambda word: (-worth[word], -len(word), word))[:_KEYWORDS]
        return ", ".join(best) or "…"

    @cached_property
    def _words(self) -> list[frozenset[str]]:
        return [
            frozenset(word for word in words(segment.text) if len(word) >= _SHORTEST_WORD)
            for segment in self.segments
        ]

    @cached_property
    def _rarity(self) -> dict[str, float]:
        there = Counter(word for line in self._words for word in line)
        return {word: math.log(1 + len(self.segments) / count) for word, count in there.items()}

    @cached_property
    def _repeated(self) -> frozenset[str]:
        there = Counter(word for line in self._words for word in line)
        return frozenset(word for word, count in there.items() if count > 1)

    def _worth(self, line: frozenset[str], said: set[str]) -> float:
        # What is said once is as likely a mishearing as a topic.
        told = line & self._repeated
        worth = sum(self._rarity[word] * (_AGAIN if word in said else 1.0) for word in told)
        return worth / math.sqrt(max(len(line), _FEWEST_WORDS))


def extractive_summary(document: TranscriptDocument, *, language: str, template: str) -> Summary:
    """Summarise a meeting by its own lines.

    Args:
        document: The meeting.
        language: What the summary says its language is.
        template: The template that was asked for; it has no bearing here.
    """
    segments = document.segments
    extract = Extract(segments)
    return Summary(
        meeting=document.meeting,
        seal=document.seal,
        language=language,
        template=template,
        made_by=EXTRACTIVE,
        overview=extract.lines(range(1, len(segments) + 1), OVERVIEW),
        sections=tuple(
            Section(
                title=extract.title(numbers),
                start_ms=segments[numbers.start - 1].start_ms,
                end_ms=end_of(segments, numbers),
                statements=extract.lines(numbers, PER_SECTION),
                extractive=True,
            )
            for numbers in _stretches(segments)
        ),
        decisions=(),
        actions=(),
        questions=(),
    )


def end_of(segments: Sequence[Segment], numbers: range) -> int:
    """Return when a stretch of lines ends, ms, not after the next line begins."""
    end = max(segments[number - 1].end_ms for number in numbers)
    if numbers.stop <= len(segments):
        return max(
            segments[numbers.start - 1].start_ms, min(end, segments[numbers.stop - 1].start_ms)
        )
    return end


def _stretches(segments: Sequence[Segment]) -> list[range]:
    if not segments:
        return []
    spans = [max(1, one.end_ms - one.start_ms) for one in segments]
    length = segments[-1].start_ms - segments[0].start_ms
    parts = min(_MOST_SECTIONS, max(1, round(length / _SECTION_MS)))
    pauses = [after.start_ms - one.end_ms for one, after in pairwise(segments)]
    room = max(1, math.ceil(sum(spans) / parts))
    return [range(it.start + 1, it.stop + 1) for it in split(spans, room, pauses)]


def _quoted(segment: Segment) -> Statement:
    text = one_line(segment.text)
    if len(text) > _LONGEST_LINE:
        text = text[: _LONGEST_LINE - 1].rstrip() + "…"
    name = one_line(segment.name)  # empty where nobody knows who spoke
    return Statement(text=f"{name}: {text}" if name else text, cites=(segment.id,))
