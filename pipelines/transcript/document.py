"""The transcript document: what a meeting's lines say, in one JSON-serialisable value.

``python -m pipelines.transcript.document`` prints the JSON Schema that
``docs/transcript.schema.json`` holds.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, Field

SegmentSource: TypeAlias = Literal["live", "recording", "person"]


class Person(BaseModel, frozen=True):
    """Somebody, once, however often they left and came back."""

    identity: str = Field(description="LiveKit identity, unique in the meeting.")
    name: str = Field(description="Last known display name; the identity where none is known.")


class Correction(BaseModel, frozen=True):
    """That a person, not a machine, said how a segment reads."""

    by: Person = Field(description="Who corrected it.")
    at: str = Field(description="When, UTC, ISO 8601 with milliseconds.")
    original: str = Field(description="What the speech engine had given; may be blank.")


class Segment(BaseModel, frozen=True):
    """What one person said in one go. Segments of several people may overlap."""

    id: str = Field(description="Unique in the meeting, the same as the live caption's.")
    speaker: str = Field(description="The speaker's identity; empty where nobody knows who spoke.")
    name: str = Field(
        description="The speaker's last known name, as in `speakers`; where people share a "
        "microphone, with their voice's label; that alone, or empty, where nobody knows who spoke."
    )
    text: str = Field(
        description="What was said, as the engine gave it or a person corrected it; never blank."
    )
    start_ms: int = Field(ge=0, description="Start of speech, ms from the start of the meeting.")
    end_ms: int = Field(ge=0, description="End of speech, ms; never before `start_ms`.")
    start: str = Field(description="Start of speech, UTC, ISO 8601 with milliseconds.")
    language: str = Field(description="BCP 47 tag, or empty where the engine does not tell.")
    engine: str = Field(description="The speech engine, e.g. `pocketsphinx/en-us`.")
    revision: int = Field(description="0, or counted up when the engine settled the segment anew.")
    source: SegmentSource = Field(
        default="live",
        description="Where the text is from: `live` captions, the `recording`, or a `person` who "
        "corrected it.",
    )
    correction: Correction | None = Field(
        default=None, description="Who corrected the text; null where nobody did."
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


class AuditEntry(BaseModel, frozen=True):
    """A step of an approval, or a call of a tool: what was asked, decided, done and refused."""

    event: str = Field(description="What happened, e.g. `requested`, `approved`, `done`.")
    id: str = Field(description="Of the approval, the same in all its steps; empty without one.")
    at: str = Field(description="UTC, ISO 8601 with milliseconds.")
    ms: int = Field(description="ms from the start of the meeting; negative before it.")
    data: Any = Field(description="What else is known of it, by name.")


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
    actions: tuple[AuditEntry, ...] = Field(
        default=(), description="The audit trail of approvals and tools, in the order of keeping."
    )


def document_schema() -> str:
    """Return the document's JSON Schema (draft 2020-12) as the text of a file."""
    schema = TranscriptDocument.model_json_schema(mode="serialization")
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(dialect | schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document_schema())
