"""Whose words a recording has: its text, put to names by who was speaking then: pure.

Below the threshold a word has no name: never a guess. What a person corrected stays as it is. A
live line stays where the recording has a hole or nothing of its speaker; everywhere else the
recording's text takes its place, and says so (``source``), so holes of the live transcript are
filled: only what the recording lacks of them is still one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import inf
from typing import Final

import numpy as np

from pipelines.events import iso, unix
from pipelines.post_meeting.clock_fit import ClockFit, fit_clock
from pipelines.post_meeting.heard_json import joined_text
from pipelines.post_meeting.live_lines import (
    NEAR,
    Said,
    Voice,
    named_by_words,
    put_together,
    still_missing,
)
from pipelines.post_meeting.timed_words import TimedWord, timed_words
from pipelines.post_meeting.transcription import Transcription
from pipelines.post_meeting.voice_activity import Activity, Span, activity_of
from pipelines.post_meeting.who_spoke import Words, posteriors
from pipelines.transcript.document import Person, Segment, TranscriptDocument

THRESHOLD: Final = 0.9

_SHARED_BY: Final = 0.05  # share of a microphone's words that make a second voice of it
_LEAST_SHARED: Final = 5  # words, likewise


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of the recording; seconds of the meeting. A person may have corrected it."""

    heard: int
    word: TimedWord
    start: float
    end: float
    voice: Voice | None
    identity: str | None = None
    corrected: bool = False


def align(
    document: TranscriptDocument,
    heard: Transcription,
    *,
    threshold: float = THRESHOLD,
    activity: Activity | None = None,
) -> TranscriptDocument:
    """Put a recording's text and the live transcript together.

    Args:
        document: The sealed meeting; one without lines is fine.
        heard: What a batch engine heard in its recording.
        threshold: How sure it must be who spoke, 0.5 to 1.
        activity: Who spoke when, where that is known from elsewhere (La Suite's metadata file); by
            default the document's own notes and lines tell.

    Returns:
        The document with other segments and holes. Segments that nobody is known for have an empty
        ``speaker`` and the voice's label as ``name``.
    """
    spoke = activity_of(document) if activity is None else activity
    spoke = {who: spans for who, spans in spoke.items() if spans}
    begin = unix(document.started_at) if document.started_at else 0.0
    expected = None
    if document.started_at and heard.started_at:
        expected = unix(heard.started_at) - begin
    fit = fit_clock(spoke, _voice_spans(heard), expected=expected)
    words = _named(_words(heard, fit), spoke, threshold)
    microphones = activity_of(document, lines=False) if activity is None else spoke
    said = named_by_words(
        _joined(_with_corrections(words, document, microphones), heard), document.segments
    )
    lacks = _holes(heard, fit)
    live, said = put_together(document.segments, said, lacks)
    labels = _labels(words)
    names = {person.identity: person.name for person in document.participants}
    recorded = [
        Segment(
            id=f"recording-{one.heard}-{number}",
            speaker=one.identity or "",
            name=_name(one, names, labels),
            text=one.text,
            start_ms=max(0, round(one.start * 1000)),
            end_ms=max(0, round(one.end * 1000), round(one.start * 1000)),
            start=iso(begin + max(0.0, one.start)),
            language=heard.segments[one.heard].language,
            engine=heard.engine,
            revision=0,
            source="recording",
        )
        for number, one in _numbered(said)
    ]
    unfilled = tuple(still_missing(document.holes, said, lacks, begin=begin))
    return _with_segments(
        document.model_copy(update={"holes": unfilled}),
        sorted([*live, *recorded], key=lambda one: one.start_ms),
    )


def _voice_spans(heard: Transcription) -> dict[str, list[Span]]:
    spans: dict[str, list[Span]] = defaultdict(list)
    for segment in heard.segments:
        for word in timed_words(segment):
            voice = f"{segment.part}/{word.voice}" if word.voice else ""
            spans[voice].append((word.start, word.end))
    return spans


def _words(heard: Transcription, fit: ClockFit) -> list[_Word]:
    return [
        _Word(
            number,
            word,
            fit(word.start),
            fit(word.end),
            (segment.part, word.voice) if word.voice else None,
        )
        for number, segment in enumerate(heard.segments)
        for word in timed_words(segment)
    ]


def _named(words: list[_Word], activity: Activity, threshold: float) -> list[_Word]:
    """Name whoever said each word, where that is sure enough."""
    if not words or not activity:
        return words
    voices = {voice: number for number, voice in enumerate(dict.fromkeys(w.voice for w in words))}
    likely = posteriors(
        Words(
            begins=np.array([word.start for word in words]),
            ends=np.array([word.end for word in words]),
            segments=np.array([word.heard for word in words]),
            voices=np.array([-1 if w.voice is None else voices[w.voice] for w in words]),
        ),
        activity,
    )
    people = list(activity)
    best = likely[:, :-1].argmax(axis=1)
    sure = likely[np.arange(len(words)), best] >= threshold
    return [
        replace(word, identity=people[who]) if certain else word
        for word, who, certain in zip(words, best.tolist(), sure.tolist(), strict=True)
    ]


