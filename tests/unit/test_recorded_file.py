"""Any file becomes a sealed meeting of its own."""

from __future__ import annotations

import os
from pathlib import Path

from pipelines.post_meeting.recorded_file import seal_file
from pipelines.post_meeting.source import Source
from pipelines.post_meeting.wanted import Wanted
from pipelines.transcript.document import TranscriptDocument


async def started_at(file: Path, out: Path, source: Source) -> str | None:
    sealed = await seal_file(file, out, source=source, wanted=Wanted())
    raw = (out / sealed.directory / "transcript.json").read_bytes()
    return TranscriptDocument.model_validate_json(raw).started_at


async def test_it_began_when_its_source_says_or_else_at_the_time_of_the_file(
    tmp_path: Path,
) -> None:
    file = tmp_path / "interview.wav"
    file.write_bytes(b"sound")
    os.utime(file, (1_795_257_000, 1_795_257_000))
    source = Source(address=str(file))
    assert await started_at(file, tmp_path / "out", source) == "2026-11-21T10:30:00.000Z"
    said = source.model_copy(update={"started_at": "2026-11-20T09:00:00.000Z"})
    assert await started_at(file, tmp_path / "other", said) == "2026-11-20T09:00:00.000Z"
