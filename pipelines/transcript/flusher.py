"""Carries a journal's lines to one store, in its own time.

Lines go every 3 s or 10 lines, whichever is first. A store that fails is asked three times with
exponential backoff; then the lines wait in the journal and the next round begins later. How far
the store is stands in a checkpoint file beside the journal, so that a restart resumes there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import stamina

from pipelines.errors import StoreError, StoreRefusedError
from pipelines.failpoints import failpoint
from pipelines.metrics import metrics
from pipelines.transcript.batches import BATCH, BLIND_BATCH, batches
from pipelines.transcript.journal import Journal
from pipelines.transcript.line import Line
from pipelines.transcript.stores.store import CheckpointStore, Store

log = logging.getLogger(__name__)

INTERVAL: Final = 3.0
"""Seconds after which a line is on its way, however few there are."""

LINES: Final = 10
"""Lines that go at once."""

NOTE_TIMEOUT: Final = 0.2
"""Seconds that noting a checkpoint elsewhere may hold up the next batch."""

ATTEMPTS: Final = 3
LONGEST_PAUSE: Final = 30.0
"""Seconds between two rounds of a store that keeps failing."""


def checkpoint_path(journal: Path, store: str) -> Path:
    """Return where the checkpoint of ``store`` for ``journal`` is."""
    return journal.with_suffix(f".{store}.checkpoint")


def read_checkpoint(journal: Path, store: str) -> int:
    """Return the last sequence that ``store`` has of ``journal``, or 0."""
    try:
        return int(checkpoint_path(journal, store).read_text())
    except (FileNotFoundError, ValueError):
        # An unreadable checkpoint costs a replay, which every store takes without doubling.
        return 0


def write_checkpoint(journal: Path, store: str, sequence: int) -> None:
    """Note that ``store`` has the lines of ``journal`` up to ``sequence``."""
    path = checkpoint_path(journal, store)
    unfinished = path.with_suffix(".unfinished")
    # A disk that takes no checkpoint takes no journal either; the replay is harmless.
    with suppress(OSError):
        unfinished.write_text(f"{sequence}\n")
        failpoint("checkpoint")
        unfinished.rename(path)


async def deliver(store: Store, meeting: str, lines: Sequence[Line]) -> None:
    """Append to the store, asking up to three times with exponential backoff.

    Raises:
        StoreError: It failed every time.
        StoreRefusedError: It refused; that is not asked again.
    """
    counts, began = metrics(), time.monotonic()
    with counts.store_failures.labels(store.name).count_exceptions():
        async for attempt in stamina.retry_context(
            on=_worth_another_try, attempts=ATTEMPTS, timeout=None, wait_initial=0.5, wait_max=5.0
        ):
            with attempt:
                if attempt.num > 1:
                    counts.store_retries.labels(store.name).inc()
                await store.append(meeting, lines)
    counts.flush_time.labels(store.name).observe(time.monotonic() - began)
    counts.store_lines.labels(store.name).inc(len(lines))
    failpoint("after_commit")


def most_in_batch(store: Store) -> int:
    """Return how many lines go to the store at once."""
    return BATCH if store.reads_back else BLIND_BATCH


def _worth_another_try(error: Exception) -> bool:
    return isinstance(error, StoreError) and not isinstance(error, StoreRefusedError)


class Flusher:
    """Flushes ``journal`` to ``store`` until :meth:`close`.

    Args:
        store: Where the lines go.
        meeting: The meeting's id.
        journal: Where they come from.
        checkpoints: Is also told how far the store is.
    """

    def __init__(
        self,
        store: Store,
        meeting: str,
        journal: Journal,
        *,
        checkpoints: CheckpointStore | None = None,
    ) -> None:
        self._store = store
        self._checkpoints = checkpoints
        self._meeting = meeting
        self._journal = journal
        self._last = 0
        self._waiting = 0
        self._ready = asyncio.Event()
        self._closing = False
        self._complete_at = 0.0
        self._lag_gauge = metrics().store_lag.labels(store.name)
        self._behind_gauge = metrics().store_behind.labels(store.name)

    @property
    def lag(self) -> int:
        """Lines that the store does not have yet."""
        return self._waiting

    def notify(self) -> None:
        """Tell that the journal has one more line."""
        if not self._waiting:
            self._complete_at = time.monotonic()
        self._waiting += 1
        if self._waiting == LINES:
            self._ready.set()

    def report(self) -> None:
        """Bring the metrics of how far the store is up to date."""
        self._lag_gauge.set(self._waiting)
        self._behind_gauge.set(time.monotonic() - self._complete_at if self._waiting else 0.0)

    def close(self) -> None:
        """Let :meth:`run` flush what is left and return."""
        self._closing = True
        self._ready.set()

    async def run(self) -> None:
        """Flush until closed and everything is in the store, or the store fails once more."""
        pause = INTERVAL
        while not (self._closing and not self._waiting):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ready.wait(), pause)
            self._ready.clear()
            try:
                await self._flush()
                pause = INTERVAL
            except Exception as error:
                # Also what no store should raise: the lines are in the journal, the others go on.
                pause = min(pause * 2, LONGEST_PAUSE)
                log.warning(
                    "store not written, lines wait in the journal",
                    extra={"store": self._store.name, "lines": self._waiting, "cause": str(error)},
                )
                if self._closing:
                    return  # Who seals asks once more, and then recovery.

    async def _flush(self) -> None:
        while lines := await self._next_lines():
            await deliver(self._store, self._meeting, lines)
            self._last = lines[-1].sequence
            self._waiting -= len(lines)
            write_checkpoint(self._journal.path, self._store.name, self._last)
            await self._note_checkpoint(lines[-1])

    async def _note_checkpoint(self, last: Line) -> None:
        if self._checkpoints:
            # The one in the file is what counts while the file is there.
            with suppress(StoreError, TimeoutError):
                async with asyncio.timeout(NOTE_TIMEOUT):
                    await self._checkpoints.note_checkpoint(
                        self._meeting, self._store.name, last.epoch, last.sequence
                    )

    async def _next_lines(self) -> Sequence[Line]:
        lines = self._journal.recent_after(self._last, limit=BATCH)
        if lines is None:
            lines = await asyncio.to_thread(self._journal.older_after, self._last, limit=BATCH)
        return next(batches(lines, most=most_in_batch(self._store)), ())
