"""The files store on a disk that is full, stuck or gone: real faults that strike root too."""

# ruff: noqa: D102
# The methods of a target are documented once, in its protocol.

from __future__ import annotations

import asyncio
import fcntl
import os
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.store_targets import SLOW, TIMEOUT, FaultName
from pipelines.transcript.line import Line
from pipelines.transcript.paths import meeting_key
from pipelines.transcript.stores.files import FilesStore
from pipelines.transcript.stores.store import Store

DISK_FAULTS: Final[Sequence[FaultName]] = (
    "none",
    "before send",  # the directory is no directory
    "mid-body",  # the disk is full in the middle of a line
    "5xx",  # the disk is full before the first byte
    "time-out",  # another process holds the file; the late write happens all the same
    "slow",  # it holds it for less
    "gone and back",
    "replayed",
)
"""Those that a disk has; what is committed without anybody hearing of it is the time-out's."""

FULL_DISK: Final[Sequence[FaultName]] = ("mid-body", "5xx")
"""Those that limit the whole process, so that nothing else may be written meanwhile."""

_HELD: Final = 1.5 * TIMEOUT


class DiskTarget:
    """A directory with a files store.

    Args:
        root: The store's directory; made here.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True)
        self.root = root
        self.asked = 0
        self.broken = 0
        self._next: FaultName = "none"

    def open_store(self, *, wrong_key: bool = False) -> Store:
        if wrong_key:
            raise ValueError("a directory has no key")
        return _OnDisk(self)

    def strike(self, fault: FaultName) -> None:
        self._next = fault

    async def leave(self) -> None:
        self.root.rename(self._away)
        self.root.touch()  # A file in its place: it can't be made anew either.

    async def come_back(self) -> None:
        self.root.unlink()
        self._away.rename(self.root)

    def fact(self, line: Line) -> bytes:
        return line.encode()

    def kept(self, meeting: str) -> list[bytes]:
        paths = sorted((self.root / meeting_key(meeting)).glob("lines/*.jsonl"))
        return [line for path in paths for line in path.read_bytes().splitlines(keepends=True)]

    async def append(self, store: FilesStore, meeting: str, lines: Sequence[Line]) -> None:
        """Append to ``store`` under the fault that is to strike."""
        self.asked += 1
        fault, self._next = self._next, "none"
        self.broken += fault != "none"
        path = store.directory(meeting) / "lines" / f"{lines[0].epoch}.jsonl"
        match fault:
            case "before send":
                await self.leave()
                try:
                    await store.append(meeting, lines)
                finally:
                    await self.come_back()
            case "mid-body" | "5xx":
                half = sum(len(line.encode()) for line in lines) // 2
                with _room_for(half if fault == "mid-body" else 0, path):
                    await store.append(meeting, lines)
            case "time-out" | "slow":
                _hold(path, SLOW if fault == "slow" else _HELD)
                await store.append(meeting, lines)
            case _:
                await store.append(meeting, lines)

    @property
    def _away(self) -> Path:
        return self.root.with_suffix(".away")


class _OnDisk(FilesStore):
    """The store under test, with the disk's faults around each batch."""

    def __init__(self, target: DiskTarget) -> None:
        super().__init__(target.root)
        self._target = target
        self._inner = FilesStore(target.root)

    async def append(self, meeting: str, lines: Sequence[Line]) -> None:
        await self._target.append(self._inner, meeting, lines)


@contextmanager
def _room_for(more: int, path: Path) -> Iterator[None]:
    """Let no file grow beyond what ``path`` has and ``more`` bytes; Python ignores SIGXFSZ."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.stat().st_size if path.exists() else 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _hold(path: Path, seconds: float) -> None:
    """Hold the file's lock for ``seconds``, as another process would whose disk is stuck."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    asyncio.get_running_loop().call_later(seconds, os.close, fd)
