"""Looks for rooms whose job has fallen silent, and has them served again.

Every worker has one; of all workers of an agent name, the one that holds the watch lease acts. The
others look at the clocks only, so that who takes the watch over knows what an expired lease tells.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine
from contextlib import suppress
from math import inf
from typing import Any, Final

from agents.failover import Watch
from agents.room_state import waits
from pipelines.errors import FencedError, HeldError, LeaseError
from pipelines.lease import Lease, LeaseKey, Leases
from pipelines.metrics import metrics

log = logging.getLogger(__name__)

LOOKS: Final = 6
"""Looks in the time to live of a lease."""

AGAIN: Final = 1.0
"""Seconds until a room that waits is looked at again."""

COUNTS: Final = 5.0
"""Seconds between two counts of the rooms that wait: that takes a look at every lease."""

STAYS_OUT: Final = 1.0
"""Times to live of a lease for which one who can't reach LiveKit leaves the watch to others."""


class Watcher:
    """Watches the leases of one agent name's rooms.

    Args:
        leases: Who serves which room.
        agent_name: Whose rooms.
        ttl: Seconds that a lease lives without a beat.
        see_to: Has a room served again whose lease is expired, and tells whether its job is
            replaced now; raises ConnectionError where LiveKit can't be reached.
        sweep: Called by who watches; must not raise.
    """

    def __init__(
        self,
        leases: Leases,
        agent_name: str,
        *,
        ttl: float,
        see_to: Callable[[Lease], Coroutine[Any, Any, bool]],
        sweep: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self._leases = leases
        self._agent_name = agent_name
        self._ttl = ttl
        self._see_to = see_to
        self._sweep = sweep
        self._watch = Watch(ttl)
        self._key = LeaseKey("watch", (agent_name,))
        self._me = secrets.token_hex(8)
        self._epoch = 0
        self._away = False
        self._out_until = 0.0
        self._count_at = 0.0
        self._not_before: dict[LeaseKey, float] = {}
        self._sweeping: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Watch for ever."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    await self._look(tasks)
                    self._away = False
                except LeaseError as error:
                    self._watch.away()
                    if not self._away:
                        self._away = True
                        log.warning("leases can't be watched", extra={"cause": str(error)})
                except Exception:
                    # The next look is the retry; the worker's meetings must not end for it.
                    log.exception("watcher failed, next look soon")
                await asyncio.sleep(self._ttl / LOOKS)

    async def _look(self, tasks: asyncio.TaskGroup) -> None:
        watches = await self._watches()
        if not watches:
            metrics().rooms_waiting.set(0)
        found = await self._leases.leases("room", expired=True) if watches else []
        # Last: if the leases were slow to answer, jobs could not beat meanwhile.
        now, clock = _now(), await self._leases.time()
        silent = {one.key: one for one in found if one.key.parts[1] == self._agent_name}
        self._not_before = {
            key: at for key, at in self._not_before.items() if key in silent or at == inf
        }
        ours = [one for key, one in silent.items() if self._not_before.get(key, 0.0) <= now]
        for lease in self._watch.look(ours, now=now, clock=clock, seen=self._not_before):
            self._not_before[lease.key] = inf
            tasks.create_task(self._seen_to(lease), name="room that fell silent")
        if watches and (self._sweeping is None or self._sweeping.done()):
            self._sweeping = tasks.create_task(self._sweep_and_count(), name="sweep")

    async def _sweep_and_count(self) -> None:
        await self._sweep()
        if _now() < self._count_at:
            return
        with suppress(LeaseError):  # The next look tells that they are away.
            rooms = await self._leases.leases("room")
            ours = (one for one in rooms if one.key.parts[1] == self._agent_name)
            metrics().rooms_waiting.set(sum(map(waits, ours)))
        self._count_at = _now() + COUNTS

    async def _seen_to(self, lease: Lease) -> None:
        try:
            if not await self._see_to(lease):
                self._watch.spare()
        except ConnectionError as error:
            log.warning("watch is left to others", extra={"cause": str(error)})
            await self._stay_out()
        except Exception:
            # One room's trouble is not that of the others: it is looked at again.
            log.exception("room not seen to", extra={"room": lease.key.parts[0]})
        self._not_before[lease.key] = _now() + AGAIN

    async def _stay_out(self) -> None:
        """Let go of the watch: another worker may reach what this one can't."""
        self._out_until = _now() + STAYS_OUT * self._ttl
        epoch, self._epoch = self._epoch, 0
        if epoch:
            with suppress(LeaseError):  # It expires.
                await self._leases.release(self._key, epoch=epoch)

    async def _watches(self) -> bool:
        """Become or stay the one that acts; tell whether this is it."""
        if _now() < self._out_until:
            return False
        # A short life: until another one watches, a dead worker's rooms wait.
        ttl = self._ttl / 2
        try:
            if self._epoch:
                await self._leases.beat(
                    self._key, holder=self._me, epoch=self._epoch, ttl=ttl, state={}
                )
            else:
                lease = await self._leases.claim(
                    self._key, holder=self._me, epoch=1, ttl=ttl, state={}
                )
                self._epoch = lease.epoch
        except (HeldError, FencedError):
            self._epoch = 0
            return False
        return True


def _now() -> float:
    return asyncio.get_running_loop().time()
