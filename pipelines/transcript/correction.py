"""How a person says a segment should read: pure.

A correction is a line of its own, beside the finals of its segment. It stands above whatever a
machine says of the segment, before it or after; of several the one that was kept last counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pipelines.events import CaptionFinal, Correction
from pipelines.transcript.line import Line, final_data


def correction_data(
    caption: CaptionFinal, text: str, *, by: str, name: str, index: int, meeting_start: float
) -> dict[str, Any]:
    """Build the ``data`` of a ``correction`` line.

    Args:
        caption: The segment as the machine settled it; it is kept along, so that a page of the
            history tells all of the segment from this line.
        text: How it should read.
        by: Identity of the person who says so.
        name: That person's name.
        index: Of the line in the meeting, counted on from the finals'.
        meeting_start: Unix seconds.
    """
    return {
        "segment": caption.segment,
        "text": text,
        "by": by,
        "name": name,
        "said_at": round(caption.at, 3),
        "index": index,
        "final": final_data(caption, meeting_start=meeting_start),
    }


def latest_corrections(lines: Iterable[Line]) -> dict[str, Line]:
    """Return segment -> the ``correction`` line that counts, of lines in any order."""
    latest: dict[str, Line] = {}
    for line in lines:
        if line.kind == "correction":
            segment = line.data["segment"]
            latest[segment] = max(latest.get(segment, line), line, key=lambda one: one.key)
    return latest


def corrected(caption: CaptionFinal, line: Line | None) -> CaptionFinal:
    """Return the caption as a person says it reads, or as it is where nobody says so."""
    if line is None:
        return caption
    data = line.data
    correction = Correction(line.at, data["by"], data["name"], original=caption.text)
    return replace(caption, text=data["text"], correction=correction)
