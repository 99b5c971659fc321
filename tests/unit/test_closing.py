"""The end of a job: what fails or hangs is left to recovery and holds nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from agents import shutdown
from agents.closing import Closable, let_go, write_recording_file
from pipelines.transcript.ledger import Ledger
from pipelines.transcript.line import Line
from pipelines.transcript.recording_file import RecordingFile
from pipelines.transcript.stores.files import FilesStore


class Hanging:
    """Never comes to an end by itself."""

    lines = 0

    async def finish_in_time(self, lines: Sequence[Line], *, seconds: float) -> None:
        self.lines = len(lines)
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        await asyncio.Event().wait()


class Closing:
    """Closes, or fails to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.closed = False
        self._error = error

    async def aclose(self) -> None:
        if self._error:
            raise self._error
        self.closed = True


async def test_a_recordings_file_that_hangs_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutdown, "RECORDING_FILE", 0.05)
    stores = [FilesStore(tmp_path / "transcripts")]
    ledger = await Ledger.open(
        "m", 7, started_at=1000.0, journal_dir=tmp_path / "journal", stores=stores
    )
    ledger.append("note", {}, at=1001.0)
    file = Hanging()
    async with asyncio.timeout(5):
        await write_recording_file(cast("RecordingFile", file), ledger)
    assert file.lines == 1
    ledger.release()


async def test_a_connection_that_hangs_or_fails_keeps_no_other_from_closing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutdown, "CLOSE", 0.05)
    last = Closing()
    parts: list[Closable] = [Hanging(), Closing(RuntimeError("no")), last]
    async with asyncio.timeout(5):
        await let_go(parts)
    assert last.closed
