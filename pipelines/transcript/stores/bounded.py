"""A store whose every call has a time-out and fails with a ``StoreError`` only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from pipelines.errors import StoreError
from pipelines.transcript.line import Line
from pipelines.transcript.stores.store import Store

READ_TIMES: Final = 6
"""Time-outs of a call that a reading of a whole meeting may take: it is many calls."""


class BoundedStore:
    """Bounds ``store``: whoever waits for it waits ``timeout`` seconds at most.

    Args:
        store: Any store, a badly behaved one included.
        timeout: Seconds for one batch; a reading may take ``READ_TIMES`` as long.
    """

    def __init__(self, store: Store, timeout: float) -> None:
        self._store = store
        self._timeout = timeout

    @property
    def name(self) -> str:
        """The store's name."""
        return self._store.name

    @property
    def reads_back(self) -> bool:
        """Whether :meth:`read` can be had."""
        return self._store.reads_back

    async def append(self, meeting: str, lines: Sequence[Line]) -> None:
        """Keep lines, as :meth:`Store.append` does."""
        async with self._bounds(self._timeout):
            await self._store.append(meeting, lines)

    async def read(self, meeting: str) -> list[Line]:
        """Return the meeting's lines, as :meth:`Store.read` does."""
        async with self._bounds(self._timeout * READ_TIMES):
            return await self._store.read(meeting)

    async def sealed(self, meeting: str, lines: int) -> None:
        """Take note of the seal, as :meth:`Store.sealed` does."""
        async with self._bounds(self._timeout):
            await self._store.sealed(meeting, lines)

    async def aclose(self) -> None:
        """Let go of connections."""
        async with self._bounds(self._timeout):
            await self._store.aclose()

    @asynccontextmanager
    async def _bounds(self, seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except StoreError:
            raise
        except TimeoutError as error:
            raise StoreError(f"store {self.name}: no answer in {seconds:g} s") from error
        except Exception as error:
            # Only the kind of error: a client's message may quote an address with its password.
            raise StoreError(f"store {self.name}: {type(error).__name__}") from error
