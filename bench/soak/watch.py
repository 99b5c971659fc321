"""Who is in the room, and which dispatches there are: seen from outside, ten times a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from livekit import api
from livekit.protocol.models import ParticipantInfo

from bench.rooms import Rooms

_INTERVAL: Final = 0.1
_TIMEOUT: Final = 1.0


@dataclass(slots=True)
class Watch:
    """What was seen of one room; Unix seconds.

    Args:
        rooms: LiveKit's API, entered.
        room: The room's name.

    ``came`` has the times at which an agent was new in the room, ``dispatched`` those at which a
    dispatch was; ``present`` is who is there now, as far as known at ``looked``.
    """

    rooms: Rooms
    room: str
    came: list[float] = field(default_factory=list)
    dispatched: list[float] = field(default_factory=list)
    present: frozenset[str] = frozenset()
    looked: float = 0.0
    _dispatches: set[str] = field(default_factory=set)
    _agents: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Look until cancelled; a server that is away is asked again."""
        while True:
            with suppress(api.TwirpError, aiohttp.ClientError, TimeoutError):
                async with asyncio.timeout(_TIMEOUT):
                    await self._look()
            await asyncio.sleep(_INTERVAL)

    async def _look(self) -> None:
        people = await self.rooms.participants(self.room)
        now = time.time()
        agents = {one.sid: one.identity for one in people if one.kind == ParticipantInfo.Kind.AGENT}
        # By SID: in a room that was made anew, the same identity is another agent.
        self.came += [now] * len(agents.keys() - self._agents)
        self._agents |= agents.keys()
        self.present = frozenset(agents.values())
        self.looked = now
        listed = await self.rooms.api.agent_dispatch.list_dispatch(self.room)
        ids = {dispatch.id for dispatch in listed}
        self.dispatched += [time.time()] * len(ids - self._dispatches)
        self._dispatches |= ids


def first_after(at: float, times: Sequence[float]) -> float | None:
    """Return how many seconds after ``at`` the first of ``times`` is, if there is one."""
    return min((when - at for when in times if when > at), default=None)
