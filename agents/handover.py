"""A room goes from a job whose worker ends to one of another worker, without a gap.

The ending worker takes the lease, in the name of the job that serves (``handover``), and asks for
another job. That one joins beside the old one, and once it reads audio it says in its heartbeat
when the watershed is (``takeover_at``). Then the old job begins no further span of speech, tells of
each speaker where its own share ends (:mod:`agents.turn`), finishes, leaves. Where no other job
comes, the old one takes its lease back. Where the old one is gone before the watershed, the new one
takes everything that it has heard, as after a death.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from agents import shutdown
from agents.room_state import RoomState
from agents.turn import LONGEST, Turn
from pipelines.errors import HeldError, LeaseError
from pipelines.lease import LeaseKey, Leases

log = logging.getLogger(__name__)

NOTICE: Final = 1.25
"""Seconds from the new job's word to the watershed: in them the old one reads the word. The cut of
a speaker may lie ``turn.UNDECIDED`` before the watershed; the new one has heard it."""

PATIENCE: Final = 8.0
"""Seconds that the old job waits for another one before it takes its lease back."""

MORE_PATIENCE: Final = 12.0
"""Seconds more that it waits for the word of one that has come: a busy machine starts slowly."""

LOOK: Final = 0.1
"""Seconds between two looks at the other job's word."""

ANSWER: Final = 2.5
"""Seconds after which the new job no longer expects a word of the old one that is due."""

LEAVES: Final = (
    shutdown.DRAIN_AGENTS
    + shutdown.SEND_CAPTIONS
    + shutdown.CLOSE_TOOLS
    + shutdown.FLUSH_STORES
    + 3.0
)
"""Seconds after its word in which the old job keeps its last lines and is gone."""

_KEPT: Final = 60.0  # seconds that the old job's word is there to be read

_CUTS: Final[TypeAdapter[dict[str, float | None]]] = TypeAdapter(dict[str, float | None])


@dataclass(frozen=True, slots=True)
class Successor:
    """Who takes a room over.

    Args:
        job: Its id.
        at: The watershed, Unix seconds.
    """

    job: str
    at: float


async def takeover(leases: Leases, key: LeaseKey) -> Successor | None:
    """Return who takes over, once it says when; None where nobody has come."""
    clock = asyncio.get_running_loop().time
    began = clock()
    come = False
    while clock() < began + PATIENCE + (MORE_PATIENCE if come else 0.0):
        try:
            lease = await leases.read(key)
        except LeaseError:  # The deadline is as good as an answer.
            lease = None
        come = come or bool(lease and lease.holder)
        if lease and lease.holder and (at := RoomState.of(lease.state).takeover_at):
            return Successor(lease.holder, at)
        await asyncio.sleep(LOOK)
    return None


class Cuts:
    """What an old job tells a new one: identity -> the cut of their speech, None while it is open.

    Args:
        leases: By which it is told.
        job: Who tells, or is told.
    """

    def __init__(self, leases: Leases, job: str) -> None:
        self._leases = leases
        self._job = job

    async def tell(self, successor: str, cuts: Mapping[str, float | None]) -> bool:
        """Tell the job ``successor``; return whether it could be."""
        try:
            await self._leases.claim(
                _key(successor), holder=self._job, epoch=1, ttl=_KEPT, state={"cuts": dict(cuts)}
            )
        except (HeldError, LeaseError):
            return False
        return True

    async def told(self) -> dict[str, float | None] | None:
        """Return what this job's predecessor has told so far; None where it is nothing."""
        try:
            lease = await self._leases.read(_key(self._job))
        except LeaseError:
            return None
        return _CUTS.validate_python(lease.state["cuts"]) if lease else None

    async def forget(self) -> None:
        """Take away what the predecessor told; it expires by itself too."""
        try:
            lease = await self._leases.read(_key(self._job))
            if lease:
                await self._leases.release(lease.key, epoch=lease.epoch)
        except LeaseError:
            return


async def tell_cuts(
    told: Cuts, successor: Successor, cuts: Callable[[], Mapping[str, float | None]]
) -> None:
    """Tell the successor the cuts as they come, until it knows all or no longer waits for any.

    Args:
        told: What the successor is told.
        successor: Who takes over.
        cuts: Returns those of now.
    """
    known = None
    while time.time() < successor.at + LONGEST + ANSWER:
        now = cuts()
        if now != known and await told.tell(successor.job, now):
            known = now
        if now == known and None not in now.values():
            break
        await asyncio.sleep(LOOK)


async def agree(
    turn: Turn,
    told: Cuts,
    *,
    at: float,
    is_there: Callable[[], bool],
    people: Callable[[], Iterable[str]],
    release: Callable[[], None],
) -> float | None:
    """Learn of the predecessor what is this job's, and set its ``turn`` accordingly.

    Args:
        turn: The job's.
        told: What the predecessor tells.
        at: The watershed that it was told, Unix seconds.
        is_there: Tells whether the predecessor is in the room.
        people: Returns who else is.
        release: Called when ``turn`` has changed, to go on with what was kept back.

    Returns:
        From when on this job takes all, Unix seconds, where the predecessor does not answer: 0 is
        from its first audio. None where it has answered for everybody.
    """
    turn.since = at
    deadline = at + ANSWER
    while time.time() < deadline:
        left = not is_there()
        cuts = await told.told()
        if cuts is not None and cuts != turn.cuts:
            turn.cuts = cuts
            release()
            deadline = at + LONGEST + ANSWER
        if cuts is not None and None not in cuts.values():
            await told.forget()
            return None
        if left and cuts is None and time.time() < at:
            # One that leaves in good order does so later.
            log.warning("predecessor is gone before the watershed")
            turn.since, turn.cuts = -math.inf, {}
            release()
            return 0.0
        await asyncio.sleep(LOOK)
    # It does not live any more, or can't tell.
    known = turn.cuts
    log.warning("predecessor does not tell what it takes", extra={"told": known is not None})
    if known is None:
        known = dict.fromkeys(people())
    turn.cuts = {who: at if cut is None else cut for who, cut in known.items()}
    release()
    return at


async def until_gone(is_there: Callable[[], bool]) -> None:
    """Return when the old job has kept all that it will; at the latest after :data:`LEAVES`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LEAVES):
            while is_there():  # noqa: ASYNC110 - the room tells no one who has left
                await asyncio.sleep(LOOK)


def _key(successor: str) -> LeaseKey:
    return LeaseKey("handover", (successor,))
