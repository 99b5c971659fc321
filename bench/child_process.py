"""A child process of the bench: its own process group, its output in a file, no orphan left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

ROOT = Path(__file__).resolve().parent.parent
"""The repository: the working directory of every child, where `python -m bench...` works."""


class ChildError(RuntimeError):
    """A process of the bench ended, or did not become ready; the message holds its last output."""


class ChildProcess:
    """One process with everything it starts; used as a context manager it is stopped on exit.

    It runs in a session of its own, so Ctrl-C in the terminal reaches the bench only, which then
    stops its children in order.

    Args:
        name: What messages call it.
        command: Program and arguments.
        log: File that takes stdout and stderr; appended to.
        env: Variables beside those of this process; a value of None removes one.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str | None] | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log.resolve()
        self._changes = dict(env or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        """Process id, which is its process group's id as well."""
        if self._process is None:
            raise ChildError(f"{self.name} is not started")
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def running(self) -> bool:
        """Whether it is started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start the process; it may not be ready when this returns."""
        if self.running:
            raise ChildError(f"{self.name} is already running")
        env = {**os.environ, **{k: v for k, v in self._changes.items() if v is not None}}
        for name in (k for k, v in self._changes.items() if v is None):
            env.pop(name, None)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._output = self.log.open("ab")
        self._log_start = self._output.tell()
        self._process = subprocess.Popen(
            self.command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return self

    def output(self) -> str:
        """Return what it has written since it was last started."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode("utf-8", "replace")

    def wait_for_output(self, text: str, *, timeout: float = 30.0) -> None:
        """Return once ``text`` is in its output.

        Raises:
            ChildError: It ended first, or ``timeout`` seconds passed.
        """
        deadline = time.monotonic() + timeout
        while text not in self.output():
            if not self.running:
                raise self.error(f"ended with status {self.returncode} before it said {text!r}")
            if time.monotonic() > deadline:
                raise self.error(f"did not say {text!r} in {timeout:g} s")
            time.sleep(0.05)

    def wait(self, *, timeout: float) -> int:
        """Wait up to ``timeout`` seconds for its own end and return the exit status.

        Raises:
            ChildError: It still runs.
        """
        if self._process is None:
            raise ChildError(f"{self.name} is not started")
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self.error(f"still runs after {timeout:g} s") from None

    def stop(self, *, timeout: float = 15.0) -> int | None:
        """Send SIGTERM, wait up to ``timeout`` seconds, then kill what is left of the group."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        return self.kill()

    def kill(self) -> int | None:
        """Send SIGKILL to the whole group and reap the process."""
        if self._process is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        status = self._process.wait()
        if self._output is not None:
            self._output.close()
            self._output = None
        return status

    def error(self, what: str) -> ChildError:
        """Build an error that says ``what`` and shows the end of the output."""
        tail = "\n".join(f"    {line}" for line in self.output().splitlines()[-15:])
        return ChildError(f"{self.name} {what}; its output ({self.log}):\n{tail or '    (none)'}")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
