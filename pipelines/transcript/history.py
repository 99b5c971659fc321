"""What was said so far, page by page: pure.

The order is that of keeping, (epoch, sequence), and so is the cursor: what is kept later comes
later, so that whoever pages misses nothing and gets nothing twice. A segment that a machine settles
anew comes again with its next revision; the highest one counts. One that a person corrects comes
again in the correction's place, and reads as corrected in its first place too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pipelines.events import CaptionFinal, CaptionInterim, iso
from pipelines.transcript.correction import corrected
from pipelines.transcript.line import Line

VERSION: Final = 1
"""Of the page's form; counted up when a reader of this one would misread the next."""


class Cursor(NamedTuple):
    """The last line that somebody has."""

    epoch: int
    sequence: int


START: Final = Cursor(0, 0)
"""Before every line."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the history.

    Args:
        lines: Finals, corrections and holes.
        next: Where the next page begins; None where nothing follows now.
        corrections: Segment -> the ``correction`` line that counts, of those segments at least.
    """

    lines: Sequence[Line]
    next: Cursor | None
    corrections: Mapping[str, Line] = field(default_factory=dict)


def page_of(
    lines: Iterable[Line],
    *,
    after: Cursor,
    limit: int,
    size: int,
    corrections: Mapping[str, Line],
) -> Page:
    """Return the page that follows ``after``.

    Args:
        lines: Lines of kind ``final``, ``correction`` and ``hole`` in order of (epoch, sequence).
        after: The last line that the reader has.
        limit: Most lines in a page, at least 1.
        size: Most bytes of their data, as JSON; a page has one line even if it is longer.
        corrections: Segment -> the ``correction`` line that counts.
    """
    page: list[Line] = []
    taken = 0
    for line in lines:
        if line.key <= after:
            continue
        taken += len(line.encode())
        if line.kind == "final" and line.data["segment"] in corrections:
            taken += len(corrections[line.data["segment"]].encode())
        if page and (len(page) == limit or taken > size):
            return Page(page, Cursor(*page[-1].key), corrections)
        page.append(line)
    return Page(page, None, corrections)


def latest_revisions(
    captions: Iterable[CaptionFinal], *, since: float, corrections: Mapping[str, Line]
) -> list[CaptionFinal]:
    """Return each segment as it reads now, in order of time.

    Args:
        captions: Finals of any revision, in any order.
        since: Unix seconds; what began before is left out.
        corrections: Segment -> the ``correction`` line that counts.
    """
    latest: dict[str, CaptionFinal] = {}
    for caption in captions:
        other = latest.get(caption.segment)
        if other is None or caption.revision > other.revision:
            latest[caption.segment] = caption
    read = (corrected(caption, corrections.get(caption.segment)) for caption in latest.values())
    kept = (caption for caption in read if caption.at >= since and caption.text)
    return sorted(kept, key=lambda caption: caption.at)


def page_message(
    page: Page, *, meeting: str, started_at: float, interims: Iterable[CaptionInterim]
) -> dict[str, Any]:
    """Build the reply that carries a page, JSON-serialisable.

    Args:
        page: The page.
        meeting: The meeting's id.
        started_at: Start of the meeting, Unix seconds.
        interims: What is being said at the moment; told with the last page only.
    """
    return {
        "version": VERSION,
        "meeting": meeting,
        "segments": [
            _segment(line, page.corrections, started_at)
            for line in page.lines
            if line.kind in ("final", "correction")
        ],
        "holes": [_hole(line, started_at) for line in page.lines if line.kind == "hole"],
        "next": page.next and page.next._asdict(),
        "interims": [] if page.next else [_interim(caption) for caption in interims],
    }


def _segment(line: Line, corrections: Mapping[str, Line], started_at: float) -> Mapping[str, Any]:
    data = line.data if line.kind == "final" else line.data["final"]
    correction = corrections.get(data["segment"])
    told = ("segment", "revision", "speaker", "name", "text", "start_ms", "end_ms", "track")
    return {
        "epoch": line.epoch,
        "sequence": line.sequence,
        **{key: data[key] for key in told},
        "language": data["language"],
        "start": iso(started_at + data["start_ms"] / 1000),
        **(_correction(correction, data["text"]) if correction else {}),
    }


def _correction(line: Line, original: str) -> Mapping[str, Any]:
    by = {"identity": line.data["by"], "name": line.data["name"]}
    return {
        "text": line.data["text"],
        "correction": {"by": by, "at": iso(line.at), "original": original},
    }


def _hole(line: Line, started_at: float) -> Mapping[str, Any]:
    data = line.data
    return {
        "epoch": line.epoch,
        "sequence": line.sequence,
        **{key: data[key] for key in ("start_ms", "end_ms", "cause", "speakers")},
        "reason": data.get("reason", ""),
        "start": iso(started_at + data["start_ms"] / 1000),
    }


def _interim(caption: CaptionInterim) -> Mapping[str, Any]:
    return {
        "segment": caption.segment,
        "speaker": caption.identity,
        "name": caption.name,
        "text": caption.text,
        "start": iso(caption.at),
        "track": caption.track,
    }
