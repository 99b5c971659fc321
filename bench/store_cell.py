"""One store under one fault: what became of the lines of one meeting.

The lines go through journal and flusher, as in a worker, to a real server whose first, a middle and
last batch meet the fault. The truth is read on the server, not through our store.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import stamina

from bench.meeting_lines import meeting_lines
from bench.store_servers import AT_LEAST_ONCE
from bench.store_targets import PATIENCE, TIMEOUT, FaultName, Target
from pipelines.errors import StoreError, StoreRefusedError
from pipelines.transcript.flusher import ATTEMPTS, INTERVAL, Flusher, checkpoint_path, deliver
from pipelines.transcript.journal import Journal
from pipelines.transcript.seal import replay
from pipelines.transcript.stores.bounded import BoundedStore
from pipelines.transcript.stores.store import Store

STRIKES: Final = 3
"""Batches that meet a fault: the first, one in the middle, the last."""

STRUCK: Final = 20
"""Lines of a batch that meets its fault."""

_EPOCH: Final = 1_790_000_000_000
_LATEST: Final = 120.0
"""Seconds until a store that works again must have everything."""

_NOT_STRUCK: Final = ("none", "wrong key", "gone and back", "replayed")
_REPLY_LOST: Final = ("after commit", "time-out", "gone and back", "replayed")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the lines of one meeting.

    Args:
        store: Kind of the store.
        fault: What was done to it.
        lines: How many it was given that it keeps.
        lost: How many of them the server does not have as they were given.
        doubled: How many the server has more than once, or has though nobody gave them.
        misread: How many are missing, changed or doubled when read back by id through our store.
        asked: How often the server was asked until it had everything; with a wrong key, in the
            time in which it was tried.
        broken: How many faults struck.
        refused: Whether it was called a refusal and the server not asked in vain all the time,
            of a wrong key.
        seconds: From the first line, or from the server's return, until everything was there.
    """

    store: str
    fault: FaultName
    lines: int
    lost: int
    doubled: int
    misread: int
    asked: int
    broken: int
    refused: bool
    seconds: float

    @property
    def kept(self) -> bool:
        """Whether the store kept its promise."""
        happened = self.broken == STRIKES or self.fault in _NOT_STRUCK
        may_double = self.store in AT_LEAST_ONCE and self.fault in _REPLY_LOST
        return (
            happened
            and not self.lost
            and not self.misread
            and (may_double or not self.doubled)
            and (self.refused or self.fault != "wrong key")
        )


