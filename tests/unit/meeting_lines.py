"""Lines of one meeting, and the document that they make."""

from __future__ import annotations

from itertools import count
from typing import Any

from pipelines.events import CaptionFinal
from pipelines.transcript.build_document import build_document
from pipelines.transcript.correction import correction_data
from pipelines.transcript.document import TranscriptDocument
from pipelines.transcript.line import Line, LineKind

START = 1_795_253_400.0  # 2026-11-21T09:30:00Z

_sequence = count(1)


def line(kind: LineKind, *, epoch: int = 1, at: float = START, **data: Any) -> Line:
    return Line("standup", epoch, next(_sequence), kind, at, data)


def opened(*, epoch: int = 1, started_at: float = START) -> Line:
    return line("opened", epoch=epoch, room="room", room_sid="RM_1", started_at=started_at)


def final(
    segment: str,
    text: str = "hello",
    *,
    start_ms: int = 0,
    end_ms: int = 1000,
    epoch: int = 1,
    revision: int = 0,
    speaker: str = "ada",
    name: str = "Ada",
) -> Line:
    return line(
        "final",
        epoch=epoch,
        at=START + start_ms / 1000,
        segment=segment,
        revision=revision,
        speaker=speaker,
        name=name,
        text=text,
        start_ms=start_ms,
        end_ms=end_ms,
        track="TR_1",
        language="en",
        engine="fake/fake",
    )


def person(identity: str, name: str, *, after_s: float = 0.0, epoch: int = 1) -> Line:
    return line("person", epoch=epoch, at=START + after_s, identity=identity, name=name)


def note(kind: str, data: Any, *, after_s: float = 0.0) -> Line:
    fields = {"agent": "metadata", "kind": kind, "data": data}
    return Line("standup", 1, next(_sequence), "note", START + after_s, fields)


def ended(*, after_s: float, epoch: int = 1) -> Line:
    return line("ended", epoch=epoch, at=START + after_s, reason="room closed")


def correction(segment: str, text: str, *, by: str = "grace", after_s: float = 60.0) -> Line:
    said = CaptionFinal(START, START + 1, segment, "ada", "Ada", "helo")
    data = correction_data(said, text, by=by, name=by.title(), index=2, meeting_start=START)
    return line("correction", at=START + after_s, **data)


def hole(start_ms: int, end_ms: int, *speakers: str, epoch: int = 1, **more: Any) -> Line:
    data = {"start_ms": start_ms, "end_ms": end_ms, "cause": "engine", "speakers": list(speakers)}
    return Line("standup", epoch, next(_sequence), "hole", START, {**data, **more})


def document(*lines: Line) -> TranscriptDocument:
    return build_document(lines, seal=1)


def texts(*lines: Line) -> list[str]:
    return [segment.text for segment in document(*lines).segments]