def _holes(heard: Transcription, fit: ClockFit) -> list[Span]:
    """Return where the recording has nothing, seconds of the meeting."""
    unheard = [(fit(one.start), fit(one.end)) for one in heard.unheard]
    return [(-inf, fit(0.0)), *unheard, (fit(heard.seconds), inf)]


def _with_corrections(
    words: Sequence[_Word], document: TranscriptDocument, microphones: Activity
) -> list[_Word]:
    """Mark what a person has corrected: it is there, and better.

    A correction may have named somebody else than whose microphone it was, or somebody who shares
    it: so it has also what nobody is known for, and what is of a microphone that has no line of its
    own there while the corrected speaker's was silent.
    """
    lines: dict[str, list[Span]] = defaultdict(list)
    corrected: list[tuple[str, Span, bool]] = []
    for one in document.segments:
        span = (one.start_ms / 1000, one.end_ms / 1000)
        lines[one.speaker].append(span)
        if one.source == "person":
            spoke = any(_overlap(span, its) > 0 for its in microphones.get(one.speaker, ()))
            corrected.append((one.speaker, span, spoke))

    def is_corrected(word: _Word) -> bool:
        middle = (word.start + word.end) / 2
        for speaker, span, spoke in corrected:
            if _within(middle, span) and (
                word.identity in (speaker, None)
                or not (spoke or any(_within(middle, its) for its in lines[word.identity or ""]))
            ):
                return True
        return False

    return [replace(word, corrected=True) if is_corrected(word) else word for word in words]


def _within(at: float, span: Span) -> bool:
    return span[0] - NEAR <= at <= span[1] + NEAR


def _overlap(one: Span, other: Span) -> float:
    return min(one[1], other[1]) - max(one[0], other[0])


def _joined(words: Sequence[_Word], heard: Transcription) -> list[Said]:
    """Make one of the consecutive words of a segment that have the same speaker."""
    whole = Counter(number for number, one in enumerate(heard.segments) for _ in timed_words(one))
    result = []
    runs = groupby(
        words, key=lambda one: (one.heard, one.corrected, one.identity, _shown_voice(one))
    )
    for (number, corrected, identity, _), run in runs:
        if corrected:
            continue
        its = list(run)
        segment = heard.segments[number]
        # The engine's own text has its punctuation and spaces.
        if len(its) == whole[number]:
            text = segment.text
        else:
            text = joined_text([one.word.text for one in its], like=segment.text)
        voices = Counter(one.voice for one in its)
        result.append(
            Said(
                heard=number,
                text=text,
                start=min(one.start for one in its),
                end=max(one.end for one in its),
                identity=identity,
                voice=voices.most_common(1)[0][0],
            )
        )
    return [one for one in result if one.text.strip()]


def _shown_voice(word: _Word) -> Voice | None:
    return None if word.identity is not None else word.voice


def _labels(words: Sequence[_Word]) -> dict[tuple[str, Voice], str]:
    """Return what tells apart the people at one microphone: (identity, voice) -> its label.

    A microphone is shared where two voices of the same part are mostly heard through it. What
    another microphone's voice seems to say there is the diariser's mistake.
    """
    counts: dict[Voice, Counter[str]] = defaultdict(Counter)
    for word in words:
        if word.identity is not None and word.voice is not None:
            counts[word.voice][word.identity] += 1
    homes: dict[tuple[str, int], list[Voice]] = defaultdict(list)
    for voice, people in counts.items():
        who, most = people.most_common(1)[0]
        whole = sum(its[who] for its in counts.values())
        if 2 * most > people.total() and most >= max(_LEAST_SHARED, _SHARED_BY * whole):
            homes[who, voice[0]].append(voice)
    several = len({part for part, _ in counts}) > 1
    return {
        (who, voice): f"{voice[0] + 1}-{voice[1]}" if several else voice[1]
        for (who, _), voices in homes.items()
        if len(voices) > 1
        for voice in voices
    }


def _name(said: Said, names: Mapping[str, str], labels: Mapping[tuple[str, Voice], str]) -> str:
    if said.identity is None:
        return said.voice[1] if said.voice else ""
    name = names.get(said.identity, said.identity)
    label = labels.get((said.identity, said.voice)) if said.voice else None
    return f"{name} ({label})" if label else name


def _numbered(said: Sequence[Said]) -> Iterator[tuple[int, Said]]:
    for _, run in groupby(said, key=lambda one: one.heard):
        yield from enumerate(run)


def _with_segments(document: TranscriptDocument, segments: Sequence[Segment]) -> TranscriptDocument:
    known = {person.identity: person for person in (*document.speakers, *document.participants)}
    spoke = dict.fromkeys(one.speaker for one in segments if one.speaker)
    speakers = tuple(known.get(who, Person(identity=who, name=who)) for who in spoke)
    there = {person.identity for person in document.participants}
    ended = document.ended_at
    if segments and document.started_at:
        last = iso(unix(document.started_at) + max(one.end_ms for one in segments) / 1000)
        ended = max(ended or last, last)
    return document.model_copy(
        update={
            "segments": tuple(segments),
            "speakers": speakers,
            "participants": (
                *document.participants,
                *(one for one in speakers if one.identity not in there),
            ),
            "ended_at": ended,
        }
    )
