"""Reads what is kept of a meeting: in its stores, and in the journals on this machine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from pipelines.transcript.epochs import journals_of
from pipelines.transcript.journal import read_journal
from pipelines.transcript.line import Line, distinct
from pipelines.transcript.stores.files import FilesStore
from pipelines.transcript.stores.store import Store

log = logging.getLogger(__name__)

TIMEOUT: Final = 1.0
"""Seconds that reading a store may hold up a job that is about to join its room."""

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
"""Seconds between two tries to read a store that was away."""


class MeetingReader:
    """Reads the lines of one meeting.

    Args:
        meeting: The meeting's id.
        journal_dir: Where the journals of all meetings are.
        stores: Those that can't be read back are passed over.
    """

    def __init__(self, meeting: str, journal_dir: Path, stores: Sequence[Store]) -> None:
        self._meeting = meeting
        self._journal_dir = journal_dir
        self._stores = [store for store in stores if store.reads_back]

    async def read(self) -> tuple[list[Line], list[Store]]:
        """Return every line once, in order, and the stores that did not tell in time."""
        found = await asyncio.gather(*map(self._read_in_time, self._stores))
        journalled = await self.journalled()
        # The journal's word counts: it is given last.
        lines = distinct([*(line for lines in found for line in lines or ()), *journalled])
        return lines, [one for one, had in zip(self._stores, found, strict=True) if had is None]

    async def read_late(
        self, unread: Sequence[Store], found: Callable[[Sequence[Line]], None]
    ) -> None:
        """Read stores that did not tell in time as soon as they answer; give ``found`` each."""
        waiting = list(unread)
        pause = FIRST_PAUSE
        while waiting:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            for store in tuple(waiting):
                try:
                    lines = await store.read(self._meeting)
                except Exception:  # noqa: S112 - it was logged the first time; it is asked again
                    continue
                waiting.remove(store)
                found(lines)

    async def journalled(self) -> list[Line]:
        """Return what the journals here hold, of living and dead writers."""
        return await asyncio.to_thread(self._journalled)

    async def here(self) -> list[Line]:
        """Return what this machine has: the journals, and the files.

        Raises:
            StoreError: The files can't be read.
        """
        lines = await self.journalled()
        for store in self._stores:
            if isinstance(store, FilesStore):
                lines += await store.read(self._meeting)
        return lines

    async def _read_in_time(self, store: Store) -> list[Line] | None:
        try:
            async with asyncio.timeout(TIMEOUT):
                return await store.read(self._meeting)
        except Exception as error:
            # Whatever is wrong with a store, the meeting goes on.
            cause = {"store": store.name, "cause": f"{type(error).__name__}: {error}"}
            log.warning("store not read in time", extra=cause)
            return None

    def _journalled(self) -> list[Line]:
        journals = journals_of(self._journal_dir, self._meeting)
        return [line for path in journals for line in read_journal(path).lines]
