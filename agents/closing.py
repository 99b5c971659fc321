"""The end of a job once its agents are done: La Suite's file, the seal, connections closed.

Nothing here raises: what could not be done is the worker's recovery's, from the journal.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from agents import shutdown
from pipelines.errors import StoreLacksLinesError
from pipelines.transcript.ledger import Ledger
from pipelines.transcript.recording_file import RecordingFile
from pipelines.transcript.seal import close_meeting
from pipelines.transcript.stores.open_stores import Stores

log = logging.getLogger(__name__)


class Closable(Protocol):
    """Has connections."""

    async def aclose(self) -> None:
        """Close them."""


async def write_recording_file(file: RecordingFile, ledger: Ledger) -> None:
    """Write La Suite's file before all else: its backend asks for the transcript at once."""
    try:
        async with asyncio.timeout(shutdown.RECORDING_FILE):
            lines = await ledger.kept_here()
            await file.finish_in_time(lines, seconds=shutdown.RECORDING_FILE)
    except Exception as error:
        # Whatever it is, the stores are flushed; the seal tries again, and then recovery.
        cause = f"{type(error).__name__}: {error}"
        log.error("recording's metadata not written yet", extra={"cause": cause})


async def seal(
    ledger: Ledger, journal_dir: Path, stores: Stores, recording_file: RecordingFile | None
) -> None:
    """Seal the meeting of a ledger that is closed, with all that belongs to it."""
    try:
        async with asyncio.timeout(shutdown.SEAL):
            await close_meeting(
                ledger.meeting,
                ledger.epoch,
                journal_dir,
                stores.all,
                patience=shutdown.READ_STORES,
                checkpoints=stores.redis,
                finish=recording_file.finish if recording_file else None,
            )
    except StoreLacksLinesError as error:
        log.warning("meeting sealed, recovery brings the rest", extra={"cause": str(error)})
    except Exception as error:
        # The journal stays, and the worker's recovery tries again.
        cause = f"{type(error).__name__}: {error}"
        log.error("meeting not sealed, recovery does it", extra={"cause": cause})


async def let_go(parts: Iterable[Closable]) -> None:
    """Close what has connections, all at the same time."""
    closing = [asyncio.create_task(_close(part)) for part in parts]
    _, unfinished = await asyncio.wait(closing, timeout=shutdown.CLOSE)
    for task in unfinished:
        task.cancel()


async def _close(part: Closable) -> None:
    try:
        await part.aclose()
    except Exception as error:
        # Everything is kept by now; what does not close ends with the process.
        log.warning("not closed", extra={"cause": type(error).__name__})
