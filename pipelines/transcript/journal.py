"""One epoch's journal: every line in the page cache before anybody sees it.

The writer holds an exclusive ``flock`` on the file for as long as it lives; the kernel lets go when
the process dies, so a journal that can be locked is a journal whose writer is gone.

``write(2)`` survives the death of the process; ``fsync``, grouped by the caller, survives the loss
of power. When the disk is full or read-only, lines wait in memory (:attr:`Journal.durable` is
False) and are written, in order, as soon as the disk takes them.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sys
import time
from bisect import bisect_right
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipelines.failpoints import armed, failpoint
from pipelines.metrics import metrics
from pipelines.transcript.line import Line, TornLineError, distinct

log = logging.getLogger(__name__)

RECENT: Final = 2_000
"""Lines held in memory for stores that keep up; one that does not reads the file."""

SIGN_INTERVAL: Final = 1.0
"""Seconds between two signs of life of a writer that has nothing to write."""

MARK_EVERY: Final = 500
"""Lines between two known places in the file: a reader that is behind begins at one."""


class Journal:
    """Appends the lines of one (meeting, epoch); owned by one process.

    Args:
        path: The file; made on the first use, and must not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None
        self._torn = False
        self._unsynced = False
        self._unsyncable = False
        self._signed = 0.0
        self._pending: deque[bytes] = deque()
        self._recent: deque[Line] = deque(maxlen=RECENT)
        self._marks: list[tuple[int, int]] = [(0, 0)]

    @property
    def durable(self) -> bool:
        """Whether every line is in the file, and what the file has reaches the disk."""
        return not self._pending and not self._unsyncable

    def append(self, line: Line) -> None:
        """Write the line before returning; never raises for the disk's sake.

        Raises:
            ValueError: The line can't be encoded; nothing is written or kept.
        """
        encoded = line.encode()
        if line.sequence % MARK_EVERY == 0 and self.durable and self._fd is not None:
            self._marks.append((line.sequence, os.lseek(self._fd, 0, os.SEEK_END)))
        self._pending.append(encoded)
        self.write_pending()
        self._recent.append(line)
        metrics().journal_lines.inc()
        if self.durable:
            failpoint("journal_write")

    def write_pending(self) -> None:
        """Write what the disk did not take before."""
        try:
            while self._pending:
                self._write(self._pending[0])
                self._pending.popleft()
        except OSError as error:
            if len(self._pending) == 1:
                log.error("journal not written, lines wait in memory", extra={"cause": str(error)})
        metrics().journals_not_durable.set(not self.durable)

    def sync(self) -> None:
        """Bring what was written to the disk; may take long, so call it from a thread.

        Also leaves a sign of life in the file: :func:`last_sign` reads it when this process is
        dead. Never raises for the disk's sake: :attr:`durable` tells.
        """
        if self._unsynced and self._fd is not None:
            # Before the call: what is written during it needs another one.
            self._unsynced = False
            failpoint("fsync")
            try:
                os.fsync(self._fd)
            except OSError as error:
                self._unsynced = True
                if not self._unsyncable:
                    log.error("journal not synced", extra={"cause": str(error)})
                self._unsyncable = True
            else:
                self._unsyncable = False
        self._leave_sign()

    def recent_after(self, sequence: int, *, limit: int) -> list[Line] | None:
        """Return up to ``limit`` lines that follow ``sequence``; None if they left memory."""
        if not self._recent or self._recent[-1].sequence <= sequence:
            return []
        if self._recent[0].sequence > sequence + 1:
            return None
        first = sequence + 1 - self._recent[0].sequence
        return [self._recent[i] for i in range(first, min(first + limit, len(self._recent)))]

    def older_after(self, sequence: int, *, limit: int) -> list[Line]:
        """Return up to ``limit`` lines that follow ``sequence`` from the file; from a thread."""
        # What the disk did not take is older than memory's oldest only after a disk was full for
        # more than RECENT lines.
        waiting = [Line.decode(encoded) for encoded in tuple(self._pending)]
        place = bisect_right(self._marks, sequence + 1, key=lambda mark: mark[0]) - 1
        offset = self._marks[place][1]
        read = read_journal(self.path, offset=offset, after=sequence, most=limit)
        lines = distinct((*read.lines, *waiting))
        return [line for line in lines if line.sequence > sequence][:limit]

    def close(self) -> None:
        """Write what waits, sync, and let go of the lock."""
        self.write_pending()
        self.sync()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _leave_sign(self) -> None:
        if self._fd is not None and time.monotonic() - self._signed >= SIGN_INTERVAL:
            self._signed = time.monotonic()
            with suppress(OSError):  # A disk that is read-only.
                os.utime(self._fd)

    def _write(self, encoded: bytes) -> None:
        fd = self._fd if self._fd is not None else self._open()
        if self._torn:
            encoded = b"\n" + encoded
        if armed("mid_line"):
            os.write(fd, encoded[: len(encoded) // 2])
            failpoint("mid_line")
            encoded = encoded[len(encoded) // 2 :]
        written = os.write(fd, encoded)
        metrics().journal_bytes.inc(written)
        self._unsynced = True
        self._torn = written < len(encoded)
        if self._torn:
            raise OSError(f"{written} of {len(encoded)} bytes written")

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # It gets its name when it is locked: nobody ever sees a living writer's journal unlocked.
        unlocked = self.path.with_suffix(f".{os.getpid()}.unlocked")
        fd = os.open(unlocked, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A link is refused where there is one: two writers can't have the same epoch.
            os.link(unlocked, self.path)
            sync_directory(self.path.parent)
        except OSError:
            os.close(fd)
            raise
        finally:
            unlocked.unlink(missing_ok=True)
        self._fd = fd
        return fd


class UnkeptJournal(Journal):
    """Stands where a journal would: what must not be kept is never in a file."""

    def append(self, line: Line) -> None:
        """Check the line and forget it.

        Raises:
            ValueError: The line can't be encoded.
        """
        line.encode()


@dataclass(frozen=True, slots=True)
class JournalRead:
    """What a journal file holds; ``torn`` counts pieces that are no whole line."""

    lines: list[Line]
    torn: int


def read_journal(
    path: Path, *, offset: int = 0, after: int = 0, most: int = sys.maxsize
) -> JournalRead:
    """Read the whole lines of a journal, also while its writer lives.

    Args:
        path: The file; one that is not there has no lines.
        offset: Bytes to skip, up to where a line begins.
        after: Sequence up to which lines are left out.
        most: Lines after which it stops.
    """
    lines: list[Line] = []
    torn = 0
    try:
        with path.open("rb") as file:
            file.seek(offset)
            for piece in file:
                if piece.strip(b"\n"):
                    try:
                        line = Line.decode(piece)
                    except TornLineError:
                        torn += 1
                    else:
                        if line.sequence > after:
                            lines.append(line)
                if len(lines) >= most:
                    break
    except FileNotFoundError:
        pass
    return JournalRead(lines, torn)


def sync_directory(directory: Path) -> None:
    """Bring the names in a directory to the disk: a new file is lost with power otherwise."""
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def last_sign(path: Path) -> float:
    """Return when the journal's writer was last known to live, Unix seconds; 0 if never."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def is_alive(path: Path) -> bool:
    """Tell whether the journal's writer lives, on this machine."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared: two readers who look at once must not take each other for the writer.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)
