"""Makes the transcript document of a meeting's lines: pure.

Lines are the truth and only grow; a document is made of them again for every seal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from pipelines.events import iso
from pipelines.transcript.correction import latest_corrections
from pipelines.transcript.document import (
    AuditEntry,
    Correction,
    Hole,
    Note,
    Person,
    Segment,
    SegmentSource,
    TranscriptDocument,
)
from pipelines.transcript.line import Line, distinct

JOINED_MS: Final = 500
"""Less than this between two holes holds no word."""

# JSON can say a lone surrogate ("\ud800"), UTF-8 can't.
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def build_document(lines: Iterable[Line], *, seal: int) -> TranscriptDocument:
    """Make the document of a meeting.

    Args:
        lines: All that is known, in any order, also twice, of any number of epochs.
        seal: The seal's number.

    Raises:
        ValueError: The lines are of more than one meeting.
    """
    facts = [_well_formed(line) for line in distinct(lines)]
    meetings = {line.meeting for line in facts}
    if len(meetings) > 1:
        raise ValueError(f"lines of {len(meetings)} meetings: a document is made of one")
    opened = [line.data for line in facts if line.kind == "opened"]
    started = [data["started_at"] for data in opened] or [line.at for line in facts]
    start = min(started, default=0.0)
    names = _last_known_names(facts)
    segments = _segments(facts, start=start, names=names)
    over = [line.at for line in facts if line.kind == "ended"]
    over += [start + segment.end_ms / 1000 for segment in segments]
    spoke = list(dict.fromkeys(segment.speaker for segment in segments))
    came = [line.data["identity"] for line in _in_time(facts) if line.kind == "person"]
    return TranscriptDocument(
        meeting="".join(meetings),
        room=next((data["room"] for data in opened), ""),
        seal=seal,
        epochs=tuple(sorted({line.epoch for line in facts})),
        started_at=iso(start) if facts else None,
        ended_at=iso(max(over)) if over else None,
        participants=_people(dict.fromkeys([*came, *spoke]), names),
        speakers=_people(spoke, names),
        segments=segments,
        holes=_holes(facts, start=start, names=names),
        notes=tuple(
            Note(
                agent=line.data["agent"],
                kind=line.data["kind"],
                at=iso(line.at),
                ms=round((line.at - start) * 1000),
                data=line.data["data"],
            )
            for line in _in_time(facts)
            if line.kind == "note" and line.data.keys() >= {"agent", "kind", "data"}
        ),
        actions=tuple(_audit_entry(line, start=start) for line in facts if line.kind == "action"),
    )


def _well_formed(line: Line) -> Line:
    data = json.dumps(line.data, ensure_ascii=False)
    return replace(
        line,
        meeting=_SURROGATE.sub("\ufffd", line.meeting),
        data=json.loads(_SURROGATE.sub("\ufffd", data)),
    )


def _in_time(facts: Sequence[Line]) -> list[Line]:
    return sorted(facts, key=lambda line: (line.at, line.key))


def _last_known_names(facts: Sequence[Line]) -> dict[str, str]:
    """Map identities to names; what LiveKit said of a person outweighs what a caption says."""
    captioned: dict[str, str] = {}
    told: dict[str, str] = {}
    for line in _in_time(facts):
        name = (line.data.get("name") or "").strip()
        if name and line.kind == "final":
            captioned[line.data["speaker"]] = name
        elif name and line.kind == "person":
            told[line.data["identity"]] = name
    return captioned | told


def _people(identities: Iterable[str], names: dict[str, str]) -> tuple[Person, ...]:
    return tuple(Person(identity=it, name=names.get(it, it)) for it in identities)


def _began(facts: Sequence[Line]) -> dict[int, float]:
    """Return epoch -> start of the meeting as that epoch knew it, from which its times count."""
    return {line.epoch: line.data["started_at"] for line in facts if line.kind == "opened"}


def _segments(facts: Sequence[Line], *, start: float, names: dict[str, str]) -> tuple[Segment, ...]:
    finals: dict[str, tuple[Line, float]] = {}
    began = _began(facts)
    for line in facts:
        if line.kind == "final":
            other, _ = finals.get(line.data["segment"], (None, 0.0))
            if other is None or line.data["revision"] > other.data["revision"]:
                finals[line.data["segment"]] = (line, began.get(line.epoch, start))
    corrections = latest_corrections(facts)
    read = (
        _segment(
            line,
            corrections.get(segment),
            start=start,
            offset_ms=round((known_start - start) * 1000),
            names=names,
        )
        for segment, (line, known_start) in finals.items()
    )
    kept = [segment for segment in read if segment.text.strip()]
    # Stable: where starts are equal, the segment that was kept first comes first.
    return tuple(sorted(kept, key=lambda segment: segment.start_ms))


def _holes(facts: Sequence[Line], *, start: float, names: dict[str, str]) -> tuple[Hole, ...]:
    began = _began(facts)
    holes = (
        _hole(line, start=start, began=began.get(line.epoch, start), names=names)
        for line in facts
        if line.kind == "hole"
    )
    return merged(holes)


def merged(holes: Iterable[Hole]) -> tuple[Hole, ...]:
    """Return the holes in the order of their start, each stretch of missing speech once.

    Of one cause, those of the same people that overlap or are less than ``JOINED_MS`` apart are
    one. One that lies wholly in another, of the same people or of more, says nothing new.
    """
    joined: list[Hole] = []
    for hole in sorted(holes, key=lambda hole: (hole.start_ms, -hole.end_ms)):
        place = next((n for n, other in enumerate(joined) if _goes_on(other, hole)), None)
        if place is None:
            joined.append(hole)
        else:
            end_ms = max(joined[place].end_ms, hole.end_ms)
            joined[place] = joined[place].model_copy(update={"end_ms": end_ms})
    return tuple(
        hole
        for n, hole in enumerate(joined)
        if not any(
            _lies_in(hole, other) and (n > m or not _lies_in(other, hole))
            for m, other in enumerate(joined)
            if n != m
        )
    )


def _goes_on(before: Hole, hole: Hole) -> bool:
    return (before.cause, _identities(before)) == (hole.cause, _identities(hole)) and (
        hole.start_ms <= before.end_ms + JOINED_MS
    )


def _lies_in(hole: Hole, other: Hole) -> bool:
    concerned = not other.speakers or (
        bool(hole.speakers) and _identities(hole) <= _identities(other)
    )
    return concerned and other.start_ms <= hole.start_ms and hole.end_ms <= other.end_ms


def _identities(hole: Hole) -> frozenset[str]:
    return frozenset(person.identity for person in hole.speakers)


def _hole(line: Line, *, start: float, began: float, names: dict[str, str]) -> Hole:
    offset_ms = round((began - start) * 1000)
    start_ms = max(0, line.data["start_ms"] + offset_ms)
    return Hole(
        start_ms=start_ms,
        end_ms=max(start_ms, line.data["end_ms"] + offset_ms),
        start=iso(start + start_ms / 1000),
        cause=line.data["cause"],
        speakers=_people(line.data["speakers"], names),
        reason=line.data.get("reason", ""),
    )


def _audit_entry(line: Line, *, start: float) -> AuditEntry:
    data = {key: value for key, value in line.data.items() if key not in ("event", "id")}
    return AuditEntry(
        event=line.data["event"],
        id=line.data.get("id", ""),
        at=iso(line.at),
        ms=round((line.at - start) * 1000),
        data=data,
    )


def _segment(
    line: Line, corrected: Line | None, *, start: float, offset_ms: int, names: dict[str, str]
) -> Segment:
    data = line.data
    source: SegmentSource = "person" if corrected else "live"
    start_ms = max(0, data["start_ms"] + offset_ms)
    return Segment(
        id=data["segment"],
        speaker=data["speaker"],
        name=names.get(data["speaker"], data["speaker"]),
        text=corrected.data["text"] if corrected else data["text"],
        start_ms=start_ms,
        end_ms=max(start_ms, data["end_ms"] + offset_ms),
        start=iso(start + start_ms / 1000),
        language=data["language"],
        engine=data["engine"],
        revision=data["revision"],
        source=source,
        correction=corrected and _correction(corrected, original=data["text"], names=names),
    )


def _correction(line: Line, *, original: str, names: dict[str, str]) -> Correction:
    by = line.data["by"]
    name = names.get(by) or line.data["name"].strip() or by
    return Correction(by=Person(identity=by, name=name), at=iso(line.at), original=original)
