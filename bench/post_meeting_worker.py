"""A worker of the post-meeting pipeline as a real process: started, ready, killed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from bench.child_process import ChildProcess

_READY = " ready."  # Celery logs it when the worker takes messages
_CALLERS = ("GREFFIER_", "DEEPGRAM_", "OPENAI_", "LIVEKIT_", "AWS_")


class PostMeetingWorker(ChildProcess):
    """``python -m pipelines.post_meeting worker``, with its child processes.

    Args:
        env: Its settings; the caller's own do not reach it.
        log: File that takes its output.
        name: What messages call it.
        concurrency: Steps at the same time.
    """

    def __init__(
        self, env: Mapping[str, str], *, log: Path, name: str, concurrency: int = 1
    ) -> None:
        callers = {key: None for key in os.environ if key.startswith(_CALLERS)}
        command = [sys.executable, "-m", "pipelines.post_meeting", "worker"]
        command.append(f"--concurrency={concurrency}")
        super().__init__(name, command, log=log, env={**callers, **env})

    def wait_until_ready(self, *, timeout: float = 60.0) -> Self:
        """Return when it takes messages, about 3 s after its start.

        Raises:
            ChildError: It ended, or ``timeout`` seconds passed.
        """
        self.wait_for_output(_READY, timeout=timeout)
        return self
