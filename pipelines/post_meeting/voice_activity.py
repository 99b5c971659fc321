"""Who spoke when, by each participant's own microphone: pure.

The notes of a sealed meeting's collector, or La Suite Meet's metadata file, become spans. Speech
that nobody ended ends where its speaker left or began anew, at the latest where nothing confirms it
any more: as speech to the end of the recording it would take words from everybody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Final, TypeAlias

from pipelines.events import unix
from pipelines.transcript.document import Person, TranscriptDocument
from pipelines.transcript.recording_metadata import (
    AGENT,
    DISCONNECTED,
    SPEECH_END,
    SPEECH_START,
    STILL_SPEAKING,
)

Span: TypeAlias = tuple[float, float]
Activity: TypeAlias = Mapping[str, tuple[Span, ...]]
"""Identity -> begin and end of its speech, in order and apart, seconds from the meeting's start."""

CONFIRMED_FOR: Final = 10.0
"""Seconds that a note of speech still counts: our collector writes the next after five."""


@dataclass(frozen=True, slots=True)
class _Event:
    at: float
    identity: str
    kind: str
    started: float | None = None


@dataclass(slots=True)
class _Open:
    start: float
    end: float = inf
    confirmed: float = 0.0


def activity_of(document: TranscriptDocument, *, lines: bool = True) -> Activity:
    """Return who spoke when in a sealed meeting: its collector's notes, and its live lines.

    Args:
        document: The meeting.
        lines: Take the lines too.
    """
    if document.started_at is None:
        return {}
    start = unix(document.started_at)
    found = _spans(sorted(_noted(document, start), key=lambda one: one.at), CONFIRMED_FOR)
    spans = {identity: list(its) for identity, its in found.items()}
    for segment in document.segments if lines else ():
        if segment.speaker:
            own = (segment.start_ms / 1000, segment.end_ms / 1000)
            spans.setdefault(segment.speaker, []).append(own)
    return {identity: merged(its) for identity, its in spans.items()}


def activity_of_metadata(metadata: Mapping[str, Any], *, start: float) -> Activity:
    """Return who spoke when by La Suite's file.

    Args:
        metadata: Its JSON: ``events`` and ``participants``.
        start: Where times count from, Unix seconds.

    Raises:
        ValueError: An event lacks a field, or its time is none.
    """
    try:
        events = [
            _Event(unix(one["timestamp"]) - start, str(one["participant_id"]), str(one["type"]))
            for one in metadata["events"]
        ]
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the metadata of a recording: {error}") from None
    found = _spans(sorted(events, key=lambda one: one.at), inf)
    return {identity: merged(its) for identity, its in found.items()}


def people_of_metadata(metadata: Mapping[str, Any]) -> tuple[Person, ...]:
    """Return the participants of La Suite's file; who has no name is called by the identity."""
    return tuple(
        Person(
            identity=str(one["participantId"]),
            name=str(one.get("name") or "").strip() or str(one["participantId"]),
        )
        for one in metadata["participants"]
    )


def merged(spans: Iterable[Span], *, gap: float = 0.0) -> tuple[Span, ...]:
    """Return spans in order, those that overlap or are at most ``gap`` seconds apart as one."""
    result: list[Span] = []
    for start, end in sorted(spans):
        if end <= start:
            continue
        if result and start <= result[-1][1] + gap:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return tuple(result)


def _noted(document: TranscriptDocument, start: float) -> Iterator[_Event]:
    for note in document.notes:
        if note.agent != AGENT or not isinstance(note.data, dict) or "at" not in note.data:
            continue
        at = unix(note.data["at"]) - start
        if note.kind == STILL_SPEAKING:
            for identity in note.data.get("identities", ()):
                yield _Event(at, identity, note.kind)
        elif "identity" in note.data:
            began = note.data.get("started_at")
            started = unix(began) - start if began else None
            yield _Event(at, note.data["identity"], note.kind, started)


def _spans(events: Iterable[_Event], confirmed_for: float) -> dict[str, list[Span]]:
    spans: dict[str, list[_Open]] = {}
    last = 0.0
    for event in events:
        last = event.at
        own = spans.setdefault(event.identity, [])
        open_ = next((one for one in reversed(own) if one.end == inf), None)
        match event.kind:
            case str(kind) if kind == SPEECH_START:
                _end(open_, event.at, confirmed_for)
                own.append(_Open(event.at, confirmed=event.at))
            case str(kind) if kind == SPEECH_END:
                its = [one for one in own if one.start == event.started]
                _end(its[0] if its else open_, event.at, inf)
            case str(kind) if kind == DISCONNECTED:
                _end(open_, event.at, confirmed_for)
            case str(kind) if kind == STILL_SPEAKING and open_:
                open_.confirmed = event.at
    for own in spans.values():
        for span in own:
            _end(span if span.end == inf else None, last, confirmed_for)
    return {
        identity: [(one.start, one.end) for one in own] for identity, own in spans.items() if own
    }


def _end(span: _Open | None, at: float, confirmed_for: float) -> None:
    if span:
        span.end = max(span.start, min(span.end, at, span.confirmed + confirmed_for))
