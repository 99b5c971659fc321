"""What a meeting has kept so far, and the one writer of an epoch.

``Ledger.append`` numbers a line and has it journalled before it returns; whoever shows something
to people calls it first. The stores follow in their own time.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from pipelines.errors import MeetingEndedError
from pipelines.events import CaptionFinal, Hole
from pipelines.metrics import metrics
from pipelines.transcript.epochs import next_epoch
from pipelines.transcript.flusher import Flusher
from pipelines.transcript.history import START, Cursor, Page, latest_revisions, page_of
from pipelines.transcript.journal import Journal, UnkeptJournal
from pipelines.transcript.line import Line, LineKind, caption_of, distinct, final_data, hole_data
from pipelines.transcript.paths import meeting_key
from pipelines.transcript.reader import MeetingReader
from pipelines.transcript.remembered import Remembered
from pipelines.transcript.stores.store import CheckpointStore, Store

if TYPE_CHECKING:
    from pipelines.transcript.early_copy import EarlyCopy

SYNC_INTERVAL: Final = 0.1
"""Seconds between two fsyncs of the journal: what a loss of power can cost."""

MAX_LINE: Final = 256 * 1024
"""Bytes of a line's data; far below the tail that stores look back."""


class Ledger:
    """The lines of a meeting: those of earlier epochs, and this epoch's as they are appended.

    Args:
        meeting: The meeting's id.
        epoch: This writer's epoch, above every earlier one.
        started_at: Start of the meeting, Unix seconds.
        journal: Of this epoch, empty.
        stores: Where the lines go too, each in its own time.
        early: Has every line on its way to Redis at once, if there is one.
        earlier: What is known of earlier epochs, in order.
        unread: Stores that did not tell in time what they have of earlier epochs.
        checkpoints: Is told how far stores are that can't be read back.
    """

    def __init__(
        self,
        meeting: str,
        epoch: int,
        *,
        started_at: float,
        journal: Journal,
        stores: Sequence[Store],
        early: EarlyCopy | None,
        earlier: Sequence[Line],
        unread: Sequence[Store] = (),
        checkpoints: CheckpointStore | None = None,
    ) -> None:
        self.meeting = meeting
        self.epoch = epoch
        self.started_at = started_at
        self._journal = journal
        self._flushers = [
            Flusher(store, meeting, journal, checkpoints=None if store.reads_back else checkpoints)
            for store in stores
        ]
        self._early = early
        self._sequence = 0
        self._memory = Remembered(earlier)
        self._reader = MeetingReader(meeting, journal.path.parent.parent, stores)
        self._unread = unread
        self._read = asyncio.Event()
        if not unread:
            self._read.set()
        self._closed = False
        if unread:
            # An epoch is Unix ms.
            self._memory.leave_free(seconds=epoch / 1000 - started_at)

    @classmethod
    async def open(
        cls,
        meeting: str,
        epoch: int,
        *,
        started_at: float,
        journal_dir: Path,
        stores: Sequence[Store],
        early: EarlyCopy | None = None,
        checkpoints: CheckpointStore | None = None,
        keep: bool = True,
    ) -> Self:
        """Begin an epoch: read what earlier ones kept, in journals and in the stores.

        Without ``keep`` nothing of this epoch is written anywhere; it is all in memory.

        A store that can't be read at once is no reason not to begin: what is only there comes back
        when somebody asks for the history, and at the seal.
        """
        reader = MeetingReader(meeting, journal_dir, stores)
        earlier, unread = await reader.read()
        # The meeting began when its first epoch says so, also for a room that was made anew.
        began = [line.data["started_at"] for line in earlier if line.kind == "opened"]
        highest = max((line.epoch for line in earlier), default=0)
        if epoch <= highest:  # The journals are gone after a seal, and the clock may go back.
            epoch = next_epoch([highest], now=0.0)
        return cls(
            meeting,
            epoch,
            started_at=min([started_at, *began]),
            journal=(Journal if keep else UnkeptJournal)(
                journal_dir / meeting_key(meeting) / f"{epoch}.jsonl"
            ),
            stores=stores if keep else (),
            early=early,
            checkpoints=checkpoints,
            earlier=earlier,
            unread=unread,
        )

    @property
    def durable(self) -> bool:
        """Whether every line is journalled; False while the disk is full or read-only."""
        return self._journal.durable

    @property
    def lag(self) -> int:
        """Lines that the slowest store does not have yet."""
        return max((flusher.lag for flusher in self._flushers), default=0)

    @property
    def opened(self) -> list[Mapping[str, Any]]:
        """The data of the meeting's ``opened`` lines, oldest first, late ones in their place."""
        return self._memory.opened

    @property
    def people(self) -> Mapping[str, str]:
        """Identity -> last known name, of everyone who was ever there."""
        return self._memory.people

    @property
    def heard_before(self) -> float | None:
        """Up to when earlier epochs have heard; see :func:`~.resume.heard_until`."""
        return self._memory.heard_until

    async def earlier_known(self) -> None:
        """Return when it is known whether there were earlier epochs: a store may be away."""
        if self._memory.is_first:
            await self._read.wait()

    def append(self, kind: LineKind, data: Mapping[str, Any], *, at: float) -> Line:
        """Number a line, journal it and hand it to the stores.

        Raises:
            MeetingEndedError: The ledger is closed.
            TypeError: ``data`` is not JSON-serialisable.
            ValueError: It is longer than ``MAX_LINE`` bytes, or holds NaN or an infinity, or
                ``at`` is no time.
        """
        if self._closed:
            raise MeetingEndedError
        size = len(json.dumps(data, allow_nan=False))
        if size > MAX_LINE:
            raise ValueError(f"a line holds at most {MAX_LINE} bytes, this one {size}")
        line = Line(self.meeting, self.epoch, self._sequence + 1, kind, at, dict(data))
        self._journal.append(line)
        if self._early:
            self._early.offer(line)
        self._sequence += 1
        self._memory.add(line)
        for flusher in self._flushers:
            flusher.notify()
        return line

    def append_final(self, caption: CaptionFinal) -> CaptionFinal:
        """Journal a caption's settled text; call it before anybody sees the caption.

        Returns:
            The caption with its index in the meeting.
        """
        caption = replace(caption, index=self._memory.index + 1)
        self.append("final", final_data(caption, meeting_start=self.started_at), at=caption.at)
        return caption

    def append_hole(self, hole: Hole) -> None:
        """Journal that speech may be missing."""
        self.append("hole", hole_data(hole, meeting_start=self.started_at), at=hole.at)

    async def copied(self) -> None:
        """Return when Redis has every line, if it is there; after 20 ms at the latest."""
        if not self._early:
            return
        if self._early.suspended:
            metrics().early_copies.labels("skipped").inc()
            return
        with metrics().early_copy_wait.time():
            await self._early.settled()
        metrics().early_copies.labels("missed" if self._early.suspended else "kept").inc()

    def has(self, caption: CaptionFinal) -> bool:
        """Tell whether this revision of the segment is kept."""
        return self._memory.has(caption.segment, caption.revision)

    async def said(self, *, since: float = 0.0) -> list[CaptionFinal]:
        """Return the settled captions that began at or after ``since``, in order of time."""
        lines = await self._said_after(START)
        finals = (line for line in lines if line.kind == "final")
        captions = [caption_of(line, meeting_start=self.started_at) for line in finals]
        return latest_revisions(captions, since=since)

    async def page(self, *, after: Cursor, limit: int, size: int) -> Page:
        """Return the finals and holes that follow ``after``; see :func:`~.history.page_of`."""
        return page_of(await self._said_after(after), after=after, limit=limit, size=size)

    async def kept_here(self) -> list[Line]:
        """Return every line that this machine has of the meeting, of this epoch and others.

        Raises:
            StoreError: The files can't be read.
        """
        lines = await self._reader.here()
        lines += await asyncio.to_thread(self._journal.older_after, 0, limit=sys.maxsize)
        return distinct(lines)

    async def lines(self) -> list[Line]:
        """Return every line of the meeting so far, read again; a store that is away is left out."""
        if self._memory.is_first and self._read.is_set():  # No store has more than the own journal.
            return await self._reader.journalled()
        lines, _ = await self._reader.read()
        return lines

    def state(self, key: str) -> Any:
        """Return the last value appended for ``key`` as a ``state`` line, or None."""
        return self._memory.state(key)

    async def run(self) -> None:
        """Sync the journal and flush the stores until :meth:`close` and all is done."""
        flushed = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_synced(flushed))
            reading = tasks.create_task(self._read_unread())
            if self._early:
                tasks.create_task(self._early.run())
            async with asyncio.TaskGroup() as flushing:
                for flusher in self._flushers:
                    flushing.create_task(flusher.run())
            flushed.set()
            reading.cancel()

    def close(self) -> None:
        """Let :meth:`run` flush what is left and return; nothing may be appended after it."""
        self._closed = True
        for flusher in self._flushers:
            flusher.close()
        if self._early:
            self._early.close()

    def release(self) -> None:
        """Close the journal and let go of its lock."""
        self._journal.close()

    async def _keep_synced(self, flushed: asyncio.Event) -> None:
        while not flushed.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(flushed.wait(), SYNC_INTERVAL)
            self._journal.write_pending()
            await asyncio.to_thread(self._journal.sync)
            for flusher in self._flushers:
                flusher.report()

    async def _said_after(self, after: Cursor) -> Sequence[Line]:
        """Return at least the finals and holes that follow ``after``, from memory if there."""
        if self._memory.reaches(after):
            return self._memory.said
        lines, _ = await self._reader.read()
        said = [line for line in lines if line.kind in ("final", "hole")]
        return distinct([*said, *self._memory.said])

    async def _read_unread(self) -> None:
        await self._reader.read_late(self._unread, self._add_late)
        self._read.set()

    def _add_late(self, lines: Sequence[Line]) -> None:
        self._memory.add_late([line for line in lines if line.epoch < self.epoch])
