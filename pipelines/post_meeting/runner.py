"""Does one step of one sealed meeting: under a lease, with what failed kept for the next attempt.

Both the built-in worker and Celery's tasks come here. Before an attempt begins it is noted as
lost, and the note goes when it ends: so a process may die anywhere in it, and the next one knows.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final, TypeAlias

from pydantic import ValidationError

from pipelines.errors import FencedError, HeldError, LeaseError, RetryableError, StepError
from pipelines.lease import Lease, LeaseKey, Leases
from pipelines.metrics import metrics
from pipelines.post_meeting.artefacts import Artefacts, ArtefactStore
from pipelines.post_meeting.attempt import StepFunction, Task, outcome, while_held
from pipelines.post_meeting.pending import Pending
from pipelines.post_meeting.wanted import Wanted
from pipelines.post_meeting.work import (
    ALIGNED,
    DOCUMENT,
    SOURCE,
    WANTED,
    Agenda,
    Failure,
    Step,
    after_failure,
    agenda,
    failure_name,
    plan,
    under_way,
)
from pipelines.transcript.document import TranscriptDocument
from pipelines.transcript.paths import Sealed

log = logging.getLogger(__name__)

_FAILURES: Final = "failures/"


OnProgress: TypeAlias = Callable[[Sealed, Step, float], None]
"""Is told of every step how far it is, from 0 to 1."""


class Runner:
    """Looks at sealed meetings, and does their steps one at a time.

    Args:
        store: Has the artefacts.
        leases: Has who does what.
        steps: Kind of step -> what does it.
        timeout: Seconds that a step may take.
        ttl: Seconds without a heartbeat after which a step is somebody else's.
        on_progress: Is told how far each step is.
        clock: Gives Unix seconds.
        chance: Gives jitter, from 0 to 1.
    """

    def __init__(
        self,
        store: ArtefactStore,
        leases: Leases,
        steps: Mapping[str, StepFunction],
        *,
        timeout: float,
        ttl: float,
        on_progress: OnProgress | None = None,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._pending = Pending(store)
        self._leases = leases
        self._steps = steps
        self._timeout = timeout
        self._ttl = ttl
        self._on_progress = on_progress
        self._clock = clock
        self._chance = chance
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    async def look(self, sealed: Sealed) -> Agenda | None:
        """Tell what is to be done; None where the meeting is marked but not sealed yet.

        Raises:
            StoreError: The artefacts can't be read.
        """
        artefacts = self._store.at(sealed.directory)
        present = await artefacts.names()
        if DOCUMENT not in present:
            return None
        wanted = await _wanted(artefacts)
        failures = await _failures(artefacts, present)
        recording = failures.get("transcribe")
        # Only a recording that is given up makes a difference: else the transcript, which may be
        # that of a whole day, is not read at every look.
        matters = recording is not None and recording.due is None and ALIGNED not in present
        heard_live = not matters or await _heard_live(artefacts)
        return agenda(
            plan(recorded=SOURCE in present, heard_live=heard_live, deliver=wanted.deliver),
            present=present,
            failures=failures,
            now=self._clock(),
        )

    async def run(self, sealed: Sealed, name: str) -> Agenda | None:
        """Do a step if it may begin and nobody else does it.

        A failure is kept, not raised.

        Returns:
            What is to be done then; None where nothing was tried.

        Raises:
            StoreError: The artefacts can't be read or written.
            LeaseError: Nobody says who does the step.
        """
        if await self._ready(sealed, name) is None:
            return None
        key = LeaseKey("work", (sealed.key, str(sealed.seal), name))
        holder = f"{self._name}:{secrets.token_hex(4)}"  # an attempt's own: no other may beat it
        try:
            lease = await self._leases.claim(
                key, holder=holder, epoch=int(self._clock() * 1000), ttl=self._ttl, state={}
            )
        except HeldError:
            return None
        try:
            # Who held it may have done it in the meantime.
            if step := await self._ready(sealed, name):
                await self._attempt(sealed, step, lease)
        finally:
            with suppress(LeaseError):
                await self._leases.release(key, epoch=lease.epoch)
        return await self.settle(sealed)

    async def settle(self, sealed: Sealed) -> Agenda | None:
        """Tell what is to be done, and see to it that nobody looks again where that is nothing.

        Raises:
            StoreError: The artefacts or the index can't be read or written.
        """
        found = await self.look(sealed)
        if found is None:
            return None
        for step in found.done:
            if step.name in found.failures:  # Its process died when all of it was there.
                await self._store.at(sealed.directory).remove(failure_name(step.name))
        if found.rests and not found.given_up:
            await self._pending.finish(sealed)
        elif found.rests:
            await self._pending.give_up(sealed)
            found = await self.look(sealed)
            if found and not found.rests:  # Somebody asked for it again in between.
                await self._pending.add(sealed)
        return found

    async def _ready(self, sealed: Sealed, name: str) -> Step | None:
        found = await self.look(sealed)
        return next((step for step in found.ready if step.name == name), None) if found else None

    async def _attempt(self, sealed: Sealed, step: Step, lease: Lease) -> None:
        artefacts = self._store.at(sealed.directory)
        noted = failure_name(step.name)
        before = await artefacts.read(noted)
        attempt = under_way(step, _decoded(before), now=self._clock())
        await artefacts.replace(noted, attempt.encode())
        state: dict[str, float] = {}
        progress = partial(self._note_progress, sealed, step, state)
        last = step.is_last(attempt.attempts)
        task = Task(sealed, step, artefacts, await _wanted(artefacts), progress, last)
        if attempt.due is None:
            _tell(task, attempt)
            return
        progress(0.0)
        try:
            problem = await while_held(
                outcome(self._steps[step.kind], task, seconds=self._timeout),
                leases=self._leases,
                lease=lease,
                ttl=self._ttl,
                state=state,
            )
            await self._still_ours(lease, state)
        except FencedError:
            log.warning("step is somebody else's now", extra=task.fields)
        except asyncio.CancelledError:
            # This process is asked to end: that is no failure of the step's.
            if before is None:
                await artefacts.remove(noted)
            else:
                await artefacts.replace(noted, before)
            raise
        else:
            await self._keep(task, attempt, problem)

    async def _still_ours(self, lease: Lease, state: Mapping[str, float]) -> None:
        """Beat once more: how an attempt ended is not noted over that of whoever is at it now.

        Raises:
            FencedError: The step is somebody else's.
        """
        try:
            await self._leases.beat(
                lease.key, holder=lease.holder, epoch=lease.epoch, ttl=self._ttl, state=state
            )
        except LeaseError as error:
            log.warning("lease not read, taken for ours", extra={"cause": str(error)})

    async def _keep(self, task: Task, attempt: Failure, problem: StepError | None) -> None:
        noted = failure_name(task.step.name)
        if problem is None:
            await task.artefacts.remove(noted)
            task.progress(1.0)
            metrics().steps.labels(task.step.kind, "done").inc()
            log.info("step done", extra=task.fields)
            return
        failure = after_failure(
            task.step,
            attempt.attempts,
            code=problem.code,
            message=problem.message,
            now=self._clock(),
            jitter=self._chance(),
            heals=isinstance(problem, RetryableError),
            after=problem.after if isinstance(problem, RetryableError) else 0.0,
        )
        await task.artefacts.replace(noted, failure.encode())
        _tell(task, failure)

    def _note_progress(
        self, sealed: Sealed, step: Step, state: dict[str, float], fraction: float, /
    ) -> None:
        state["progress"] = round(min(1.0, max(0.0, fraction)), 3)
        if self._on_progress:
            self._on_progress(sealed, step, state["progress"])


def _tell(task: Task, failure: Failure) -> None:
    ended = failure.due is None
    metrics().steps.labels(task.step.kind, "given_up" if ended else "failed").inc()
    wait = None if failure.due is None else round(failure.due - failure.at, 1)
    log.warning(
        "step given up" if ended else "step failed, next attempt later",
        extra=task.fields | {"code": failure.code, "attempts": failure.attempts, "wait": wait},
    )


async def _wanted(artefacts: Artefacts) -> Wanted:
    raw = await artefacts.read(WANTED)
    try:
        return Wanted.model_validate_json(raw) if raw else Wanted()
    except ValidationError:
        # It was checked when the room opened; an older or newer version may have written it.
        log.warning("what the room wanted can't be read, the defaults are taken")
        return Wanted()


async def _heard_live(artefacts: Artefacts) -> bool:
    raw = await artefacts.read(DOCUMENT)
    try:
        document = await asyncio.to_thread(TranscriptDocument.model_validate_json, raw or b"")
    except ValidationError:
        return True  # The step that needs it says what is wrong.
    return bool(document.segments)


async def _failures(artefacts: Artefacts, present: frozenset[str]) -> dict[str, Failure]:
    found = {}
    for name in present:
        if name.startswith(_FAILURES) and (failure := _decoded(await artefacts.read(name))):
            found[name.removeprefix(_FAILURES).removesuffix(".json")] = failure
    return found


def _decoded(raw: bytes | None) -> Failure | None:
    try:
        return Failure.decode(raw) if raw else None
    except ValueError:
        return None  # Somebody edited it: the step begins anew.
