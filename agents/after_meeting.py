"""Starts what works on sealed meetings, in a process of its own, while there are any.

That process is not there when nothing is to be done, runs at a lower priority, and ends with the
worker: so meetings don't suffer from the minutes of earlier ones.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from asyncio.subprocess import Process
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from pipelines.post_meeting.hand_over import LOOK
from pipelines.settings import Settings
from pipelines.transcript.paths import PENDING, Sealed

log = logging.getLogger(__name__)

_SHORTEST, _LONGEST = 5.0, 60.0
"""Seconds between two starts; doubled each time it ends with an error."""

_GRACE: Final = 3.0
"""Seconds that it gets to end in good order; what it does is noted, and done again."""


class AfterMeeting:
    """One more task of the worker's: have sealed meetings worked on.

    Args:
        settings: The process's settings.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin in the running loop; LiveKit's runner cancels it with the loop."""
        if self._settings.after != "off":
            self._task = asyncio.create_task(self._run(), name="after meetings")

    async def _run(self) -> None:
        wait = _SHORTEST
        while True:
            if not (self._keeps_running or await asyncio.to_thread(self._has_work)):
                await asyncio.sleep(LOOK)
                continue
            try:
                status = await self._work()
            except OSError as error:
                log.error("minutes are not made now", extra={"cause": str(error)})
                status = 1
            if status:
                log.warning("work after meetings ended, started again", extra={"status": status})
            wait = min(_LONGEST, wait * 2) if status else _SHORTEST
            await asyncio.sleep(wait)

    @property
    def _keeps_running(self) -> bool:
        """Whether work may be found elsewhere than in the index here."""
        return self._settings.after == "builtin" and self._settings.artefacts is not None

    def _has_work(self) -> bool:
        return any(
            (self._settings.store_dir / sealed.directory).is_dir()
            for sealed in _marked(self._settings.store_dir / PENDING)
        )

    async def _work(self) -> int:
        command = "worker" if self._settings.after == "builtin" else "hand-over"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pipelines.post_meeting", command, "--with-parent"),
            *(() if self._keeps_running else ("--until-idle",)),
            stdin=asyncio.subprocess.PIPE,  # Its end tells it that we are gone.
        )
        try:
            return await process.wait()
        finally:
            await _end(process)


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    with suppress(TimeoutError):
        async with asyncio.timeout(_GRACE):
            await process.wait()
            return
    with suppress(ProcessLookupError):
        process.kill()


def _marked(directory: Path) -> Iterator[Sealed]:
    with suppress(FileNotFoundError):
        for marker in directory.iterdir():
            if sealed := Sealed.of_marker(marker.name):
                yield sealed
