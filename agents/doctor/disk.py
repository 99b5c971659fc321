"""Can the journal and the files store be written, and do they outlive what they must."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from agents.doctor.check import Check, error, ok, warning

JOURNAL: Final = "journal disk"
STORES: Final = "files store"
LEAST_FREE: Final = 1 << 30  # bytes
SLOW_FSYNC: Final = 0.1  # seconds

_MOUNTS: Final = Path("/proc/self/mountinfo")
_FORGETFUL: Final = {
    "tmpfs": "memory: the journal dies with the machine",
    "ramfs": "memory: the journal dies with the machine",
    "overlay": "a container's own layer: the journal dies with the container",
}
_REMOTE: Final = ("nfs", "cifs", "smb", "fuse.", "9p", "ceph", "glusterfs")


def check_journal(
    directory: Path, *, least_free: int = LEAST_FREE, mounts: Path = _MOUNTS
) -> Check:
    """Write and fsync a file where the journals are; look at free space and the file system."""
    try:
        with _scratch_file(directory) as file:
            file.write(b"greffier\n")
            before = time.monotonic()
            os.fsync(file.fileno())
            took = time.monotonic() - before
        free = shutil.disk_usage(directory).free
    except OSError as failure:
        return _not_writable(JOURNAL, directory, failure, "GREFFIER_DATA_DIR")
    if problem := _lifetime_problem(directory, mounts):
        return warning(
            JOURNAL,
            f"{directory} is on {problem}",
            "point GREFFIER_DATA_DIR at a local disk, in a container at a volume",
        )
    if free < least_free:
        return warning(
            JOURNAL,
            f"{directory}: {free / LEAST_FREE:.1f} GiB free",
            f"free some space: {least_free / LEAST_FREE:.0f} GiB or more",
        )
    if took > SLOW_FSYNC:
        return warning(
            JOURNAL,
            f"{directory}: fsync takes {took * 1000:.0f} ms",
            "use a faster disk: a power cut loses what is not yet synced",
        )
    return ok(JOURNAL, f"{directory}: {free / LEAST_FREE:.0f} GiB free, fsync {took * 1000:.1f} ms")


def check_files_store(directory: Path) -> Check:
    """Write a file where the files store keeps lines and transcripts."""
    try:
        with _scratch_file(directory) as file:
            file.write(b"greffier\n")
    except OSError as failure:
        return _not_writable(STORES, directory, failure, "GREFFIER_TRANSCRIPTS_DIR")
    return ok(STORES, f"{directory}: writable")


@contextmanager
def _scratch_file(directory: Path) -> Iterator[IO[bytes]]:
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=directory, prefix=".doctor-", buffering=0) as file:
        yield file


def _not_writable(name: str, directory: Path, failure: OSError, variable: str) -> Check:
    return error(
        name,
        f"{directory}: {failure.strerror or failure}",
        f"point {variable} at a directory that the worker's user can write",
    )


def _lifetime_problem(directory: Path, mounts: Path) -> str:
    kind = file_system(directory, mounts)
    if kind in _FORGETFUL:
        return _FORGETFUL[kind]
    if kind.startswith(_REMOTE):
        return f"a network file system ({kind}): a journal there is slow and can block"
    return ""


def file_system(directory: Path, mounts: Path = _MOUNTS) -> str:
    """Return the type of the file system that ``directory`` is on, or empty where unknown.

    Args:
        directory: An existing directory.
        mounts: The mount table, in the form of Linux's ``/proc/self/mountinfo``.
    """
    try:
        table = mounts.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    directory = directory.resolve()
    best, found = -1, ""
    for row in table.splitlines():
        mount, _, source = row.partition(" - ")
        point = Path(mount.split()[4].replace("\\040", " "))
        # Of two mounts on one point the later one is seen.
        if directory.is_relative_to(point) and len(point.parts) >= best:
            best, found = len(point.parts), source.split()[0]
    return found
