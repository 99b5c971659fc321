"""A store that is left alone after some failures in a row: for one look at many meetings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from pipelines.errors import StoreError, StoreRefusedError
from pipelines.transcript.line import Line
from pipelines.transcript.stores.store import Store

FAILURES: Final = 3
"""Failures in a row after which it is away."""


class LeftAlone:
    """Passes calls on to ``store``; once that is away, every call is refused without asking it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._failures = 0

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
        with self._counted():
            await self._store.append(meeting, lines)

    async def read(self, meeting: str) -> list[Line]:
        """Return the meeting's lines, as :meth:`Store.read` does."""
        with self._counted():
            return await self._store.read(meeting)

    async def sealed(self, meeting: str, lines: int) -> None:
        """Take note of the seal, as :meth:`Store.sealed` does."""
        with self._counted():
            await self._store.sealed(meeting, lines)

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._store.aclose()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._failures >= FAILURES:
            raise StoreRefusedError(f"store {self.name} is away")
        try:
            yield
        except StoreRefusedError:
            raise  # An answer, and about one meeting perhaps: the others are asked for.
        except StoreError:
            self._failures += 1
            raise
        self._failures = 0
