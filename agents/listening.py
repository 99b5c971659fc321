"""Since when a job listens, and up to when what was said is settled.

The heartbeat carries ``heard_until``. When a job dies, its successor reads there where the hole
begins; it ends with the first audio that the successor is given.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from agents.room import MeetingRoom
from pipelines.events import Hole
from pipelines.transcript.ledger import Ledger
from pipelines.transcript.resume import gap

log = logging.getLogger(__name__)

FIRST_AUDIO: Final = 3.0
"""Seconds after which microphones that deliver nothing no longer keep a hole open."""

LONGEST_MISSING: Final = 10.0
"""Seconds after which an open microphone without audio no longer holds back what all have said: it
is taken for broken, and has a hole of its own when it is heard again."""

Oldest = Callable[[], float | None]


class Listening:
    """How far this job and those before it have heard.

    Args:
        room: The people, connected.
        ledger: Tells, by the lines of earlier epochs, how far they had heard.
        before: The same by the lease, Unix seconds; None where it does not tell.
    """

    def __init__(self, room: MeetingRoom, ledger: Ledger, before: float | None) -> None:
        self._room = room
        self._ledger = ledger
        self._before = ledger.heard_before if before is None else before
        self._listens = False
        self._unsettled: list[Oldest] = []

    def watch(self, oldest: Oldest) -> Callable[[], None]:
        """Ask ``oldest`` where the oldest speech begins that was heard and is not settled.

        Returns:
            Ends it.
        """
        self._unsettled.append(oldest)

        def end() -> None:
            with suppress(ValueError):  # It may have been dropped.
                self._unsettled.remove(oldest)

        return end

    def heard_until(self, now: float) -> float:
        """Return the Unix seconds before which everything said is settled, or in a marked hole.

        Args:
            now: Unix seconds.
        """
        if not self._listens and self._before is not None:
            return min(now, self._before)
        begins = [self._asked(oldest) for oldest in tuple(self._unsettled)]
        missing = self._room.attention.missing_since(now - LONGEST_MISSING)
        begins.append(missing)
        return min([now, *(begin for begin in begins if begin is not None)])

    def _asked(self, oldest: Oldest) -> float | None:
        """Return what a plugin tells; one that fails must not end the job's heartbeat."""
        try:
            begin = oldest()
            if begin is None or math.isfinite(begin):
                return begin
            log.error("unsettled speech is not told in seconds, not asked again")
        except Exception:
            log.exception("unsettled speech not told, not asked again")
        self._unsettled.remove(oldest)
        return None

    async def begin(self, mark: Callable[[Hole], None]) -> None:
        """Wait until this job is given audio, and have the hole before it marked.

        A job that a room is handed over to calls :meth:`take_over` instead.

        Args:
            mark: Keeps and tells the hole.
        """
        if not self._room.attention.hears:
            self._listens = True
            return
        until = await self._first_audio()
        if self._before is None:
            # Only where the lease is gone: a store that is away may tell of it late.
            await self._ledger.earlier_known()
            self._before = self._ledger.heard_before
        if hole := gap(self._before, until):
            mark(hole)
        self._listens = True

    def end(self, now: float, mark: Callable[[Hole], None]) -> None:
        """Have the hole marked that :meth:`begin` did not come to: the job ends before it heard.

        Args:
            now: Unix seconds.
            mark: Keeps and tells the hole.
        """
        if not self._listens and self._room.attention.hears and (hole := gap(self._before, now)):
            mark(hole)

    async def take_over(
        self, agree: Callable[[], Awaitable[float | None]], mark: Callable[[Hole], None]
    ) -> None:
        """Wait until this job is given audio, and take over from the one before it, which goes on.

        Args:
            agree: Agrees with it on who takes what; returns from when on this job takes all, Unix
                seconds, if it hears by then, where the one before it does not answer; else None:
                there is no hole.
            mark: Keeps and tells the hole.
        """
        heard_from = await self._first_audio()
        alone_since = await agree()
        if alone_since is not None and (hole := gap(self._before, max(alone_since, heard_from))):
            mark(hole)
        self._listens = True

    async def _first_audio(self) -> float:
        """Return since when every open microphone is heard, Unix seconds."""
        since = time.time()
        waited = self._room.attention.speaking_now()
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_AUDIO):
                for listener in waited:
                    await listener.heard.wait()
        return max([since, *(one.heard_from for one in waited if one.heard_from is not None)])
