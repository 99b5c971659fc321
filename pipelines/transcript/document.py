"""The transcript document: what a meeting's lines say, in one JSON-serialisable value.

Lines are the truth and only grow; a document is made of them again for every seal. ``python -m
pipelines.transcript.document`` prints the JSON Schema that ``docs/transcript.schema.json`` holds.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, Literal, TypeAlias

from pydantic import BaseModel, Field

from pipelines.events import iso
from pipelines.transcript.line import Line, distinct

JOINED_MS: Final = 500
"""Less than this between two holes holds no word."""

# JSON can say a lone surrogate ("\ud800"), UTF-8 can't.
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


SegmentSource: TypeAlias = Literal["live", "recording", "person"]


class Person(BaseModel, frozen=True):
    """Somebody, once, however often they left and came back."""

    identity: str = Field(description="LiveKit identity, unique in the meeting.")
    name: str = Field(description="Last known display name; the identity where none is known.")


class Segment(BaseModel, frozen=True):
    """What one person said in one go. Segments of several people may overlap."""

    id: str = Field(description="Unique in the meeting, the same as the live caption's.")
    speaker: str = Field(description="The speaker's identity; empty where nobody knows who spoke.")
    name: str = Field(
        description="The speaker's last known name, as in `speakers`; where people share a "
        "microphone, with their voice's label; that alone, or empty, where nobody knows who spoke."
    )
    text: str = Field(description="What was said, as the engine gave it; never blank.")
    start_ms: int = Field(ge=0, description="Start of speech, ms from the start of the meeting.")
    end_ms: int = Field(ge=0, description="End of speech, ms; never before `start_ms`.")
    start: str = Field(description="Start of speech, UTC, ISO 8601 with milliseconds.")
    language: str = Field(description="BCP 47 tag, or empty where the engine does not tell.")
    engine: str = Field(description="The speech engine, e.g. `pocketsphinx/en-us`.")
    revision: int = Field(description="0, or counted up when the segment was corrected.")
    source: SegmentSource = Field(
        default="live",
        description="Where the text is from: `live` captions, the `recording`, or a `person` who "
        "corrected it.",
    )


class Hole(BaseModel, frozen=True):
    """Speech may be missing here: whatever was said, nobody heard or understood it."""

    start_ms: int = Field(ge=0, description="Its start, ms from the start of the meeting.")
    end_ms: int = Field(ge=0, description="Its end, ms; never before `start_ms`.")
    start: str = Field(description="Its start, UTC, ISO 8601 with milliseconds.")
    cause: str = Field(
        description="`restart`: the agent was replaced; `engine`: the speech engine did not "
        "answer; `network`: no audio came."
    )
    speakers: tuple[Person, ...] = Field(
        description="Whose speech may be missing; empty: everybody's."
    )
    reason: str = Field(description="In words for people, or empty.")


class Note(BaseModel, frozen=True):
    """What an agent stored beside the speech."""

    agent: str = Field(description="The agent's name.")
    kind: str = Field(description="A kind of the agent's own.")
    at: str = Field(description="UTC, ISO 8601 with milliseconds.")
    ms: int = Field(description="ms from the start of the meeting; negative before it.")
    data: Any = Field(description="The agent's own JSON.")


class TranscriptDocument(BaseModel, frozen=True, title="Greffier transcript"):
    """A sealed meeting: who spoke, what was said and when, what agents noted."""

    schema_version: Literal[1] = Field(
        default=1, description="Counted up when a reader of this one would misread the next."
    )
    meeting: str = Field(description="The meeting's id.")
    room: str = Field(description="The LiveKit room's name.")
    seal: int = Field(description="1 for the first; counted up when a sealed meeting went on.")
    epochs: tuple[int, ...] = Field(description="Of every job that served the meeting, in order.")
    started_at: str | None = Field(
        description="Start of the meeting, UTC, ISO 8601; null where not one line is known."
    )
    ended_at: str | None = Field(
        description="End of the meeting, UTC, ISO 8601: when its last job ended or its last "
        "speech, whichever is later; null where there was neither."
    )
    participants: tuple[Person, ...] = Field(
        description="Everyone who was there, in the order they were first seen."
    )
    speakers: tuple[Person, ...] = Field(
        description="Everyone who spoke, in the order of their first words."
    )
    segments: tuple[Segment, ...] = Field(description="In the order of their start.")
    holes: tuple[Hole, ...] = Field(
        default=(),
        description="In the order of their start. Segments may lie in one: it tells where speech "
        "may be missing, not that all of it is.",
    )
    notes: tuple[Note, ...] = Field(description="In the order of time.")


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
    )


def document_schema() -> str:
    """Return the document's JSON Schema (draft 2020-12) as the text of a file."""
    schema = TranscriptDocument.model_json_schema(mode="serialization")
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(dialect | schema, indent=2, ensure_ascii=False) + "\n"


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
    kept = [
        _segment(line, start=start, offset_ms=round((known_start - start) * 1000), names=names)
        for line, known_start in finals.values()
        if line.data["text"].strip()
    ]
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


def _segment(line: Line, *, start: float, offset_ms: int, names: dict[str, str]) -> Segment:
    data = line.data
    start_ms = max(0, data["start_ms"] + offset_ms)
    return Segment(
        id=data["segment"],
        speaker=data["speaker"],
        name=names.get(data["speaker"], data["speaker"]),
        text=data["text"],
        start_ms=start_ms,
        end_ms=max(start_ms, data["end_ms"] + offset_ms),
        start=iso(start + start_ms / 1000),
        language=data["language"],
        engine=data["engine"],
        revision=data["revision"],
        source="person" if data.get("source") == "person" else "live",
    )


if __name__ == "__main__":
    sys.stdout.write(document_schema())
