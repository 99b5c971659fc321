"""A server program that only this machine reaches, and that may be away and come back."""

from __future__ import annotations

import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.child_process import ChildError, ChildProcess
from bench.livekit_server import free_port

_READY_TIMEOUT = 30.0  # seconds; it takes 0.05 on an idle machine
_ATTEMPTS = 3  # another process may take a free port before the server binds it


class LocalServer(ABC):
    """One server with one directory and one port for life; a context manager.

    Args:
        directory: Takes log and data; a temporary one by default.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="server-") if not directory else None
        self.directory = (
            directory or Path(self._temporary.name if self._temporary else "")
        ).resolve()
        self.port = 0
        self._process: ChildProcess | None = None

    @abstractmethod
    def _new_process(self) -> ChildProcess:
        """Return the process that will listen on ``port``, not started.

        Raises:
            ChildError: There is no program.
        """

    @abstractmethod
    def _answers(self) -> bool:
        """Tell whether it takes requests."""

    def start(self) -> Self:
        """Start it and wait until it answers; after the first time, on the same port and data.

        Raises:
            ChildError: It does not become ready, or there is no program.
        """
        if self._process is not None:
            self._begin(self._process)
            return self
        self.directory.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, _ATTEMPTS + 1):
            self.port = free_port()
            self._process = self._new_process()
            try:
                self._begin(self._process)
            except ChildError:
                taken = "address already in use" in self._process.output().lower()
                if attempt == _ATTEMPTS or not taken:
                    raise
            else:
                break
        return self

    def stop(self) -> None:
        """End it in good order; :meth:`start` brings it back with its data."""
        if self._process is not None:
            self._process.stop(timeout=5)

    def kill(self) -> None:
        """End it with SIGKILL; :meth:`start` brings it back with what it had written."""
        self._running().kill()

    def _running(self) -> ChildProcess:
        if self._process is None:
            raise ChildError(f"{type(self).__name__} is not started")
        return self._process

    def _begin(self, process: ChildProcess) -> None:
        process.start()
        deadline = time.monotonic() + _READY_TIMEOUT
        while not self._answers():
            if not process.running or time.monotonic() > deadline:
                process.kill()
                raise process.error("did not become ready")
            time.sleep(0.02)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self._remove()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        self.stop()
        if self._temporary is not None:
            self._temporary.cleanup()
