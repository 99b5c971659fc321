"""Finds the steps that wait and that nobody does: those whose nudge was lost with a process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from pipelines.errors import StoreError
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


async def ready_steps(pending: Pending, runner: Runner, leases: Leases) -> list[Nudge]:
    """Return the steps of all meetings that may begin and that nobody does now.

    Raises:
        StoreError: The index can't be read.
        LeaseError: Nobody says who does what.
    """
    under_way = {
        lease.key.parts
        for lease in await leases.leases("work")
        if lease.holder and not lease.expired
    }
    places = asyncio.Semaphore(_LOOKS)

    async def of(sealed: Sealed) -> list[Nudge]:
        async with places:
            try:
                found = await runner.settle(sealed)
            except StoreError as error:
                fields = {"meeting": sealed.key, "cause": str(error)}
                log.warning("meeting not looked at, next look later", extra=fields)
                return []
        return [Nudge(sealed, step) for step in found.ready] if found else []

    looks = await asyncio.gather(*map(of, await pending.sealed()))
    return [
        nudge
        for look in looks
        for nudge in look
        if (nudge.sealed.key, str(nudge.sealed.seal), nudge.step.name) not in under_way
    ]


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
