"""What the store server keeps, and the requests it takes: one directory of JSON Lines.

::

    lines/<meeting key>/lines/<epoch>.jsonl   our own contract: each line once
    meetai/<meeting key>.jsonl                MeetAI's: what was posted, as often as it was posted

A request is acknowledged when its lines are on the disk.
"""

from __future__ import annotations

import asyncio
import json
import os
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.transcript.journal import read_journal
from pipelines.transcript.line import Line, LineKind, distinct
from pipelines.transcript.paths import meeting_key
from pipelines.transcript.stores.files import FilesStore

MOST_LINES: Final = 200
MOST_PAGE: Final = 500
LONGEST_PAGE: Final = 8 * 1024 * 1024  # bytes; a page has at least one line


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LineFields(_Fields):
    """A line as it is posted: what ``Line.encode`` writes."""

    meeting: str
    epoch: Annotated[int, Field(ge=1)]
    seq: Annotated[int, Field(ge=1)]
    kind: LineKind
    at: float
    time: str
    data: dict[str, Any]

    def line(self) -> Line:
        """Return the line."""
        return Line(self.meeting, self.epoch, self.seq, self.kind, self.at, self.data)


class Post(_Fields):
    """The body of a batch: lines of one meeting and epoch, without holes."""

    meeting: str
    epoch: Annotated[int, Field(ge=1)]
    lines: Annotated[list[LineFields], Field(min_length=1, max_length=MOST_LINES)]

    @model_validator(mode="after")
    def _is_one_epoch(self) -> Self:
        if any((line.meeting, line.epoch) != (self.meeting, self.epoch) for line in self.lines):
            raise ValueError("a line of another meeting or epoch")
        if any(second.seq != first.seq + 1 for first, second in pairwise(self.lines)):
            raise ValueError("a hole, or another order than that of seq")
        return self


class Page(BaseModel):
    """The query of a read."""

    meeting: str
    after: Annotated[str, Field(pattern=r"^\d+\.\d+$")] = "0.0"
    limit: Annotated[int, Field(ge=1, le=MOST_PAGE)] = MOST_PAGE


class MeetaiLine(_Fields):
    """A line as a MeetAI-style backend takes it."""

    role: Literal["human", "assistant"]
    speaker: str
    text: Annotated[str, Field(min_length=1)]
    timestamp: int
    index: int | None = None


class MeetaiPost(_Fields):
    """The body of a request to a MeetAI-style backend."""

    meeting: Annotated[str, Field(alias="meetingId")]
    secret: Annotated[str, Field(alias="INTERNAL_HANDSHAKE_SECRET", repr=False)]
    lines: list[MeetaiLine]


class KeptLines:
    """Reads and writes the directory; any process may read while one writes."""

    def __init__(self, directory: Path) -> None:
        self._files = FilesStore(directory / "lines")
        self._meetai = directory / "meetai"

    async def add(self, post: Post, *, share: float = 1.0) -> None:
        """Keep the first ``share`` of the lines, each once, on the disk when this returns."""
        lines = [fields.line() for fields in post.lines]
        if kept := lines[: round(len(lines) * share)]:
            await self._files.append(post.meeting, kept)

    def lines(self, meeting: str) -> list[Line]:
        """Return the meeting's lines of our own contract, in order."""
        paths = (self._files.directory(meeting) / "lines").glob("*.jsonl")
        return distinct(line for path in paths for line in read_journal(path).lines)

    async def page(self, page: Page) -> dict[str, Any]:
        """Return the lines that a page asks for, and where the next one begins."""
        lines = await self._files.read(page.meeting)
        epoch, _, sequence = page.after.partition(".")
        rest = [line for line in lines if line.key > (int(epoch), int(sequence))]
        sizes = accumulate(len(line.encode()) for line in rest[: page.limit])
        count = max(1, sum(size <= LONGEST_PAGE for size in sizes))
        last = rest[count - 1] if count < len(rest) else None
        return {
            "lines": [json.loads(line.encode()) for line in rest[:count]],
            "next": f"{last.epoch}.{last.sequence}" if last else None,
        }

    async def append_meetai(self, post: MeetaiPost, *, share: float = 1.0) -> int:
        """Append the first ``share`` of the lines, and return how many they were."""
        lines = post.lines[: round(len(post.lines) * share)]
        await asyncio.to_thread(self._append_meetai, post.meeting, lines)
        return len(lines)

    def meetai_lines(self, meeting: str) -> list[dict[str, Any]]:
        """Return what a meeting's MeetAI backend was given, in order, doubles and all."""
        try:
            kept = self._meetai_path(meeting).read_bytes()
        except FileNotFoundError:
            return []
        whole = kept[: kept.rfind(b"\n") + 1]
        return [json.loads(line) for line in whole.splitlines()]

    def _append_meetai(self, meeting: str, lines: list[MeetaiLine]) -> None:
        path = self._meetai_path(meeting)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.writelines(
                line.model_dump_json(exclude_none=True).encode() + b"\n" for line in lines
            )
            file.flush()
            os.fsync(file.fileno())

    def _meetai_path(self, meeting: str) -> Path:
        return self._meetai / f"{meeting_key(meeting)}.jsonl"
