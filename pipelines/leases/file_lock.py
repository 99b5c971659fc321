"""A lock between processes of one host: a file, which is no lock any more once it is deleted."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

LOCKED_FOR: Final = 1.0
"""Seconds that a lock may be waited for: a process may have been stopped while it held it."""

_INTERVAL: Final = 0.005


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that the file at ``path`` is, made where there is none.

    Raises:
        TimeoutError: Somebody else holds it for ``LOCKED_FOR``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + LOCKED_FOR
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if _is_ours(fd, path, until=until):
                yield
                return
        finally:
            os.close(fd)


def _is_ours(fd: int, path: Path, *, until: float) -> bool:
    """Lock the file; tell whether it is still the one that others lock."""
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise TimeoutError(f"{path.name} stays locked: is a process stopped?") from None
            time.sleep(_INTERVAL)
        else:
            with suppress(FileNotFoundError):
                return os.path.samestat(os.fstat(fd), path.stat())
            return False
