"""La Suite Meet's rules for naming the speakers of a transcript, to compare with.

Written here from their description in its contract: participants' timelines from the metadata file,
speakers' timelines from the transcript, the best overlap from a half up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

Interval = tuple[float, float]
Words = Sequence[Interval]

LONGEST_WORD: Final = 1.0
THRESHOLD: Final = 0.5


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Make one of intervals that touch."""
    result: list[Interval] = []
    for start, end in sorted(intervals):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def overlap(one: Iterable[Interval], other: Iterable[Interval]) -> float:
    """Return how long both are, seconds."""
    pairs = [(a, b) for a in one for b in other]
    return sum(max(0.0, min(a[1], b[1]) - max(a[0], b[0])) for a, b in pairs)


def participants(
    metadata: Mapping[str, Any], started_at: float, ended_at: float
) -> dict[str, list[Interval]]:
    """Pair starts and ends, clamp to the recording, drop what is empty, close what is open."""
    open_: dict[str, float] = {}
    found: dict[str, list[Interval]] = {}
    for event in metadata["events"]:
        who = event["participant_id"]
        at = datetime.fromisoformat(event["timestamp"]).timestamp() - started_at
        if event["type"] == "speech_start":
            open_[who] = max(at, 0.0)
        elif event["type"] == "speech_end" and who in open_:
            found.setdefault(who, []).append((open_.pop(who), max(at, 0.0)))
    for who, start in open_.items():
        found.setdefault(who, []).append((start, max(ended_at - started_at, 0.0)))
    proper = {who: [(a, b) for a, b in spans if b > a] for who, spans in found.items()}
    return {who: merged(spans) for who, spans in proper.items() if spans}


def speaker_intervals(words: Words, segment: Interval) -> list[Interval]:
    """Split a segment where a word is longer than words are."""
    if not words:
        return [segment]
    start: float | None = segment[0]
    result: list[Interval] = []
    for word in words:
        start = word[0] if start is None else start
        if word[1] - word[0] > LONGEST_WORD:
            result.append((start, word[0] + LONGEST_WORD))
            start = None
    if start is not None:
        result.append((start, min(words[-1][1], words[-1][0] + LONGEST_WORD)))
    return [one for one in result if one[1] > one[0]]


def assigned(
    metadata: Mapping[str, Any],
    transcript: Mapping[str, Sequence[tuple[Interval, Words]]],
    *,
    started_at: float,
    ended_at: float,
) -> dict[str, str]:
    """Return diarised speaker -> participant, where there is one.

    Args:
        metadata: The recording's metadata file.
        transcript: Diarised speaker -> bounds and words of its segments, seconds.
        started_at: When the recording began, Unix seconds.
        ended_at: When it ended.
    """
    timelines = participants(metadata, started_at, ended_at)
    found: dict[str, str] = {}
    for speaker, segments in transcript.items():
        spans = merged(
            span for segment, words in segments for span in speaker_intervals(words, segment)
        )
        length = sum(end - start for start, end in spans)
        scores = {who: overlap(spans, timeline) / length for who, timeline in timelines.items()}
        best = max(scores, key=lambda who: scores[who], default=None)
        if best is not None and scores[best] >= THRESHOLD:
            found[speaker] = best
    return found


def named(
    metadata: Mapping[str, Any],
    transcript: Mapping[str, Sequence[tuple[Interval, Words]]],
    *,
    started_at: float,
    ended_at: float,
) -> dict[str, str]:
    """Return diarised speaker -> the name that the transcript shows; see :func:`assigned`."""
    found = assigned(metadata, transcript, started_at=started_at, ended_at=ended_at)
    known = {one["participantId"]: one["name"] for one in metadata["participants"]}
    names = {speaker: known.get(who, who) for speaker, who in found.items()}
    times = Counter(names.values())
    return {
        speaker: f"{names[speaker]} ({speaker})"
        if times.get(names.get(speaker, ""), 0) > 1
        else names.get(speaker, speaker)
        for speaker in transcript
    }
