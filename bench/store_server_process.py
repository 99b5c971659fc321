"""The store server of ``pipelines.testing`` as a real process, killed and told to fail."""

from __future__ import annotations

import base64
import secrets
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.child_process import ChildProcess
from bench.livekit_server import free_port
from pipelines.testing.kept_lines import KeptLines
from pipelines.testing.store_server import LISTENS, Fault
from pipelines.transcript.line import Line

_READY_TIMEOUT = 30.0  # seconds; it takes 4 on a busy machine
_DEATH_TIMEOUT = 10.0  # seconds; it takes none


class StoreServerProcess:
    """One server with one directory and one port for life; a context manager.

    Args:
        directory: Takes what it keeps, and its log.
        meetai_meetings: The meetings that its MeetAI backend knows; by default every one.
    """

    def __init__(self, directory: Path, *, meetai_meetings: tuple[str, ...] = ()) -> None:
        self.secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        self.meetai_secret = secrets.token_urlsafe(24)
        self.port = free_port()
        self._kept = KeptLines(directory)
        command = [sys.executable, "-m", "pipelines.testing.store_server"]
        command += ["--port", str(self.port), "--dir", str(directory)]
        # With =: a random secret may begin with a hyphen.
        command += [f"--secret={self.secret}", f"--meetai-secret={self.meetai_secret}"]
        for meeting in meetai_meetings:
            command += ["--meetai-meeting", meeting]
        self._process = ChildProcess("store server", command, log=directory / "server.log")

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port``; see ``address`` and ``meetai_address`` for the stores."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """Address of the store that speaks our own contract."""
        return f"{self.url}/lines"

    @property
    def meetai_address(self) -> str:
        """Address of the store that speaks MeetAI's."""
        return f"meetai+{self.url}"

    def start(self) -> Self:
        """Start it, also again, and return when it takes requests.

        Raises:
            ChildError: It ended, or is not ready in time.
        """
        self._process.start()
        self._process.wait_for_output(LISTENS, timeout=_READY_TIMEOUT)
        return self

    def stop(self) -> None:
        """End it in good order."""
        self._process.stop(timeout=5)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()

    def wait_until_dead(self) -> None:
        """Return when it has killed itself, as a fault may order.

        Raises:
            ChildError: It lives.
        """
        self._process.wait(timeout=_DEATH_TIMEOUT)
        self._process.kill()

    def fail(self, fault: Fault) -> None:
        """Let its next requests fail."""
        order = urllib.request.Request(
            f"{self.url}/faults", data=fault.model_dump_json().encode(), method="POST"
        )
        with urllib.request.urlopen(order, timeout=10):
            pass

    def lines(self, meeting: str) -> list[Line]:
        """Return the meeting's lines of our own contract, from its files."""
        return self._kept.lines(meeting)

    def meetai_lines(self, meeting: str) -> list[dict[str, Any]]:
        """Return what its MeetAI backend was given, from its files, doubles and all."""
        return self._kept.meetai_lines(meeting)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
