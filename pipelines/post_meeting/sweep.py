"""Finds the steps that wait and that nobody does: those whose nudge was lost with a process."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from pipelines.errors import GreffierError
from pipelines.lease import Leases
from pipelines.post_meeting.pending import Pending
from pipelines.post_meeting.runner import Runner
from pipelines.post_meeting.work import QueueName, Step
from pipelines.transcript.paths import Sealed

log = logging.getLogger(__name__)

_LOOKS: Final = 16  # meetings that are looked at together


class Nudge(NamedTuple):
    """What goes through the queue."""

    sealed: Sealed
    step: Step


async def ready_steps(
    pending: Pending, runner: Runner, leases: Leases, *, seconds: float
) -> list[Nudge]:
    """Return the steps of all meetings that may begin and that nobody does now.

    Args:
        pending: Has the meetings.
        runner: Looks at each.
        leases: Has who does what.
        seconds: That it may take; what was not looked at by then is left to the next sweep.

    Raises:
        StoreError: The index can't be read.
        LeaseError: Nobody says who does what.
    """
    under_way: set[tuple[str, ...]] = set()
    ready: list[Nudge] = []
    places = asyncio.Semaphore(_LOOKS)

    async def look(sealed: Sealed) -> None:
        async with places:
            ready.extend(await ready_of(sealed, runner))

    try:
        async with asyncio.timeout(seconds):
            under_way = {
                lease.key.parts
                for lease in await leases.leases("work")
                if lease.holder and not lease.expired
            }
            found = await pending.sealed()
            # By chance: those that are not looked at in time are others each time.
            random.shuffle(found)
            await asyncio.gather(*map(look, found))
    except TimeoutError:
        log.warning("not all looked at in time, the others later", extra={"seconds": seconds})
    return [
        nudge
        for nudge in sorted(ready, key=lambda one: one.sealed)
        if (nudge.sealed.key, str(nudge.sealed.seal), nudge.step.name) not in under_way
    ]


async def ready_of(sealed: Sealed, runner: Runner) -> list[Nudge]:
    """Return the steps of one meeting that may begin; none where it can't be looked at now."""
    try:
        found = await runner.settle(sealed)
    except Exception as error:
        # Whatever is wrong with one meeting, the others are looked at. A library's message may
        # quote what was said.
        cause = str(error) if isinstance(error, GreffierError) else type(error).__name__
        fields = {"meeting": sealed.key, "cause": cause}
        log.warning("meeting not looked at, next look later", extra=fields)
        return []
    return [Nudge(sealed, step) for step in found.ready] if found else []


def lost(ready: Sequence[Nudge], waiting: Mapping[QueueName, int]) -> list[Nudge]:
    """Return the nudges to be sent again.

    Where as many wait in a queue as there are steps for it, each has its own and nobody is
    forgotten; where there are fewer, nobody can tell which, so each gets one more. A queue thus
    never holds more than twice what there is to do, however long it takes.

    Args:
        ready: Steps that may begin and that nobody does.
        waiting: How many messages each queue holds.
    """
    return [
        nudge
        for nudge in ready
        if sum(one.step.queue == nudge.step.queue for one in ready)
        > waiting.get(nudge.step.queue, 0)
    ]
