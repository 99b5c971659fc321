"""The two clients of a room as processes: who speaks (publisher) and who reads (subscriber)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from bench.child_process import ChildProcess
from bench.json_lines import read_json_lines

NOBODY_LISTENS = 3
"""The publisher's exit status where a microphone had no subscriber in time."""

_POLL = 0.05  # seconds


class PublisherProcess(ChildProcess):
    """``python -m bench.publisher``.

    Args:
        env: LiveKit's three variables.
        room: Name of the room.
        options: More of its command line, e.g. ``"--mute-between"``.
        directory: Takes ``<name>.log`` and ``<name>.jsonl``.
        name: What messages and files call it.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        room: str,
        *options: str,
        directory: Path,
        name: str = "publisher",
    ) -> None:
        self.log_lines = (directory / f"{name}.jsonl").resolve()
        own = ["--room", room, "--log", str(self.log_lines)]
        command = [sys.executable, "-m", "bench.publisher", *own, *options]
        super().__init__(name, command, log=directory / f"{name}.log", env=env)

    def truth(self, event: str = "") -> list[dict[str, Any]]:
        """Return what it logged so far: ``joined``, ``speech_started``, ``speech_ended``, ..."""
        return read_json_lines(self.log_lines, event)


class SubscriberProcess(ChildProcess):
    """``python -m bench.subscriber``; its name is its identity in the room.

    Args:
        env: LiveKit's three variables.
        room: Name of the room.
        options: More of its command line, e.g. ``"--key", "..."``.
        directory: Takes ``<name>.log`` and ``<name>.jsonl``.
        name: What the room, messages and files call it.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        room: str,
        *options: str,
        directory: Path,
        name: str = "subscriber",
    ) -> None:
        self.log_lines = (directory / f"{name}.jsonl").resolve()
        own = ["--room", room, "--identity", name, "--log", str(self.log_lines)]
        command = [sys.executable, "-m", "bench.subscriber", *own, *options]
        super().__init__(name, command, log=directory / f"{name}.log", env=env)

    def wait_until_joined(self, *, timeout: float = 30.0) -> Self:
        """Return when it is in the room, where nothing escapes it any more.

        Raises:
            ChildError: It ended, or ``timeout`` seconds passed.
        """
        self.wait_for("connected", timeout=timeout)
        return self

    def received(self, event: str = "") -> list[dict[str, Any]]:
        """Return what it logged so far: ``caption``, ``status``, ``came``, ``went``, ``torn``."""
        return read_json_lines(self.log_lines, event)

    def finals(self) -> list[dict[str, Any]]:
        """Return the final captions it received so far."""
        return [line for line in self.received("caption") if is_final(line)]

    def wait_for(
        self,
        event: str,
        accept: Callable[[dict[str, Any]], bool] = lambda _: True,
        *,
        timeout: float = 30.0,
    ) -> dict[str, Any]:
        """Return the first line of ``event`` that ``accept`` takes, when it is there.

        Raises:
            ChildError: It ended, or ``timeout`` seconds passed.
        """
        deadline = time.monotonic() + timeout
        while True:
            running = self.running  # asked first: what it logged before it ended counts
            for line in self.received(event):
                if accept(line):
                    return line
            if not running:
                raise self.error(f"ended before it received {event!r}")
            if time.monotonic() > deadline:
                raise self.error(f"received no such {event!r} in {timeout:g} s")
            time.sleep(_POLL)


def is_final(caption: Mapping[str, Any]) -> bool:
    """Tell whether a logged caption is final; its attributes say so."""
    return bool(caption["attributes"].get("lk.transcription_final") == "true")
