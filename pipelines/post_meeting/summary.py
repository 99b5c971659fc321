"""The summary of a sealed meeting: what was said, decided and left open, each with its lines.

One JSON-serialisable value, kept as ``summary.json``. ``python -m pipelines.post_meeting.summary``
prints the JSON Schema that ``docs/summary.schema.json`` holds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import Final, Literal

from pydantic import BaseModel, Field

EXTRACTIVE: Final = "extractive"
"""`Summary.made_by` where no model was asked: its statements are lines of the transcript."""


class DropReason(StrEnum):
    """Why a statement is not in the summary."""

    NO_CITATION = "no_citation"
    """It cites no line of this transcript."""
    OUTSIDE_SECTION = "outside_section"
    """None of the lines it cites lies within its section's time range."""
    NUMBER_NOT_SAID = "number_not_said"
    """It has a number that the lines it cites do not."""
    DATE_NOT_SAID = "date_not_said"
    """It has a date, a month or a day of the week that the lines it cites do not."""
    NAME_NOT_SAID = "name_not_said"
    """It has a name that the lines it cites neither say nor were said by."""
    SUPERSEDED = "superseded"
    """A later round of the model left it out: said twice, taken back or answered later."""


class Statement(BaseModel, frozen=True):
    """One thing that the meeting said."""

    text: str = Field(description="Plain text, one line, in the summary's language.")
    cites: tuple[str, ...] = Field(
        min_length=1, description="Ids of the transcript's segments that say it, in their order."
    )


class Action(Statement, frozen=True):
    """Something that somebody is to do."""

    owner: str | None = Field(default=None, description="Who does it; null where nobody was named.")
    due: str | None = Field(default=None, description="By when, as it was said; null where not.")


class Section(BaseModel, frozen=True):
    """A stretch of the meeting with one topic. Sections do not overlap, and leave no line out."""

    title: str = Field(description="The topic, plain text, one line.")
    start_ms: int = Field(ge=0, description="Start, ms from the start of the meeting.")
    end_ms: int = Field(ge=0, description="End, ms; never before `start_ms`.")
    statements: tuple[Statement, ...] = Field(description="In the order of what they cite.")
    extractive: bool = Field(
        default=False,
        description="The model gave no usable answer for this stretch: its statements are lines of "
        "the transcript.",
    )


class Dropped(BaseModel, frozen=True):
    """A statement that the citation check, or a later round of the model, took out."""

    text: str = Field(description="What the model said.")
    reason: DropReason = Field(description="What is wrong with it; the first that was found.")


class Summary(BaseModel, frozen=True, title="Greffier summary"):
    """What is worth knowing of a sealed meeting. Every statement cites its lines."""

    schema_version: Literal[1] = Field(
        default=1, description="Counted up when a reader of this one would misread the next."
    )
    meeting: str = Field(description="The meeting's id, as in the transcript.")
    seal: int = Field(description="The seal's number, as in the transcript.")
    language: str = Field(description="BCP 47 tag of the summary; empty where nobody knows.")
    template: str = Field(description="Name of the template, e.g. `general`.")
    made_by: str = Field(description="`llm:<model>`, or `extractive` where no model was asked.")
    overview: tuple[Statement, ...] = Field(description="The whole meeting in a few statements.")
    sections: tuple[Section, ...] = Field(description="In the order of time.")
    decisions: tuple[Statement, ...] = Field(description="What was decided.")
    actions: tuple[Action, ...] = Field(description="Who does what until when.")
    questions: tuple[Statement, ...] = Field(description="What was asked and stays open.")
    dropped: tuple[Dropped, ...] = Field(
        default=(), description="What was taken out; for the operator, not a reader."
    )

    def statements(self) -> Iterator[Statement]:
        """Iterate over every statement, actions too, in the order of the fields."""
        yield from self.overview
        for section in self.sections:
            yield from section.statements
        yield from self.decisions
        yield from self.actions
        yield from self.questions


def summary_schema() -> str:
    """Return the summary's JSON Schema (draft 2020-12) as the text of a file."""
    schema = Summary.model_json_schema(mode="serialization")
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(dialect | schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(summary_schema())
