"""How far found spans of speech are from those that were spoken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from bench.caption_delay import percentile

TOLERANCE: Final = 0.3
"""Seconds by which a found span may miss a spoken one and still be taken for it."""


@dataclass(frozen=True, slots=True)
class Span:
    """What one person said in one go; Unix seconds."""

    identity: str
    start: float
    end: float


@dataclass(slots=True)
class SpanErrors:
    """What came of spoken spans.

    Args:
        onsets: Found start minus true start of each span that was found, seconds.
        ends: Found end minus true end.
        missed: Spoken spans that were not found, or only as one with the span before.
        false: Found spans in which nothing was spoken.
        split: Spans that were found in more than one piece, counted by the further pieces.
        stalled: Spans that are no truth, since whoever spoke was held up: not counted above.
    """

    onsets: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    missed: int = 0
    false: int = 0
    split: int = 0
    stalled: int = 0

    def row(self) -> dict[str, Any]:
        """Return the figures, in milliseconds; p95 is of the error's size."""
        return {
            "onsets": len(self.onsets),
            "onset_p50_ms": round(median(self.onsets) * 1000),
            "onset_p95_ms": round(percentile([abs(one) for one in self.onsets], 95) * 1000),
            "end_p50_ms": round(median(self.ends) * 1000),
            "end_p95_ms": round(percentile([abs(one) for one in self.ends], 95) * 1000),
            "missed": self.missed,
            "false": self.false,
            "split": self.split,
            "stalled": self.stalled,
        }


def joined(spans: Iterable[Span], *, pause: float) -> list[Span]:
    """Make one of what one person said with less than ``pause`` seconds in between.

    A publisher that falls behind its script on a busy machine leaves no longer pause, and a
    detector is right to hear none.
    """
    result: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.identity, span.start)):
        last = result[-1] if result else None
        if last and last.identity == span.identity and span.start - last.end < pause:
            result[-1] = Span(span.identity, last.start, span.end)
        else:
            result.append(span)
    return result


def compare(spoken: Iterable[Span], found: Iterable[Span]) -> SpanErrors:
    """Hold what was found against what was spoken, person by person."""
    errors = SpanErrors()
    left = sorted(found, key=lambda span: span.start)
    for span in sorted(spoken, key=lambda span: span.start):
        pieces = [one for one in left if _is_of(one, span)]
        left = [one for one in left if one not in pieces]
        if pieces:
            errors.onsets.append(pieces[0].start - span.start)
            errors.ends.append(pieces[-1].end - span.end)
            errors.split += len(pieces) - 1
        else:
            errors.missed += 1
    errors.false = len(left)
    return errors


def spoken_spans(truth: Iterable[Mapping[str, Any]]) -> list[Span]:
    """Read what the publisher logged."""
    starts: dict[str, float] = {}
    spans = []
    for line in truth:
        match line["event"]:
            case "speech_started":
                starts[line["identity"]] = line["at"]
            case "speech_ended":
                identity = line["identity"]
                spans.append(Span(identity, starts.pop(identity), line["at"]))
    return spans


def _is_of(found: Span, spoken: Span) -> bool:
    return (
        found.identity == spoken.identity
        and found.start < spoken.end + TOLERANCE
        and found.end > spoken.start - TOLERANCE
    )
