"""What a batch engine heard in a recording: text with times, and voices told apart where it can.

Kept as ``recording.json``. Times count from the recording's first sample; whose voice it is, and
when that was in the meeting, is :mod:`pipelines.post_meeting.align`'s to find out.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class HeardWord(BaseModel, frozen=True):
    """One word, or a part of one in a language without spaces."""

    text: str = Field(description="As the engine wrote it.")
    start: float | None = Field(default=None, description="Seconds; null where it is not known.")
    end: float | None = Field(default=None, description="Seconds; null where it is not known.")
    voice: str | None = Field(default=None, description="Of this word, where it is told apart.")


class HeardSegment(BaseModel, frozen=True):
    """What was heard in one go."""

    text: str = Field(description="What was heard; never blank.")
    start: float = Field(ge=0, description="Seconds from the recording's first sample.")
    end: float = Field(ge=0, description="Seconds; never before `start`.")
    voice: str | None = Field(
        default=None,
        description="The diariser's label of the voice. The same label is the same voice within "
        "one `part` only.",
    )
    words: tuple[HeardWord, ...] = Field(
        default=(), description="Empty where the engine gives no words."
    )
    language: str = Field(
        default="", description="BCP 47 tag, or empty where the engine does not tell."
    )
    part: int = Field(default=0, description="Which piece of the recording was sent, from 0.")


class Unheard(BaseModel, frozen=True):
    """Speech that no engine has heard: a hole."""

    start: float = Field(description="Seconds from the recording's first sample.")
    end: float = Field(description="Seconds.")
    reason: str = Field(description="In words that people understand.")


class Transcription(BaseModel, frozen=True, title="Greffier transcription of a recording"):
    """All that a batch engine heard in a recording."""

    schema_version: Literal[1] = Field(
        default=1, description="Counted up when a reader of this one would misread the next."
    )
    engine: str = Field(description="The engine, e.g. `deepgram/nova-3` or `http/large-v3`.")
    language: str = Field(description="BCP 47 tag that was asked for, or empty for none.")
    started_at: str | None = Field(
        default=None,
        description="When the recording began, UTC, ISO 8601, by the recorder's clock; null where "
        "nobody said.",
    )
    seconds: float = Field(ge=0, description="Length of what could be decoded.")
    damaged: bool = Field(
        default=False, description="Some of the recording is missing or could not be decoded."
    )
    segments: tuple[HeardSegment, ...] = Field(description="In the order of their start.")
    unheard: tuple[Unheard, ...] = Field(default=(), description="In the order of their start.")
