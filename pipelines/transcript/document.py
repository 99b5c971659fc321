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


def _segments(facts: Sequence[Line], *, start: float, names: dict[str, str]) -> tuple[Segment, ...]:
    finals: dict[str, tuple[Line, float]] = {}
    began: dict[int, float] = {}
    for line in facts:
        if line.kind == "opened":
            began[line.epoch] = line.data["started_at"]
        elif line.kind == "final":
            other, _ = finals.get(line.data["segment"], (None, 0.0))
            if other is None or line.data["revision"] > other.data["revision"]:
                # Its times count from the start of the meeting as its own epoch knew it.
                finals[line.data["segment"]] = (line, began.get(line.epoch, start))
    kept = [
        _segment(line, start=start, offset_ms=round((known_start - start) * 1000), names=names)
        for line, known_start in finals.values()
        if line.data["text"].strip()
    ]
    # Stable: where starts are equal, the segment that was kept first comes first.
    return tuple(sorted(kept, key=lambda segment: segment.start_ms))


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
