"""The built-in worker: one process that does what is to be done, without a queue.

The index is looked at every second; that is one look into a small directory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

from pipelines.errors import GreffierError, LeaseError, StoreError
from pipelines.post_meeting.runner import Runner
from pipelines.post_meeting.work import Agenda, QueueName, Step
from pipelines.transcript.paths import Sealed

log = logging.getLogger(__name__)

LOOK: Final = 1.0
"""Seconds between two looks into the index."""

AT_ONCE: Final[Mapping[QueueName, int]] = {
    "transcribe-queue": 1,  # of its parts, as many at once as the engine takes
    "summarize-queue": 2,
    "deliver-queue": 4,
}
"""Steps under way at the same time."""


class BuiltinWorker:
    """Does the steps of all meetings in the index.

    Args:
        runner: Does one step.
        find: Returns what is in the index; may raise StoreError.
        sweep: Seconds until a meeting that waits, or is somebody else's, is looked at again.
    """

    def __init__(
        self,
        runner: Runner,
        find: Callable[[], Awaitable[Collection[Sealed]]],
        *,
        sweep: float,
    ) -> None:
        self._runner = runner
        self._sweep = sweep
        self._find = find
        self._places = {queue: asyncio.Semaphore(most) for queue, most in AT_ONCE.items()}
        self._busy: set[Sealed] = set()
        self._look_at: dict[Sealed, float] = {}
        self._unsealed: set[Sealed] = set()

    async def run(self, *, until_idle: bool = False) -> None:
        """Work until cancelled.

        Args:
            until_idle: Return once the index has nothing that is sealed.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as meetings:
            while True:
                try:
                    found = set(await self._find())
                except StoreError as error:
                    log.warning("index not read, next look later", extra={"cause": str(error)})
                    found = set(self._look_at)
                self._look_at = {one: self._look_at.get(one, 0.0) for one in found}
                self._unsealed &= found
                if until_idle and not self._busy and found <= self._unsealed:
                    return
                for sealed in sorted(found - self._busy):
                    if self._look_at[sealed] <= loop.time():
                        self._busy.add(sealed)
                        meetings.create_task(self._work_on(sealed), name=sealed.key)
                await asyncio.sleep(LOOK)

    async def _work_on(self, sealed: Sealed) -> None:
        try:
            while await self._pass(sealed):
                pass
        except Exception as error:
            # Whatever is wrong with one meeting, the others are worked on. A library's message may
            # quote what was said.
            cause = str(error) if isinstance(error, GreffierError) else type(error).__name__
            fields = {"meeting": sealed.key, "cause": cause}
            log.warning("meeting not done, next look later", extra=fields)
        finally:
            self._look_at[sealed] = asyncio.get_running_loop().time() + self._sweep
            self._busy.discard(sealed)

    async def _pass(self, sealed: Sealed) -> bool:
        """Do the steps that may begin; tell whether there may be more at once."""
        found = await self._runner.settle(sealed)
        if found is None:
            self._unsealed.add(sealed)
            return False
        self._unsealed.discard(sealed)
        async with asyncio.TaskGroup() as steps:
            tried = [steps.create_task(self._do(sealed, step)) for step in found.ready]
        after = [task.result() for task in tried]
        return any(one is not None and len(one.done) > len(found.done) for one in after)

    async def _do(self, sealed: Sealed, step: Step) -> Agenda | None:
        async with self._places[step.queue]:
            try:
                return await self._runner.run(sealed, step.name)
            except (StoreError, LeaseError) as error:
                # The next look tries it again; the other deliveries go on.
                fields = {"meeting": sealed.key, "step": step.name, "cause": str(error)}
                log.warning("step not tried, next look later", extra=fields)
                return None
