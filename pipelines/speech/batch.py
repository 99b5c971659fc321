"""Speech through an engine that takes whole pieces of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import numpy as np

from pipelines.speech.cutter import Cutter
from pipelines.speech.heard import RATE, Heard, Samples

SHORTEST: Final = RATE // 10
"""Fewest samples that a provider takes (OpenAI: 0.1 s); shorter pieces are padded with silence."""


class BatchSource:
    """A :class:`~pipelines.speech.heard.Source`: long speech is cut, results keep order.

    Args:
        ask: Recognises a piece; returns its text, perhaps empty, and its language. Bounds how many
            run at once.
    """

    certain = True

    def __init__(self, ask: Callable[[Samples], Awaitable[tuple[str, str]]]) -> None:
        self._ask = ask
        self._cutter = Cutter()
        self._buffer: list[Samples] = []
        self._pushed = 0
        self._cut_at = 0
        self._pieces: asyncio.Queue[tuple[asyncio.Task[Heard], float] | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Heard]] = set()
        self.stuck_until: float | None = None

    def push(self, samples: Samples, *, speech: float = 1.0) -> None:
        """Give audio; see ``Source``."""
        self._pushed += len(samples)
        at = self._cutter.cut(samples, speech)
        if at is None:
            self._buffer.append(samples)
            return
        self._buffer.append(samples[:at])
        self._cut(self._pushed - len(samples) + at)
        self._buffer.append(samples[at:])

    def end(self) -> None:
        """Say that no more audio comes; see ``Source``."""
        if self._pushed > self._cut_at:
            self._cut(self._pushed)
        self._pieces.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Heard]:
        """Iterate until all pieces are settled, or the next one failed; see ``Source``."""
        while (piece := await self._pieces.get()) is not None:
            task, end = piece
            self.stuck_until = end
            yield await task
        self.stuck_until = None

    async def aclose(self) -> None:
        """Give up what is not settled."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _cut(self, until: int) -> None:
        piece = np.concatenate(self._buffer)
        start, self._cut_at = self._cut_at, until
        self._buffer.clear()
        task = asyncio.create_task(self._recognise(piece, start / RATE, until / RATE))
        self._tasks.add(task)  # cancelled and awaited in aclose
        task.add_done_callback(self._done)
        self._pieces.put_nowait((task, until / RATE))

    def _done(self, task: asyncio.Task[Heard]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # Seen here, for a piece after the one that failed is not awaited.

    async def _recognise(self, piece: Samples, start: float, end: float) -> Heard:
        if len(piece) < SHORTEST:
            piece = np.pad(piece, (0, SHORTEST - len(piece)))
        text, language = await self._ask(piece)
        return Heard(text, final=True, start=start, end=end, language=language)
