"""Which webhooks were taken: a repetition, of LiveKit's or of somebody else's, changes nothing.

An id is noted after what the webhook asked for is kept: a process that dies between the two lets
LiveKit's repetition do it again, which is harmless. In files a note outlives the process; in Redis
every receiver sees it.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from redis.exceptions import RedisError

from pipelines.errors import StoreError
from pipelines.transcript.stores.address import StoreAddress
from pipelines.transcript.stores.redis_connection import open_redis, redis_call

REMEMBERED: Final = 7200
"""Seconds that an id is kept: twice what the receiver takes for the age of a webhook."""

CLEAR_INTERVAL: Final = 60.0
"""Least seconds between two looks at all files for those that are too old."""

_KEY: Final = "greffier:webhook:"
_CLOSING: Final = 1.0


class Taken(Protocol):
    """Ids of webhooks. Each call raises StoreError where they can't be reached."""

    async def has(self, event: str) -> bool:
        """Tell whether the webhook of this id was taken."""

    async def add(self, event: str) -> None:
        """Note that it was."""

    async def aclose(self) -> None:
        """Close the connections; never fails."""


class FileTaken:
    """An empty file for each id, for the receivers of one host.

    Args:
        directory: Of the files; made when the first webhook comes.
        now: Unix seconds, as files have them.
    """

    def __init__(self, directory: Path, *, now: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._now = now
        self._clear_at = 0.0

    async def has(self, event: str) -> bool:
        """Tell whether there is its file."""
        return await asyncio.to_thread(self._path(event).exists)

    async def add(self, event: str) -> None:
        """Make its file, and now and then delete those that are too old to matter."""
        await asyncio.to_thread(self._add, self._path(event))

    async def aclose(self) -> None:
        """Nothing is held open."""

    def _path(self, event: str) -> Path:
        return self._directory / hashlib.sha256(event.encode()).hexdigest()

    def _add(self, path: Path) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            path.touch()
            now = self._now()
            if now >= self._clear_at:
                self._clear_at = now + CLEAR_INTERVAL
                self._clear(now - REMEMBERED)
        except OSError as error:
            raise StoreError(f"webhooks: {error}") from error

    def _clear(self, oldest: float) -> None:
        for path in self._directory.iterdir():
            with suppress(FileNotFoundError):  # Another receiver was quicker.
                if path.stat().st_mtime < oldest:
                    path.unlink()


class RedisTaken:
    """A key for each id, which goes by itself.

    Args:
        address: Of the server.
        setting: Which has the address, for who has to correct it.
    """

    def __init__(self, address: StoreAddress, *, setting: str) -> None:
        self._address = address
        self._setting = setting
        self._redis = open_redis(address, setting=setting)

    async def has(self, event: str) -> bool:
        """Tell whether there is its key."""
        async with redis_call(self._address, setting=self._setting):
            return bool(await self._redis.exists(_KEY + event))

    async def add(self, event: str) -> None:
        """Set its key."""
        async with redis_call(self._address, setting=self._setting):
            await self._redis.set(_KEY + event, b"", ex=REMEMBERED)

    async def aclose(self) -> None:
        """Close the connections."""
        with suppress(RedisError, OSError):
            async with asyncio.timeout(_CLOSING):
                await self._redis.aclose()
