"""A job's hold on its room: the lease it was accepted with, beaten from the job's own loop.

A loop that hangs does not beat, and neither does a job that is cut off from its room: then
somebody else takes the room over, and the next beat says that this job has to leave. That the
leases can't be reached is nobody's death: the job goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from agents.handover import Successor, takeover
from agents.room_state import RoomState, succeed
from pipelines.errors import FencedError, HeldError, LeaseError
from pipelines.lease import Lease, LeaseKey, Leases, Tombstone
from pipelines.metrics import metrics

log = logging.getLogger(__name__)

BEATS: Final = 3
"""Beats in the time to live of a lease, at least."""

BEAT_EVERY: Final = 1.0
"""Seconds between two beats at most: others wait for what they tell, however long a lease lives."""

CUT_OFF: Final = 5.0
"""Seconds without connection to the room after which a job no longer beats."""

BEGIN_TIMEOUT: Final = 2.0
"""Seconds that asking for the lease may hold up a job that is about to join its room: without an
answer it begins a meeting of its own."""

RELEASE_TIMEOUT: Final = 1.0
"""Seconds that letting go may take; a lease that is not released expires."""


class Heartbeat:
    """Holds the lease of a room for one job.

    Args:
        leases: Where it is kept.
        key: Of the room's lease.
        holder: The job's id.
        epoch: That the job was accepted for.
        ttl: Seconds that the lease lives without a beat.
        state: What the job says of itself if nobody has said it for it: without a predecessor.
    """

    def __init__(
        self,
        leases: Leases,
        key: LeaseKey,
        *,
        holder: str,
        epoch: int,
        ttl: float,
        state: RoomState,
    ) -> None:
        self._leases = leases
        self._key = key
        self._holder = holder
        self._epoch = epoch
        self._ttl = ttl
        self._held = False
        self._away = False
        self._begun = False
        self._soon = asyncio.Event()
        self.state = state

    @property
    def known(self) -> bool:
        """Whether the leases could be asked, so that ``state`` tells of a predecessor."""
        return self._held

    async def begin(self) -> None:
        """Take on the state that the job was accepted with; not later than ``BEGIN_TIMEOUT``.

        Raises:
            FencedError: Somebody else serves the room by now.
        """
        try:
            async with asyncio.timeout(BEGIN_TIMEOUT):
                await self._take_hold()
        except (LeaseError, TimeoutError) as error:
            self._tell_away(error)
        self._begun = True

    def beat_soon(self) -> None:
        """Beat now: the state has changed in a way that others wait for."""
        self._soon.set()

    async def run(
        self,
        state: Callable[[RoomState], RoomState],
        connected: Callable[[], bool],
    ) -> Successor:
        """Beat for as long as the job has its room.

        Args:
            state: Returns the last state with what is the case now.
            connected: Tells whether the job is connected to it.

        Returns:
            Whom the room is handed over to.

        Raises:
            FencedError: Somebody else serves the room: leave it at once.
        """
        clock = asyncio.get_running_loop().time
        seen = clock()
        while True:
            now = clock()
            self._soon.clear()  # Not after the beat: a change in its midst is not in it.
            if connected():
                seen = now
            if now - seen <= CUT_OFF:
                self.state = state(self.state)
                try:
                    await self._beat()
                except FencedError as fenced:
                    if successor := await self._hand_over(fenced):
                        return successor
            # Since the last one began: after one that was given up the next comes at once.
            with suppress(TimeoutError):
                async with asyncio.timeout_at(now + min(BEAT_EVERY, self._ttl / BEATS)):
                    await self._soon.wait()

    async def is_fenced(self) -> bool | None:
        """Tell whether somebody else serves the room by now; None where it is not known."""
        try:
            async with asyncio.timeout(BEGIN_TIMEOUT):
                lease = await self._leases.read(self._key)
        except (LeaseError, TimeoutError):
            return None
        return bool(self._held and lease and lease.epoch > self._epoch)

    async def release(self, tombstone: Tombstone | None = None) -> None:
        """Let go: the job has ended in good order. Never fails: a lease expires by itself too."""
        try:
            async with asyncio.timeout(RELEASE_TIMEOUT):
                await self._leases.release(
                    self._key, epoch=self._epoch, tombstone=tombstone, sid=self.state.sid
                )
        except (LeaseError, TimeoutError) as error:
            log.warning("lease not released, it expires", extra={"cause": repr(error)})

    async def _hand_over(self, fenced: FencedError) -> Successor | None:
        """Return who takes over; None where the lease was taken back."""
        state = RoomState.of(fenced.lease.state) if fenced.lease else RoomState()
        if state.handover != self._holder:
            raise fenced
        log.info("room is handed over")
        successor = await takeover(self._leases, self._key)
        if successor is None:
            # Nobody came. Whoever claims at this moment is right, and fences this job.
            try:
                await self._claim(await self._leases.read(self._key))
            except LeaseError as error:  # The next beat is refused again, and it is tried again.
                self._tell_away(error)
            else:
                log.warning("nobody takes the room over, the job goes on")
        else:
            metrics().replacements.labels("handover").inc()
        return successor

    async def _beat(self) -> None:
        try:
            # One call that hangs must leave the time for two more while the lease lives.
            async with asyncio.timeout(self._ttl / BEATS):
                if not self._held:
                    await self._take_hold()
                else:
                    await self._leases.beat(
                        self._key,
                        holder=self._holder,
                        epoch=self._epoch,
                        ttl=self._ttl,
                        state=self.state.as_dict(),
                    )
        except (LeaseError, TimeoutError) as error:
            self._tell_away(error)
            return
        if self._away:
            self._away = False
            log.info("leases are there again")

    async def _take_hold(self) -> None:
        """Find the lease claimed for this job, or claim it now that it can be."""
        lease = await self._leases.read(self._key)
        if lease is None or lease.holder != self._holder:
            lease = await self._claim(lease)
        self._held = True
        self._epoch = max(self._epoch, lease.epoch)
        told = replace(RoomState.of(lease.state), identity=self.state.identity)
        if self._begun:
            # Its ledger is open: which meeting it serves, and beside whom, is no longer a question.
            told = replace(told, meeting=self.state.meeting, handover="", leaving="")
        self.state = told

    async def _claim(self, found: Lease | None) -> Lease:
        own = self.state
        before = RoomState.of(found.state) if found else None
        state = succeed(
            before,
            sid=own.sid,
            meeting=own.meeting,
            first=own.first,
            dispatch=own.dispatch,
            metadata=own.metadata or "",
            identity=own.identity,
        )
        if state.handover == self._holder:  # Nobody came: it is not handed over.
            state = replace(state, handover="", leaving="")
        try:
            lease = await self._leases.claim(
                self._key,
                holder=self._holder,
                epoch=self._epoch,
                ttl=self._ttl,
                state=state.as_dict(),
            )
        except HeldError as error:
            raise FencedError(error.lease) from None
        self._epoch = lease.epoch
        return lease

    def _tell_away(self, error: Exception) -> None:
        if not self._away:
            self._away = True
            log.warning("leases can't be reached, the job goes on", extra={"cause": repr(error)})
