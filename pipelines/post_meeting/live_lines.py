"""The live lines and holes beside a recording's text: which stay, whose words they tell: pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from pipelines.events import HoleCause, iso
from pipelines.post_meeting.voice_activity import Span
from pipelines.transcript.document import Hole, Segment

Voice: TypeAlias = tuple[int, str]
"""The part of the recording in which a diariser's label means something, and the label."""

NEAR: Final = 0.5
"""Seconds by which a live line and the recording may differ about when something was said."""

_SUPERSEDED: Final = 0.5  # share of a live line that the recording must have of its speaker
_SAME_WORDS: Final = 0.6  # share of words by which a live line is the same as a recorded one
_LEAST_WORDS: Final = 2
_WORD: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Said:
    """Consecutive words of one heard segment with one speaker, or none; seconds of the meeting."""

    heard: int
    text: str
    start: float
    end: float
    identity: str | None
    voice: Voice | None


def named_by_words(said: Sequence[Said], live: Sequence[Segment]) -> list[Said]:
    """Name what nobody is known for by the live line that has the same words at the same time."""
    result = []
    for one in said:
        mine = _words(one.text)
        found: dict[str, float] = {}
        if one.identity is None and mine.total() >= _LEAST_WORDS:
            for segment in _around(one, live):
                share = (mine & _words(segment.text)).total() / mine.total()
                found[segment.speaker] = max(share, found.get(segment.speaker, 0.0))
        ranked = sorted(found, key=lambda who: found[who], reverse=True)
        if (
            ranked
            and found[ranked[0]] >= _SAME_WORDS
            and (len(ranked) == 1 or found[ranked[1]] <= found[ranked[0]] / 2)
        ):
            result.append(replace(one, identity=ranked[0]))
        else:
            result.append(one)
    return result


def put_together(
    live: Sequence[Segment], said: Sequence[Said], holes: Sequence[Span]
) -> tuple[list[Segment], list[Said]]:
    """Return the live lines that stay, and what was recorded without what those have.

    Args:
        live: All lines that are not of the recording.
        said: What the recording has, named where that is sure.
        holes: Of the recording, seconds of the meeting: where nothing was heard or recorded.
    """
    stay = [one for one in live if not _superseded(one, said, holes)]
    spoken = [one for one in stay if one.source != "person"]
    return stay, [one for one in said if not any(_has(line, one) for line in spoken)]


def still_missing(
    live: Iterable[Hole], said: Sequence[Said], holes: Sequence[Span], *, begin: float
) -> Iterator[Hole]:
    """Iterate over what is missing of the live transcript and of the recording too.

    Where no audio came from somebody the recorder may have had none either: such a hole is filled
    only where the recording has their words.

    Args:
        live: Holes of the live transcript.
        said: What the recording has, named where that is sure.
        holes: Of the recording, seconds of the meeting, in order.
        begin: Start of the meeting, Unix seconds.
    """
    for hole in live:
        first, last = hole.start_ms / 1000, hole.end_ms / 1000
        if hole.cause == HoleCause.NETWORK and not _any_of(hole, said):
            yield hole
            continue
        for start, end in ((max(first, one[0]), min(last, one[1])) for one in holes):
            if start <= end and end - start >= min(NEAR, last - first):
                yield hole.model_copy(
                    update={
                        "start_ms": round(start * 1000),
                        "end_ms": round(end * 1000),
                        "start": iso(begin + start),
                    }
                )


def _any_of(hole: Hole, said: Sequence[Said]) -> bool:
    who = {person.identity for person in hole.speakers}
    return any(
        one.identity in who and one.start * 1000 < hole.end_ms and one.end * 1000 > hole.start_ms
        for one in said
    )


def _superseded(segment: Segment, said: Sequence[Said], holes: Sequence[Span]) -> bool:
    """Tell whether the recording has what a live line has."""
    if segment.source == "person":
        return False
    start, end = segment.start_ms / 1000, segment.end_ms / 1000
    lost = sum(max(0.0, min(end, last) - max(start, first)) for first, last in holes)
    if lost > min(NEAR, (end - start) * _SUPERSEDED):
        return False
    covered, letters = 0.0, 0.0
    for one in said:
        within = max(0.0, min(end, one.end + NEAR) - max(start, one.start - NEAR))
        if one.identity == segment.speaker and within:
            covered += within
            letters += _letters(one.text) * min(1.0, within / max(one.end - one.start, NEAR))
    # A "yes" that is drawn out over a sentence does not have the sentence.
    return (
        covered > 0
        and covered >= (end - start) * _SUPERSEDED
        and letters >= _letters(segment.text) * _SUPERSEDED
    )


def _has(segment: Segment, said: Said) -> bool:
    """Tell whether a live line has what was recorded of its speaker in its time."""
    if (
        said.identity != segment.speaker
        or said.start < segment.start_ms / 1000 - NEAR
        or said.end > segment.end_ms / 1000 + NEAR
    ):
        return False
    mine = _words(said.text)
    return (mine & _words(segment.text)).total() >= _SAME_WORDS * mine.total()


def _around(said: Said, live: Sequence[Segment]) -> Iterator[Segment]:
    for segment in live:
        if (
            segment.speaker
            and segment.start_ms / 1000 <= said.end + NEAR
            and segment.end_ms / 1000 >= said.start - NEAR
        ):
            yield segment


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.casefold()))


def _letters(text: str) -> int:
    return sum(map(len, _WORD.findall(text)))
