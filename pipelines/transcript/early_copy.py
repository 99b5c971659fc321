"""Has finals in Redis before people see them, if Redis is quick enough.

A caption waits for it up to 20 ms. After one missed deadline no caption waits at all until Redis
answers again; the flusher brings it the lines in its own time, and it keeps each once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

from pipelines.transcript.batches import BATCH
from pipelines.transcript.early_queue import EarlyQueue
from pipelines.transcript.line import Line

log = logging.getLogger(__name__)

DEADLINE: Final = 0.02
"""Seconds that a caption waits at most; nobody sees it, and Redis beside us takes 1 ms."""

PATIENCE: Final = 1.0
"""Seconds until what is on its way is given up; also what is left to it at the end."""

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
"""Seconds until a suspended store is asked again; doubled until a batch arrives in time."""


class EarlyStore(Protocol):
    """The part of a store that an early copy needs; the Redis store has it."""

    @property
    def name(self) -> str:
        """What the log calls it."""

    async def append(self, meeting: str, lines: Sequence[Line]) -> None:
        """Keep lines; the same line twice is kept once."""

    async def ping(self) -> None:
        """Return when it answers, and raise if it does not."""


class EarlyCopy:
    """Copies the finals of one meeting; needs :meth:`run` beside it.

    Args:
        store: Where to.
        meeting: The meeting's id.
    """

    def __init__(self, store: EarlyStore, meeting: str) -> None:
        self._store = store
        self._meeting = meeting
        self._queue = EarlyQueue(BATCH)
        self._wake = asyncio.Event()
        self._progress = asyncio.Event()
        self._closing = False
        self._running: asyncio.Timeout | None = None
        self._pause = FIRST_PAUSE

    @property
    def suspended(self) -> bool:
        """Whether captions go without waiting, because the store was late or failed."""
        return self._queue.suspended

    def offer(self, line: Line) -> None:
        """Send the line soon, after those offered before; lines are all of one epoch."""
        self._queue.offer(line)
        self._wake.set()

    async def settled(self) -> None:
        """Return when everything offered so far is in the store, after 20 ms at the latest.

        While suspended it returns at once.
        """
        offered = self._queue.offered
        try:
            async with asyncio.timeout(DEADLINE):
                while not self._queue.settled(offered):
                    await self._progress.wait()
        except TimeoutError:
            # Where it was our own loop that stood still, the answer came before we looked.
            if not self._queue.settled(offered):
                self._suspend(f"no answer in {DEADLINE * 1000:.0f} ms")

    def close(self) -> None:
        """Let :meth:`run` send what waits and return, within a second."""
        self._closing = True
        self._wake.set()
        self._bound()

    async def run(self) -> None:
        """Send what is offered until closed; whatever the store does, this does not fail."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(None) as self._running:
                    self._bound()
                    await self._send_all()
        finally:
            self._running = None
            self._suspend("ended", quietly=True)  # nobody waits for what nobody sends

    def _bound(self) -> None:
        if self._closing and self._running is not None:
            self._running.reschedule(asyncio.get_running_loop().time() + PATIENCE)

    async def _send_all(self) -> None:
        if not await self._answers():  # the first final should not have to wait for a connection
            self._suspend("no answer")
        while not (self._closing and (self._queue.suspended or not len(self._queue))):
            self._wake.clear()
            if self._queue.suspended:
                await self._resume()
            elif len(self._queue):
                await self._send()
            else:
                await self._wake.wait()

    async def _send(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._store.append(self._meeting, self._queue.take())
        except Exception as error:
            # Whatever it is, the flusher meets it too and treats it properly.
            self._suspend(str(error) or type(error).__name__)
        else:
            if not self._queue.suspended:
                self._pause = FIRST_PAUSE
            self._arrived()

    async def _resume(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause):
                    await self._closed()
            if self._closing:
                return
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            if await self._answers():
                self._queue.suspended = False
                log.info("early copy resumed", extra={"store": self._store.name})
                return

    async def _answers(self) -> bool:
        """Tell whether the store takes what waits, and answers as fast as a caption needs it."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._store.ping()
                # A store that is full answers a ping, too; and who comes next should not have to
                # wait for all that came before.
                while lines := self._queue.take():
                    await self._store.append(self._meeting, lines)
                    self._arrived()
            # Connections are made by now.
            async with asyncio.timeout(DEADLINE):
                await self._store.ping()
        except Exception:
            # As in _send; of a store that stays away nothing more is to be said.
            return False
        else:
            return True

    def _arrived(self) -> None:
        self._queue.arrived()
        self._tell()

    async def _closed(self) -> None:
        while not self._closing:
            self._wake.clear()
            await self._wake.wait()

    def _suspend(self, cause: str, *, quietly: bool = False) -> None:
        if not self._queue.suspended:
            self._queue.suspended = True
            if not quietly:
                log.warning(
                    "early copy suspended, captions no longer wait for it",
                    extra={"store": self._store.name, "cause": cause},
                )
        self._wake.set()
        self._tell()

    def _tell(self) -> None:
        # Wakes all who wait now, and nobody later.
        self._progress.set()
        self._progress.clear()
