"""A span through an engine that takes whole pieces of speech."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Final

import numpy as np

from pipelines.errors import EngineFailedError
from pipelines.speech.cutter import Cutter
from pipelines.speech.heard import RATE, Heard, Samples

SHORTEST: Final = RATE // 10
"""Fewest samples that a provider takes (OpenAI: 0.1 s); shorter pieces are padded with silence."""


class BatchRecognition:
    """A :class:`~pipelines.speech.heard.Recognition`: long speech is cut, results keep order.

    Args:
        ask: Recognises a piece; returns its text, perhaps empty, and its language. Bounds how many
            run at once.
        because: Puts a failure into words.
    """

    def __init__(
        self,
        ask: Callable[[Samples], Awaitable[tuple[str, str]]],
        because: Callable[[Exception], EngineFailedError],
    ) -> None:
        self._ask = ask
        self._because = because
        self._cutter = Cutter()
        self._buffer: list[Samples] = []
        self._pushed = 0
        self._cut_at = 0
        self._pieces: asyncio.Queue[asyncio.Task[Heard] | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Heard]] = set()

    def push(self, samples: Samples, *, speech: float = 1.0) -> None:
        """Give audio; see ``Recognition``."""
        self._buffer.append(samples)
        self._pushed += len(samples)
        if self._cutter.cut_after(len(samples) / RATE, speech):
            self._cut()

    def end(self) -> None:
        """Say that no more audio comes; see ``Recognition``."""
        if self._buffer:
            self._cut()
        self._pieces.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Heard]:
        """Iterate until all pieces are settled; see ``Recognition``.

        A piece that fails does not keep the ones after it back: the error comes last.
        """
        part = 0
        problem: Exception | None = None
        while (piece := await self._pieces.get()) is not None:
            try:
                heard = await piece
            except Exception as error:
                problem = problem or error
                continue
            if heard.text:
                yield replace(heard, part=part)
                part += 1
        if problem is not None:
            raise self._because(problem) from None

    async def aclose(self) -> None:
        """Give up what is not settled."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _cut(self) -> None:
        piece = np.concatenate(self._buffer)
        start, self._cut_at = self._cut_at, self._pushed
        self._buffer.clear()
        task = asyncio.create_task(self._recognise(piece, start / RATE, self._pushed / RATE))
        self._tasks.add(task)  # cancelled and awaited in aclose
        self._pieces.put_nowait(task)

    async def _recognise(self, piece: Samples, start: float, end: float) -> Heard:
        if len(piece) < SHORTEST:
            piece = np.pad(piece, (0, SHORTEST - len(piece)))
        text, language = await self._ask(piece)
        return Heard(text, final=True, start=start, end=end, language=language)
