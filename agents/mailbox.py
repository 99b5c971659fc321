"""A bounded queue from the job's loop into an agent's loop, which may be another thread's."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Items for one reader; a full mailbox loses one and counts it.

    Args:
        capacity: Items that wait at most.
        expendable: Tells which items go first when it is full; otherwise the oldest goes.
    """

    def __init__(self, capacity: int, *, expendable: Callable[[T], bool] | None = None) -> None:
        self._capacity = capacity
        self._expendable = expendable
        self._items: deque[T] = deque()
        self._lock = threading.Lock()
        self._closed = False
        self._reader: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self.lost = 0

    def put(self, item: T) -> None:
        """Add an item, from any thread; a closed mailbox takes none."""
        with self._lock:
            if self._closed:
                return
            if len(self._items) >= self._capacity:
                self._lose_one()
            self._items.append(item)
        self._wake()

    def close(self) -> None:
        """End the iteration after what is in it."""
        with self._lock:
            self._closed = True
        self._wake()

    def __len__(self) -> int:
        return len(self._items)

    async def __aiter__(self) -> AsyncIterator[T]:
        """Yield items as they come; only one reader."""
        ready = asyncio.Event()
        with self._lock:
            self._reader = (asyncio.get_running_loop(), ready)
        while True:
            ready.clear()
            while True:
                with self._lock:
                    if not self._items:
                        closed = self._closed
                        break
                    item = self._items.popleft()
                yield item
            if closed:
                return
            await ready.wait()

    def _lose_one(self) -> None:
        self.lost += 1
        index = 0
        if self._expendable:
            index = next((i for i, item in enumerate(self._items) if self._expendable(item)), 0)
        del self._items[index]

    def _wake(self) -> None:
        if self._reader:
            loop, ready = self._reader
            with suppress(RuntimeError):  # The reader's loop is closed: nobody reads any more.
                loop.call_soon_threadsafe(ready.set)
