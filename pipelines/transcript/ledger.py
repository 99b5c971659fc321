"""What a meeting has kept so far, and the one writer of an epoch.

``Ledger.append`` numbers a line and has it journalled before it returns; whoever shows something
to people calls it first. The stores follow in their own time.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from pipelines.events import CaptionFinal
from pipelines.transcript.flusher import Flusher
from pipelines.transcript.journal import Journal, UnkeptJournal, read_journal
from pipelines.transcript.line import Line, LineKind, caption_of, distinct, final_data
from pipelines.transcript.paths import meeting_key
from pipelines.transcript.stores.store import Store

log = logging.getLogger(__name__)

SYNC_INTERVAL: Final = 0.1
"""Seconds between two fsyncs of the journal: what a loss of power can cost."""

MAX_LINE: Final = 256 * 1024
"""Bytes of a line's data; far below the tail that stores look back."""


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


class Ledger:
    """The lines of a meeting: those of earlier epochs, and this epoch's as they are appended."""

    def __init__(
        self,
        meeting: str,
        epoch: int,
        *,
        started_at: float,
        journal: Journal,
        stores: Sequence[Store],
        earlier: Sequence[Line],
    ) -> None:
        self.meeting = meeting
        self.epoch = epoch
        self.started_at = started_at
        self._journal = journal
        self._flushers = [Flusher(store, meeting, journal) for store in stores]
        self._sequence = 0
        self._captions: dict[tuple[str, int], CaptionFinal] = {}
        self._state: dict[str, Any] = {}
        self.people: dict[str, str] = {}
        for line in earlier:
            self._remember(line)

    @classmethod
    async def open(
        cls,
        meeting: str,
        epoch: int,
        *,
        started_at: float,
        journal_dir: Path,
        stores: Sequence[Store],
        keep: bool = True,
    ) -> Self:
        """Begin an epoch: read what earlier ones kept, in journals and in the first store.

        Without ``keep`` nothing of this epoch is written anywhere; it is all in memory.

        A store that can't be read is no reason not to begin: what is only there comes back at the
        seal, which reads it again.
        """
        earlier = await asyncio.to_thread(_journalled, journal_dir, meeting)
        with suppress(Exception):
            earlier += await stores[0].read(meeting)
        earlier = distinct(earlier)
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
            earlier=earlier,
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
            TypeError: ``data`` is not JSON-serialisable.
            ValueError: It is longer than ``MAX_LINE`` bytes, or holds NaN or an infinity, or
                ``at`` is no time.
        """
        size = len(json.dumps(data, allow_nan=False))
        if size > MAX_LINE:
            raise ValueError(f"a line holds at most {MAX_LINE} bytes, this one {size}")
        line = Line(self.meeting, self.epoch, self._sequence + 1, kind, at, dict(data))
        self._journal.append(line)
        self._sequence += 1
        self._remember(line)
        for flusher in self._flushers:
            flusher.notify()
        return line

    def append_final(self, caption: CaptionFinal) -> None:
        """Journal a caption's settled text; call it before anybody sees the caption."""
        self.append("final", final_data(caption, meeting_start=self.started_at), at=caption.at)

    def captions(self, *, since: float = 0.0) -> list[CaptionFinal]:
        """Return the settled captions that began at or after ``since``, in order of time."""
        latest = dict(sorted(self._captions))
        return sorted(
            (
                caption
                for (segment, revision), caption in self._captions.items()
                if caption.at >= since and caption.text and latest[segment] == revision
            ),
            key=lambda caption: caption.at,
        )

    def has(self, caption: CaptionFinal) -> bool:
        """Tell whether this revision of the segment is kept."""
        return (caption.segment, caption.revision) in self._captions

    def state(self, key: str) -> Any:
        """Return the last value appended for ``key`` as a ``state`` line, or None."""
        return self._state.get(key)

    async def run(self) -> None:
        """Sync the journal and flush the stores until :meth:`close` and all is done."""
        flushed = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_synced(flushed))
            async with asyncio.TaskGroup() as flushing:
                for flusher in self._flushers:
                    flushing.create_task(flusher.run())
            flushed.set()

    def close(self) -> None:
        """Let :meth:`run` flush what is left and return."""
        for flusher in self._flushers:
            flusher.close()

    def release(self) -> None:
        """Close the journal and let go of its lock; nothing may be appended after it."""
        self._journal.close()

    async def _keep_synced(self, flushed: asyncio.Event) -> None:
        while not flushed.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(flushed.wait(), SYNC_INTERVAL)
            self._journal.write_pending()
            try:
                await asyncio.to_thread(self._journal.sync)
            except OSError as error:
                log.error("journal not synced", extra={"cause": str(error)})

    def _remember(self, line: Line) -> None:
        match line.kind:
            case "final":
                caption = caption_of(line, meeting_start=self.started_at)
                self._captions.setdefault((caption.segment, caption.revision), caption)
            case "state":
                self._state[line.data["key"]] = line.data["value"]
            case "person":
                self.people[line.data["identity"]] = line.data["name"]


def _journalled(journal_dir: Path, meeting: str) -> list[Line]:
    return [line for path in journals_of(journal_dir, meeting) for line in read_journal(path).lines]
