"""Logs of the bench's processes: one JSON object a line, flushed, so that a reader may follow."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class JsonLines:
    """Appends facts to a file; a context manager.

    Every line has ``event`` and ``logged``, the Unix seconds at which it was written.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")

    def write(self, event: str, **fields: Any) -> None:
        """Append one line and flush it."""
        line = {"event": event, "logged": time.time(), **fields}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()


class LineReader:
    """Reads what is new in such a file since it was last asked; a half-written line waits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new(self) -> Iterator[dict[str, Any]]:
        """Iterate over the lines completed since the last call; without a file there are none."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for raw in file:
                if not raw.endswith(b"\n"):
                    return
                self._offset += len(raw)
                yield json.loads(raw)


def read_json_lines(path: Path, event: str = "") -> list[dict[str, Any]]:
    """Return the whole lines of the file so far; only those of ``event``, if given."""
    return [line for line in LineReader(path).new() if not event or line["event"] == event]
