"""What a meeting has kept so far, as its job's agents and people read it.

Memory answers, for as far as it reaches; what it has let go of is read again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipelines.events import CaptionFinal
from pipelines.transcript.correction import latest_corrections
from pipelines.transcript.history import START, Cursor, Page, latest_revisions, page_of
from pipelines.transcript.line import Line, caption_of, distinct
from pipelines.transcript.reader import MeetingReader
from pipelines.transcript.remembered import Remembered
from pipelines.transcript.stores.store import Store

log = logging.getLogger(__name__)


class KeptLines:
    """The lines of a meeting.

    Args:
        meeting: The meeting's id.
        epoch: Of the job that reads.
        started_at: Start of the meeting, Unix seconds.
        reader: Reads the meeting's lines again.
        earlier: What is known of earlier epochs, in order.
        unread: Stores that did not tell in time what they have of earlier epochs.
    """

    def __init__(
        self,
        meeting: str,
        epoch: int,
        *,
        started_at: float,
        reader: MeetingReader,
        earlier: Sequence[Line],
        unread: Sequence[Store],
    ) -> None:
        self.meeting = meeting
        self.epoch = epoch
        self.started_at = started_at
        self._memory = Remembered(earlier)
        self._reader = reader
        self._unread = unread
        self._read = asyncio.Event()
        if unread:
            # An epoch is Unix ms.
            self._memory.leave_free(seconds=epoch / 1000 - started_at)
        else:
            self._read.set()

    @property
    def opened(self) -> list[Mapping[str, Any]]:
        """The data of the meeting's ``opened`` lines, oldest first, late ones in their place."""
        return self._memory.opened

    @property
    def people(self) -> Mapping[str, str]:
        """Identity -> last known name, of everyone who was ever there."""
        return self._memory.people

    @property
    def actions(self) -> list[Line]:
        """The ``action`` lines that are known, in order of (epoch, sequence); late ones in place.

        Those of a store that is away are not there before it can be read: see
        :meth:`earlier_known`.
        """
        return self._memory.actions

    @property
    def heard_before(self) -> float | None:
        """Up to when earlier epochs have heard; see :func:`~.resume.heard_until`."""
        return self._memory.heard_until

    async def earlier_known(self) -> None:
        """Return when it is known whether there were earlier epochs: a store may be away."""
        if self._memory.is_first:
            await self._read.wait()

    def has(self, caption: CaptionFinal) -> bool:
        """Tell whether this revision of the segment is kept."""
        return self._memory.has(caption.segment, caption.revision)

    def is_corrected(self, segment: str) -> bool:
        """Tell whether a person has corrected the segment: nothing of a machine changes it."""
        return segment in self._memory.corrections

    async def caption(self, segment: str) -> CaptionFinal | None:
        """Return a segment as it reads now, or None where nothing of that id is settled."""
        of_memory = [line for line in self._memory.said if _is_final_of(line, segment)]
        lines = of_memory or await self._said_after(START)
        found = self._read_as_now([line for line in lines if _is_final_of(line, segment)], since=0)
        return found[0] if found else None

    async def said(self, *, since: float = 0.0) -> list[CaptionFinal]:
        """Return the settled captions that began at or after ``since``, in order of time.

        Each reads as it does now: corrected, where a person has corrected it.
        """
        return self._read_as_now(await self._said_after(START), since=since)

    async def page(self, *, after: Cursor, limit: int, size: int) -> Page:
        """Return what was said and missed after ``after``; see :func:`~.history.page_of`."""
        said = await self._said_after(after)
        corrections = self._corrections(said)
        return page_of(said, after=after, limit=limit, size=size, corrections=corrections)

    async def lines(self) -> list[Line]:
        """Return every line of the meeting so far, read again; a store that is away is left out."""
        if self._memory.is_first and self._read.is_set():  # No store has more than the own journal.
            return await self._reader.journalled()
        lines, _ = await self._reader.read()
        return lines

    def state(self, key: str) -> Any:
        """Return the last value appended for ``key`` as a ``state`` line, or None."""
        return self._memory.state(key)

    async def read_again(self, *, patient: bool = False) -> None:
        """Take in what the job before this one has kept since: it may go on until it is gone.

        Args:
            patient: Whether a store that is away is asked until it answers.
        """
        try:
            lines, unread = await self._reader.read()
        except OSError as error:  # What is known by now is known all the same.
            log.warning("journals not read again", extra={"cause": str(error)})
            return
        self._add_late(lines)
        if patient:
            await self._reader.read_late(unread, self._add_late)

    async def _read_unread(self) -> None:
        await self._reader.read_late(self._unread, self._add_late)
        self._read.set()

    async def _said_after(self, after: Cursor) -> Sequence[Line]:
        """Return at least what was said and missed after ``after``, from memory if there."""
        if self._memory.reaches(after):
            return self._memory.said
        lines, _ = await self._reader.read()
        said = [line for line in lines if line.kind in ("final", "correction", "hole")]
        return distinct([*said, *self._memory.said])

    def _corrections(self, said: Iterable[Line]) -> Mapping[str, Line]:
        """Return segment -> the correction that counts, of those held and of ``said``."""
        return latest_corrections([*self._memory.corrections.values(), *said])

    def _read_as_now(self, said: Sequence[Line], *, since: float) -> list[CaptionFinal]:
        finals = (line for line in said if line.kind == "final")
        captions = [caption_of(line, meeting_start=self.started_at) for line in finals]
        return latest_revisions(captions, since=since, corrections=self._corrections(said))

    def _add_late(self, lines: Sequence[Line]) -> None:
        self._memory.add_late([line for line in lines if line.epoch < self.epoch])


def _is_final_of(line: Line, segment: str) -> bool:
    return line.kind == "final" and bool(line.data["segment"] == segment)
