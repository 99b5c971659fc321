"""One attempt of one step: what it is given, how its end is read, how others see it is alive."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from pipelines.errors import FencedError, LeaseError, RetryableError, StepError, StoreError
from pipelines.lease import Lease, Leases
from pipelines.post_meeting.artefacts import Artefacts
from pipelines.post_meeting.wanted import Wanted
from pipelines.post_meeting.work import Step
from pipelines.transcript.paths import Sealed

log = logging.getLogger(__name__)

_BEATS: Final = 4  # in the time to live of a lease


class Progress(Protocol):
    """Is told how far a step is, from 0 to 1, as often as it likes."""

    def __call__(self, fraction: float, /) -> None:
        """Take note; never fails and never waits."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a step is given.

    Args:
        sealed: The meeting.
        step: Which step it is; its destination is in the name.
        artefacts: Of the meeting: it reads what it needs and puts what it makes.
        wanted: What the room's metadata asks for.
        progress: To be told how far it is.
        last: Whether it is not tried again: what is not all that it could be is better than none.
    """

    sealed: Sealed
    step: Step
    artefacts: Artefacts
    wanted: Wanted
    progress: Progress
    last: bool = False

    @property
    def fields(self) -> dict[str, object]:
        """What a log says of it."""
        return {"meeting": self.sealed.key, "seal": self.sealed.seal, "step": self.step.name}


StepFunction: TypeAlias = Callable[[Task], Awaitable[None]]
"""Does one kind of step. May be cancelled at any moment, and may be done again from the start.

Raises RetryableError or StoreError where another attempt can help, StepError where none can. What
takes long in Python goes to a thread: the lease's heartbeat is in the same event loop.
"""


async def outcome(function: StepFunction, task: Task, *, seconds: float) -> StepError | None:
    """Do the step; return what went wrong, None where everything that it makes is there.

    Args:
        function: Does it.
        task: What it is given.
        seconds: That it may take.
    """
    problem: StepError | None = None
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            await function(task)
        if lacking := set(task.step.makes) - await task.artefacts.names():
            problem = RetryableError("unexpected", f"it ended without {', '.join(sorted(lacking))}")
    except StepError as error:
        problem = error
    except StoreError as error:
        problem = RetryableError("store_unavailable", str(error))
    except Exception as error:
        if deadline.expired():
            return RetryableError("step_timeout", f"not done in {seconds:g} s")
        # Whatever a library raises. Its message may quote what was said, so it is not kept.
        where = "".join(traceback.format_tb(error.__traceback__))
        cause = type(error).__name__
        log.error("step raised", extra=task.fields | {"cause": cause, "where": where})
        problem = RetryableError("unexpected", f"{cause}; the log says where")
    return problem


async def while_held(
    attempt: Awaitable[StepError | None],
    *,
    leases: Leases,
    lease: Lease,
    ttl: float,
    state: Mapping[str, float],
) -> StepError | None:
    """Return what ``attempt`` returns, and beat its lease as long as it takes.

    Args:
        attempt: An :func:`outcome`.
        leases: Has the lease.
        lease: The attempt's own.
        ttl: Seconds without a heartbeat after which the step is somebody else's.
        state: What others see of it; read at each beat.

    Raises:
        FencedError: The step is somebody else's; the attempt is cancelled.
    """
    problem: StepError | None = None
    fenced = False
    try:
        async with asyncio.TaskGroup() as tasks:
            beats = tasks.create_task(_beat(leases, lease, ttl, state))
            problem = await attempt
            beats.cancel()
    except* FencedError:
        fenced = True
    if fenced:
        raise FencedError
    return problem


async def _beat(leases: Leases, lease: Lease, ttl: float, state: Mapping[str, float]) -> None:
    while True:
        await asyncio.sleep(ttl / _BEATS)
        try:
            await leases.beat(
                lease.key, holder=lease.holder, epoch=lease.epoch, ttl=ttl, state=state
            )
        except LeaseError as error:
            # Nobody can take it either; whoever does later finds what is made by then.
            log.warning("heartbeat not sent", extra={"cause": str(error)})
