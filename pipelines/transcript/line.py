"""The one kind of record that the journal and every store keep: a line.

A line is a JSON object. Lines of a meeting form a grow-only set keyed (epoch, sequence); finals are
also keyed (segment, revision). Nothing ever changes a line, so a dead neighbour's journal can be
replayed at any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pipelines.events import CaptionFinal, Hole, iso

LineKind = Literal[
    "opened",  # an epoch began: room, SID, start of the meeting
    "final",  # a caption's settled text
    "correction",  # how a person says a segment should read, and who that is
    "hole",  # speech that nobody heard or understood
    "person",  # a participant's identity and name, as joined or renamed
    "note",  # what an agent stored: its name, a kind of its own, data
    "state",  # an agent's small state: key and value
    "action",  # a step of an approval, or a tool call that ran or was refused: the audit trail
    "ended",  # the epoch ended in good order
]


_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "opened": ("room", "room_sid", "started_at"),
    "final": (
        *("segment", "revision", "speaker", "name", "text"),
        *("start_ms", "end_ms", "track", "language", "engine"),
    ),
    "correction": ("segment", "text", "by", "name", "said_at", "final"),
    "hole": ("start_ms", "end_ms", "cause", "speakers"),
    "person": ("identity", "name"),
    "state": ("key", "value"),
    "action": ("event",),
}


class TornLineError(ValueError):
    """The bytes are no whole line: the writer died in the middle, or the disk was full."""


@dataclass(frozen=True, slots=True)
class Line:
    """One kept fact.

    Args:
        meeting: The meeting's id.
        epoch: The writer's epoch; grows with every job that serves the meeting.
        sequence: 1, 2, 3, ... within (meeting, epoch), without holes.
        kind: What it is; decides what ``data`` holds.
        at: UTC wall time in Unix seconds, kept to the millisecond.
        data: JSON-serialisable fields of this kind.
    """

    meeting: str
    epoch: int
    sequence: int
    kind: LineKind
    at: float
    data: dict[str, Any]

    @property
    def key(self) -> tuple[int, int]:
        """The line's identity within its meeting."""
        return (self.epoch, self.sequence)

    def encode(self) -> bytes:
        """Serialise as one line of UTF-8 JSON that ends in a newline."""
        fields = {
            "meeting": self.meeting,
            "epoch": self.epoch,
            "seq": self.sequence,
            "kind": self.kind,
            "at": round(self.at, 3),
            "time": iso(self.at),
            "data": self.data,
        }
        return (
            json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
            + b"\n"
        )

    @classmethod
    def decode(cls, raw: bytes) -> Line:
        """Read back what :meth:`encode` wrote.

        Raises:
            TornLineError: ``raw`` is not a whole line, or lacks a field that its kind has.
        """
        try:
            fields = json.loads(raw)
            _demand(fields["kind"], fields["data"])
            if fields["kind"] == "correction":
                _demand("final", fields["data"]["final"])
            return cls(
                meeting=fields["meeting"],
                epoch=fields["epoch"],
                sequence=fields["seq"],
                kind=fields["kind"],
                at=fields["at"],
                data=fields["data"],
            )
        except (ValueError, TypeError, KeyError) as error:
            raise TornLineError(f"not a whole line: {len(raw)} bytes") from error


def _demand(kind: str, data: Mapping[str, Any]) -> None:
    """Raise KeyError where a field is missing that every line of ``kind`` has."""
    for key in _REQUIRED.get(kind, ()):
        data[key]


def final_data(caption: CaptionFinal, *, meeting_start: float) -> dict[str, Any]:
    """Build the ``data`` of a ``final`` line: times in ms from the start of the meeting."""
    return {
        "segment": caption.segment,
        "revision": caption.revision,
        "speaker": caption.identity,
        "name": caption.name,
        "text": caption.text,
        "start_ms": round((caption.at - meeting_start) * 1000),
        "end_ms": round((caption.end - meeting_start) * 1000),
        "track": caption.track,
        "language": caption.language,
        "engine": caption.engine,
        "index": caption.index,
    }


def caption_of(line: Line, *, meeting_start: float) -> CaptionFinal:
    """Read back the caption of a ``final`` line, uncorrected; the inverse of :func:`final_data`."""
    data = line.data
    return CaptionFinal(
        at=meeting_start + data["start_ms"] / 1000,
        end=meeting_start + data["end_ms"] / 1000,
        segment=data["segment"],
        identity=data["speaker"],
        name=data["name"],
        text=data["text"],
        track=data["track"],
        language=data["language"],
        engine=data["engine"],
        revision=data["revision"],
        index=data.get("index", 0),  # Lines of 0.1.0 have none.
    )


def hole_data(hole: Hole, *, meeting_start: float) -> dict[str, Any]:
    """Build the ``data`` of a ``hole`` line: times in ms from the start of the meeting."""
    return {
        "start_ms": round((hole.at - meeting_start) * 1000),
        "end_ms": round((hole.end - meeting_start) * 1000),
        "cause": hole.cause,
        "speakers": list(hole.speakers),
        **({"reason": hole.reason} if hole.reason else {}),
    }


def distinct(lines: Iterable[Line]) -> list[Line]:
    """Return each line once, in order of (epoch, sequence)."""
    return [line for _, line in sorted({line.key: line for line in lines}.items())]
