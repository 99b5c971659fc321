"""What a meeting has kept so far, and the one writer of an epoch.

``Ledger.append`` numbers a line and has it journalled before it returns; whoever shows something
to people calls it first. The stores follow in their own time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from pipelines.errors import MeetingEndedError
from pipelines.events import CaptionFinal
from pipelines.metrics import metrics
from pipelines.transcript.flusher import Flusher
from pipelines.transcript.history import START, Cursor, Page, latest_revisions, page_of
from pipelines.transcript.journal import Journal, UnkeptJournal, read_journal
from pipelines.transcript.line import Line, LineKind, caption_of, distinct, final_data
from pipelines.transcript.paths import meeting_key
from pipelines.transcript.stores.files import FilesStore
from pipelines.transcript.stores.store import CheckpointStore, Store

if TYPE_CHECKING:
    from pipelines.transcript.early_copy import EarlyCopy

log = logging.getLogger(__name__)

SYNC_INTERVAL: Final = 0.1
"""Seconds between two fsyncs of the journal: what a loss of power can cost."""

MAX_LINE: Final = 256 * 1024
"""Bytes of a line's data; far below the tail that stores look back."""

REMEMBERED: Final = 10_000
"""Finals held in memory, about 1 KB each: a long day of talk. Older ones are read again."""

OPEN_TIMEOUT: Final = 1.0
"""Seconds that reading the stores may hold up a job that is about to join its room."""

FASTEST_FINALS: Final = 10
"""Finals in a second, more than any meeting has."""

LONGEST_PAUSE: Final = 30.0
"""Seconds between two tries to read a store that was away when the epoch began."""

INDEX_GAP: Final = 100
"""Indices left free for an earlier epoch that may still settle what was said before this one."""


def journals_of(journal_dir: Path, meeting: str) -> list[Path]:
    """Return the paths of the meeting's journals, oldest epoch first."""
    return journals_in(journal_dir / meeting_key(meeting))


def journals_in(directory: Path) -> list[Path]:
    """Return the paths of the journals in one meeting's directory, oldest epoch first."""
    journals = (path for path in directory.glob("*.jsonl") if path.stem.isdecimal())
    return sorted(journals, key=epoch_of)


def epoch_of(journal: Path) -> int:
    """Return the epoch that a journal's file name carries."""
    return int(journal.stem)


def next_epoch(seen: Sequence[int], *, now: float) -> int:
    """Return an epoch above every one seen, and above every clock-made one: never lowered."""
    return max([*seen, int(now * 1000)]) + 1


