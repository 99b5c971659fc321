"""The one writer of an epoch.

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
from pipelines.transcript.correction import corrected, correction_data
from pipelines.transcript.epochs import next_epoch
from pipelines.transcript.flusher import Flusher
from pipelines.transcript.journal import Journal, UnkeptJournal
from pipelines.transcript.kept_lines import KeptLines
from pipelines.transcript.line import Line, LineKind, distinct, final_data, hole_data
from pipelines.transcript.paths import meeting_key
from pipelines.transcript.reader import MeetingReader
from pipelines.transcript.stores.store import CheckpointStore, Store

if TYPE_CHECKING:
    from pipelines.transcript.early_copy import EarlyCopy

SYNC_INTERVAL: Final = 0.1
"""Seconds between two fsyncs of the journal: what a loss of power can cost."""

MAX_LINE: Final = 256 * 1024
"""Bytes of a line's data; far below the tail that stores look back."""


class Ledger(KeptLines):
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
        super().__init__(
            meeting,
            epoch,
            started_at=started_at,
            reader=MeetingReader(meeting, journal.path.parent.parent, stores),
            earlier=earlier,
            unread=unread,
        )
        self._journal = journal
        self._flushers = [
            Flusher(store, meeting, journal, checkpoints=None if store.reads_back else checkpoints)
            for store in stores
        ]
        self._early = early
        self._sequence = 0
        self._closed = False

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

    def append_correction(
        self, caption: CaptionFinal, text: str, *, by: str, name: str, at: float
    ) -> CaptionFinal:
        """Journal how a person says a segment reads; call it before anybody sees it.

        Args:
            caption: The segment, as :meth:`caption` gives it.
            text: How it should read.
            by: The person's identity.
            name: The person's name.
            at: Unix seconds.

        Returns:
            The caption as it reads now, with an index of its own.
        """
        if caption.correction:
            caption = replace(caption, text=caption.correction.original, correction=None)
        data = correction_data(
            caption,
            text,
            by=by,
            name=name,
            index=self._memory.index + 1,
            meeting_start=self.started_at,
        )
        line = self.append("correction", data, at=at)
        return replace(corrected(caption, line), index=data["index"])

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

    async def kept_here(self) -> list[Line]:
        """Return every line that this machine has of the meeting, of this epoch and others.

        Raises:
            StoreError: The files can't be read.
        """
        lines = await self._reader.here()
        lines += await asyncio.to_thread(self._journal.older_after, 0, limit=sys.maxsize)
        return distinct(lines)

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
