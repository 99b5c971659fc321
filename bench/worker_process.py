"""Our worker as a real process: started, registered, stopped or killed, with its job processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import psutil

from bench.child_process import ROOT, ChildProcess

_REGISTERED = "registered worker"  # LiveKit's SDK logs it when the server has taken the worker
_CALLERS = (
    *("GREFFIER_", "DEEPGRAM_", "OPENAI_", "LIVEKIT_", "AWS_"),
    *("METADATA_COLLECTOR_", "TRANSCRIBER_", "STT_", "ENABLE_SILERO_"),
)


class WorkerProcess(ChildProcess):
    """``python worker.py start``.

    Only ``env`` reaches its settings: the caller's own settings and engine keys are taken out of
    the environment, so that a run does not depend on who runs it.

    Args:
        env: LiveKit's three variables and the worker's settings.
        log: File that takes its output.
        name: What messages call it, where there are several.
    """

    def __init__(self, env: Mapping[str, str], *, log: Path, name: str = "worker") -> None:
        callers = {key: None for key in os.environ if key.startswith(_CALLERS)}
        command = [sys.executable, str(ROOT / "worker.py"), "start"]
        super().__init__(name, command, log=log, env={**callers, **env})
        self._port = urlsplit(env["LIVEKIT_URL"]).port

    def wait_until_registered(self, *, timeout: float = 180.0) -> Self:
        """Return when LiveKit has taken it, 4 to 6 s after its start on an idle machine.

        Raises:
            ChildError: It ended, or ``timeout`` seconds passed.
        """
        self.wait_for_output(_REGISTERED, timeout=timeout)
        return self

    def processes(self) -> list[psutil.Process]:
        """Return the processes it has started: those with a job, and those that wait for one."""
        return psutil.Process(self.pid).children(recursive=True)

    def job_pids(self) -> list[int]:
        """Return the process ids of running jobs: children that are connected to LiveKit."""
        return [one.pid for one in self.processes() if self._is_connected(one)]

    def _is_connected(self, process: psutil.Process) -> bool:
        try:
            connections = process.net_connections(kind="tcp")
        except psutil.Error:  # it has just ended
            return False
        return any(
            one.status == psutil.CONN_ESTABLISHED and one.raddr and one.raddr.port == self._port
            for one in connections
        )