def first_dispatch(opened: Iterable[Mapping[str, Any]], room_sid: str) -> str:
    """Return the id of the dispatch that asked for the agent first, in this room; or empty.

    Args:
        opened: The data of the meeting's ``opened`` lines, oldest first.
        room_sid: A dispatch belongs to one opening of a room.
    """
    here = (data for data in opened if data["room_sid"] == room_sid)
    return next((data["dispatch"] for data in here if data.get("dispatch")), "")


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
        self._stores = stores
        self._flushers = [
            Flusher(store, meeting, journal, checkpoints=None if store.reads_back else checkpoints)
            for store in stores
        ]
        self._early = early
        self._sequence = 0
        self._index = 0
        self._finals: deque[Line] = deque(maxlen=REMEMBERED)
        self._unread = list(unread)
        self._forgotten = False
        self._closed = False
        self._kept: set[tuple[str, int]] = set()
        self._state: dict[str, Any] = {}
        self.people: dict[str, str] = {}
        self._opened: dict[int, Mapping[str, Any]] = {}
        for line in earlier:
            self._remember(line)
        if earlier and earlier[-1].kind != "ended":
            self._index += INDEX_GAP
        if unread:  # Above what an epoch that is not known yet has given; an epoch is Unix ms.
            since = round((epoch / 1000 - started_at) * FASTEST_FINALS)
            self._index = max(self._index, since)

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
        readable = [store for store in stores if store.reads_back]
        found = await asyncio.gather(*(_read_in_time(store, meeting) for store in readable))
        journalled = await asyncio.to_thread(_journalled, journal_dir, meeting)
        # The journal's word counts: it is given last.
        earlier = distinct([*(line for lines in found for line in lines or ()), *journalled])
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
            unread=[store for store, lines in zip(readable, found, strict=True) if lines is None],
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
        return [self._opened[epoch] for epoch in sorted(self._opened)]

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
        self._remember(line)
        for flusher in self._flushers:
            flusher.notify()
        return line

    def append_final(self, caption: CaptionFinal) -> CaptionFinal:
        """Journal a caption's settled text; call it before anybody sees the caption.

        Returns:
            The caption with its index in the meeting.
        """
        caption = replace(caption, index=self._index + 1)
        self.append("final", final_data(caption, meeting_start=self.started_at), at=caption.at)
        return caption

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
        return (caption.segment, caption.revision) in self._kept

    async def said(self, *, since: float = 0.0) -> list[CaptionFinal]:
        """Return the settled captions that began at or after ``since``, in order of time."""
        finals = await self._finals_after(START)
        captions = [caption_of(line, meeting_start=self.started_at) for line in finals]
        return latest_revisions(captions, since=since)

    async def page(self, *, after: Cursor, limit: int, size: int) -> Page:
        """Return the finals that follow ``after``; see :func:`~.history.page_of`."""
        return page_of(await self._finals_after(after), after=after, limit=limit, size=size)

    async def kept_here(self) -> list[Line]:
        """Return every line that this machine has of the meeting, of this epoch and others.

        Raises:
            StoreError: The files can't be read.
        """
        journal_dir = self._journal.path.parent.parent
        lines = await asyncio.to_thread(_journalled, journal_dir, self.meeting)
        lines += await asyncio.to_thread(self._journal.older_after, 0, limit=sys.maxsize)
        for store in self._stores:
            if isinstance(store, FilesStore):
                lines += await store.read(self.meeting)
        return distinct(lines)

    def state(self, key: str) -> Any:
        """Return the last value appended for ``key`` as a ``state`` line, or None."""
        return self._state.get(key)

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

    async def _finals_after(self, after: Cursor) -> Sequence[Line]:
        """Return at least the finals that follow ``after``, from memory if they are there."""
        remembered = list(self._finals)
        if not self._forgotten or (remembered and remembered[0].key <= after):
            return remembered
        journal_dir = self._journal.path.parent.parent
        readable = [store for store in self._stores if store.reads_back]
        found = await asyncio.gather(*(_read_in_time(store, self.meeting) for store in readable))
        lines = [line for one in found for line in one or ()]
        lines += await asyncio.to_thread(_journalled, journal_dir, self.meeting)
        return distinct([*(line for line in lines if line.kind == "final"), *remembered])

    async def _read_unread(self) -> None:
        """Read the stores that were away when the epoch began, as soon as they answer."""
        pause = OPEN_TIMEOUT
        while self._unread:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            for store in tuple(self._unread):
                try:
                    earlier = await store.read(self.meeting)
                except Exception:  # noqa: S112 - it was logged at the start; it is asked again
                    continue
                self._unread.remove(store)
                self._add([line for line in earlier if line.epoch < self.epoch])

    def _add(self, earlier: Sequence[Line]) -> None:
        """Remember lines of earlier epochs that came to light late."""
        known, state, people = list(self._finals), dict(self._state), dict(self.people)
        self._finals.clear()
        for line in distinct([*earlier, *known]):
            self._remember(line)
        self._state |= state
        self.people |= people

    def _remember(self, line: Line) -> None:
        match line.kind:
            case "final":
                self._forgotten = self._forgotten or len(self._finals) == REMEMBERED
                self._finals.append(line)
                self._kept.add((line.data["segment"], line.data["revision"]))
                self._index = max(self._index, line.data.get("index", 0))
            case "state":
                self._state[line.data["key"]] = line.data["value"]
            case "opened":
                self._opened[line.epoch] = line.data
            case "person":
                self.people[line.data["identity"]] = line.data["name"]


async def _read_in_time(store: Store, meeting: str) -> list[Line] | None:
    try:
        async with asyncio.timeout(OPEN_TIMEOUT):
            return await store.read(meeting)
    except Exception as error:
        # Whatever is wrong with a store, the meeting begins.
        cause = {"store": store.name, "cause": f"{type(error).__name__}: {error}"}
        log.warning("store not read before the meeting", extra=cause)
        return None


def _journalled(journal_dir: Path, meeting: str) -> list[Line]:
    return [line for path in journals_of(journal_dir, meeting) for line in read_journal(path).lines]