class Cell:
    """One meeting under one fault.

    Args:
        target: A target nobody else breaks.
        directory: Takes the journal.
        lines: How many to write.
        seed: Of the lines and of the sizes of the bursts.
    """

    def __init__(self, target: Target, directory: Path, *, lines: int, seed: int) -> None:
        self.meeting = f"cell {directory.name}/{seed}"
        self._target = target
        self._lines = list(meeting_lines(self.meeting, _EPOCH, lines=lines, seed=seed))
        self._journal = Journal(directory / f"{_EPOCH}.jsonl")
        self._written = 0
        self._timeout = PATIENCE
        self._chance = random.Random(seed)

    async def run(self, store: str, fault: FaultName, *, gone: float) -> Outcome:
        """Write the lines under ``fault`` and look what became of them; see :class:`Outcome`.

        Raises:
            TimeoutError: The store still lacks lines long after everything works again.
        """
        began = time.monotonic()
        refused, asked = False, None
        if fault == "time-out":
            self._timeout = TIMEOUT
        match fault:
            case "gone and back":
                began = await self._gone_and_back(gone)
            case "wrong key":
                refused, asked = await self._wrong_key(gone)
            case "replayed":
                await self._struck("none")
                await self._replayed_twice()
            case _:
                await self._struck(fault)
        asked = self._target.asked if asked is None else asked
        seconds = time.monotonic() - began
        self._journal.close()
        expected = {fact for line in self._lines if (fact := self._target.fact(line))}
        kept = await asyncio.to_thread(self._target.kept, self.meeting)
        return Outcome(
            store=store,
            fault=fault,
            lines=len(expected),
            lost=len(expected - set(kept)),
            doubled=len(kept) - len(expected & set(kept)),
            misread=await self._misread(),
            asked=asked,
            broken=self._target.broken,
            refused=refused,
            seconds=round(seconds, 1),
        )

    async def _struck(self, fault: FaultName) -> None:
        async with self._flushing() as flusher:
            self._target.strike(fault)
            await self._write(flusher, STRUCK)
            await self._write(flusher, len(self._lines) // 2)
            self._target.strike(fault)
            await self._write(flusher, self._written + STRUCK)
            await self._write(flusher, len(self._lines) - STRUCK)
            self._target.strike(fault)
            self._append(flusher, len(self._lines))
            flusher.close()
        await self._replay()

    async def _gone_and_back(self, seconds: float) -> float:
        async with self._flushing() as flusher:
            await self._write(flusher, len(self._lines) // 3)
            await self._target.leave()
            self._append(flusher, len(self._lines))
            await asyncio.sleep(seconds)
            await self._target.come_back()
            back = time.monotonic()
            await self._settled(flusher)
            flusher.close()
        return back

    async def _wrong_key(self, seconds: float) -> tuple[bool, int]:
        """Try with a wrong key for a while; return whether it was refused, and how often asked."""
        async with self._flushing(wrong_key=True) as flusher:
            self._append(flusher, len(self._lines))
            async with asyncio.timeout(_LATEST):
                while not self._target.asked:  # noqa: ASYNC110 - a client that is loaded tells nobody
                    await asyncio.sleep(0.02)
            await asyncio.sleep(seconds)
            asked = self._target.asked
            flusher.close()
        async with self._store(wrong_key=True) as store:
            try:
                await store.append(self.meeting, self._lines[:STRUCK])
            except StoreError as error:
                refused = isinstance(error, StoreRefusedError)
            else:
                refused = False
        await self._replay()
        return refused and asked <= 1 + seconds // (2 * INTERVAL), asked

    async def _replayed_twice(self) -> None:
        """Replay the whole journal by two at once, in other batches than it was flushed in.

        Last of all comes a try that was late: the beginning of what has long been kept.
        """
        async with self._store() as store:
            checkpoint_path(self._journal.path, store.name).unlink()
        async with asyncio.TaskGroup() as replaying:
            for _ in range(2):
                replaying.create_task(self._replay())
        async with self._store() as store:
            await deliver(store, self.meeting, self._lines[: STRUCK // 4])

    async def _misread(self) -> int:
        """Read back by id with a new store object, and count what is not as it was given."""
        async with self._store() as store:
            if not store.reads_back:
                return 0
            async for attempt in stamina.retry_context(on=StoreError, attempts=ATTEMPTS):
                with attempt:
                    read = await store.read(self.meeting)
        given = {line.key: line.encode() for line in self._lines}
        there = {line.key: line.encode() for line in read}
        return len(given.items() ^ there.items()) + len(read) - len(there)

    @asynccontextmanager
    async def _store(self, *, wrong_key: bool = False) -> AsyncIterator[Store]:
        store = BoundedStore(self._target.open_store(wrong_key=wrong_key), self._timeout)
        try:
            yield store
        finally:
            await store.aclose()

    @asynccontextmanager
    async def _flushing(self, *, wrong_key: bool = False) -> AsyncIterator[Flusher]:
        async with self._store(wrong_key=wrong_key) as store, asyncio.TaskGroup() as tasks:
            flusher = Flusher(store, self.meeting, self._journal)
            tasks.create_task(flusher.run())
            yield flusher

    async def _write(self, flusher: Flusher, until: int) -> None:
        """Journal lines in bursts, as people talk, and wait until the store has them."""
        while self._written < until:
            self._append(flusher, min(until, self._written + self._chance.randint(1, 60)))
            await asyncio.sleep(0.01)
        await self._settled(flusher)

    def _append(self, flusher: Flusher, until: int) -> None:
        for line in self._lines[self._written : until]:
            self._journal.append(line)
            flusher.notify()
        self._written = until

    async def _settled(self, flusher: Flusher) -> None:
        async with asyncio.timeout(_LATEST):
            while flusher.lag:  # noqa: ASYNC110 - a flusher tells nobody
                await asyncio.sleep(0.02)

    async def _replay(self) -> None:
        """Give a new store object what is not known to be there, as recovery does, until it is."""
        async with self._store() as store, asyncio.timeout(_LATEST):
            done = False
            while not done:
                with suppress(StoreError):
                    await replay(self._journal.path, [store])
                    done = True
