"""A small disk that is filled, or made read-only, while a worker writes to it. Needs root."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_SIZE: Final = 64  # MB
_BUSY: Final = 3.0  # seconds in which somebody may have a file open for writing


def there() -> bool:
    """Tell whether disks can be mounted here."""
    return os.geteuid() == 0


class SmallDisk:
    """A disk of its own, mounted at ``root``; a context manager.

    Args:
        root: Where; made here.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def _balloon(self) -> Path:
        return self.root / "balloon"

    def fill(self) -> None:
        """Leave no room at all."""
        with self._balloon.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while file.write(b"\0" * size) == size:
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def freeze(self) -> None:
        """Take no more writes; a file that is open for writing keeps it from that for a while.

        Raises:
            RuntimeError: It stays open.
        """
        deadline = time.monotonic() + _BUSY
        while (error := self._remount("ro")) and time.monotonic() < deadline:
            time.sleep(0.01)
        if error:
            raise RuntimeError(f"{self.root} can't be made read-only: {error}")

    def mend(self) -> None:
        """Have room again, and take writes."""
        self._remount("rw")
        self._balloon.unlink(missing_ok=True)

    def _remount(self, mode: str) -> str:
        command = ["mount", "--options", f"remount,{mode}", str(self.root)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()

    def __enter__(self) -> Self:
        self.root.mkdir(parents=True, exist_ok=True)
        size = f"size={_SIZE}m,mode=700"
        command = ["mount", "-t", "tmpfs", "--options", size, "tmpfs", str(self.root)]
        subprocess.run(command, check=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        subprocess.run(["umount", "--lazy", str(self.root)], check=False)
