"""The files store: one directory a meeting, with its lines and its sealed transcripts.

::

    <meeting key>/lines/<epoch>.jsonl      every line, appended and synced
    <meeting key>/seal-<n>/transcript.*    the artefacts of the n-th seal
    <meeting key>/seal-<n>/seal.json       what the seal covers
    .pending/<meeting key>.<n>             a seal of which more is to be made (minutes)

The directory of a seal appears whole, by rename, or not at all.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pipelines.errors import StoreError
from pipelines.failpoints import failpoint
from pipelines.transcript.journal import read_journal, sync_directory
from pipelines.transcript.line import Line, distinct
from pipelines.transcript.paths import PENDING, Sealed, meeting_key

_TAIL: Final = 1 << 20
"""Bytes read to find the last whole line; a line is shorter (see ``ledger.MAX_LINE``)."""


class FilesStore:
    """Keeps lines in files below ``root``; safe for several processes of one machine.

    Args:
        root: Directory of all meetings.
        leaves_work: Mark each new seal as work to do, for ``pipelines.post_meeting``.
    """

    name = "files"
    reads_back = True

    def __init__(self, root: Path, *, leaves_work: bool = False) -> None:
        self._root = root
        self._leaves_work = leaves_work

    def directory(self, meeting: str) -> Path:
        """Return the meeting's directory; it need not exist."""
        return self._root / meeting_key(meeting)

    async def append(self, meeting: str, lines: Sequence[Line]) -> None:
        """Append those of ``lines`` that the file of their epoch does not have, and sync it."""
        await asyncio.to_thread(self._append, meeting, lines)

    async def read(self, meeting: str) -> list[Line]:
        """Return every line of the meeting once, in order of (epoch, sequence)."""
        return await asyncio.to_thread(self._read, meeting)

    async def seals(self, meeting: str) -> dict[int, dict[int, int]]:
        """Return what each seal covers: number -> epoch -> how many lines."""
        return await asyncio.to_thread(self._seals, meeting)

    async def put_seal(
        self, meeting: str, number: int, *, covers: Mapping[int, int], files: Mapping[str, str]
    ) -> Path:
        """Write the artefacts ``files`` (name -> text) of seal ``number``, all or nothing.

        Raises:
            StoreError: They can't be written, or the seal exists.
        """
        return await asyncio.to_thread(self._put_seal, meeting, number, covers, files)

    async def sealed(self, meeting: str, lines: int) -> None:
        """Nothing here serves only the recovery."""

    async def aclose(self) -> None:
        """Nothing is held open."""

    def _append(self, meeting: str, lines: Sequence[Line]) -> None:
        path = self.directory(meeting) / "lines" / f"{lines[0].epoch}.jsonl"
        try:
            _make_directory(path.parent)
            with _locked(path) as fd:
                last = _mend(fd)
                new = [line for line in lines if line.sequence > last]
                if len(new) < len(lines):  # Given again, after a crash; only then is it read.
                    kept = {line.sequence for line in read_journal(path).lines}
                    new = [line for line in lines if line.sequence not in kept]
                half = len(new) // 2
                _write_all(fd, b"".join(line.encode() for line in new[:half]))
                failpoint("mid_flush")
                _write_all(fd, b"".join(line.encode() for line in new[half:]))
                os.fsync(fd)
        except OSError as error:
            raise StoreError(f"files store: {error}") from error

    def _read(self, meeting: str) -> list[Line]:
        try:
            paths = sorted((self.directory(meeting) / "lines").glob("*.jsonl"))
            return distinct(line for path in paths for line in read_journal(path).lines)
        except OSError as error:
            raise StoreError(f"files store: {error}") from error

    def _seals(self, meeting: str) -> dict[int, dict[int, int]]:
        seals = {}
        for path in self.directory(meeting).glob("seal-*/seal.json"):
            covers = json.loads(path.read_text())["covers"]
            seals[int(path.parent.name.removeprefix("seal-"))] = {
                int(epoch): count for epoch, count in covers.items()
            }
        return seals

    def _put_seal(
        self, meeting: str, number: int, covers: Mapping[int, int], files: Mapping[str, str]
    ) -> Path:
        final = self.directory(meeting) / f"seal-{number}"
        unfinished = final.with_name(f".{final.name}.{os.getpid()}")
        seal = json.dumps({"seal": number, "covers": dict(covers)}, indent=1)
        try:
            _make_directory(final.parent)
            with _locked(final.parent / ".lock"):
                for stale in final.parent.glob(".seal-*"):
                    shutil.rmtree(stale)
                unfinished.mkdir()
                for name, text in {**files, "seal.json": seal}.items():
                    _write_synced(unfinished / name, text)
                if self._leaves_work:
                    # Before the seal: one without its marker would never be looked at.
                    self._mark(Sealed(final.parent.name, number))
                failpoint("seal")
                unfinished.rename(final)
                sync_directory(final.parent)
        except OSError as error:
            raise StoreError(f"files store: {error}") from error
        return final

    def _mark(self, sealed: Sealed) -> None:
        marker = self._root / PENDING / sealed.marker
        _make_directory(marker.parent)
        marker.touch()
        sync_directory(marker.parent)


def _make_directory(directory: Path) -> None:
    if not directory.is_dir():
        directory.mkdir(parents=True, exist_ok=True)
        sync_directory(directory.parent)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        if not os.fstat(fd).st_size:
            sync_directory(path.parent)
        yield fd
    finally:
        os.close(fd)


def _mend(fd: int) -> int:
    """Cut off a torn last line and return the sequence of the last whole one, or 0."""
    size = os.fstat(fd).st_size
    tail = os.pread(fd, _TAIL, max(0, size - _TAIL))
    whole = tail.rfind(b"\n") + 1
    if whole < len(tail):
        os.ftruncate(fd, size - (len(tail) - whole))
    last = tail[:whole].rstrip(b"\n").rpartition(b"\n")[2]
    return Line.decode(last).sequence if last else 0


def _write_synced(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _write_all(fd: int, encoded: bytes) -> None:
    while encoded:
        encoded = encoded[os.write(fd, encoded) :]
