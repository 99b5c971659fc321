"""What is being done after meetings, and what was given up, for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from rich.console import Console
from rich.table import Table

from pipelines.errors import GreffierError
from pipelines.events import iso
from pipelines.lease import Lease
from pipelines.post_meeting.open_work import Work
from pipelines.post_meeting.work import LOST, Agenda, Step
from pipelines.transcript.paths import Sealed

StepState: TypeAlias = Literal[
    "done", "running", "ready", "later", "given up", "waits", "unreadable"
]


@dataclass(frozen=True, slots=True)
class StepStatus:
    """One step of one meeting.

    Args:
        meeting: The meeting's key.
        seal: Number of the seal.
        step: The step's name.
        state: ``ready`` waits for a worker, ``later`` for its next attempt, ``waits`` for another
            step, ``unreadable`` is a whole meeting, without a step's name.
        progress: From 0 to 1; of a step that runs.
        attempts: How many failed.
        code: Of the last failure, or empty.
        message: Of the last failure, or empty.
        due: When the next attempt may begin, UTC, ISO 8601, or empty.
    """

    meeting: str
    seal: int
    step: str
    state: StepState
    progress: float
    attempts: int
    code: str
    message: str
    due: str


async def read_status(work: Work) -> list[StepStatus]:
    """Return the steps of every meeting that is not finished, dead letters last.

    Raises:
        StoreError: The index can't be read.
        LeaseError: The leases can't be read.
    """
    leases = {
        lease.key.parts: lease
        for lease in await work.leases.leases("work")
        if lease.holder and not lease.expired
    }
    found: list[StepStatus] = []
    for sealed in [*await work.pending.sealed(), *await work.pending.given_up()]:
        try:
            agenda = await work.runner.look(sealed)
        except Exception as error:
            # The others are shown. A library's message may quote what was said.
            cause = str(error) if isinstance(error, GreffierError) else type(error).__name__
            found.append(_unreadable(sealed, cause))
            continue
        if agenda is None:
            continue
        for step in agenda.steps:
            lease = leases.get((sealed.key, str(sealed.seal), step.name))
            found.append(_status(sealed, step, agenda, lease))
    return found


def print_status(steps: Sequence[StepStatus]) -> None:
    """Print a table, one row a step that is not done."""
    table = Table("meeting", "seal", "step", "state", "attempts", "why")
    for one in steps:
        if one.state != "done":
            state = f"{one.state} {one.progress:.0%}" if one.state == "running" else one.state
            why = f"{one.code}: {one.message}" if one.code else ""
            if one.due:
                why += f" (next try {one.due})"
            table.add_row(one.meeting, str(one.seal), one.step, state, str(one.attempts or ""), why)
    console = Console()
    if table.row_count:
        console.print(table)
    else:
        console.print("Nothing is to be done.")


def status_json(steps: Sequence[StepStatus]) -> str:
    """Return the same for machines."""
    return json.dumps([asdict(one) for one in steps], ensure_ascii=False, indent=1)


def _status(sealed: Sealed, step: Step, agenda: Agenda, lease: Lease | None) -> StepStatus:
    failure = agenda.failures.get(step.name)
    told: Mapping[str, object] = lease.state if lease else {}
    progress = told.get("progress", 0.0)
    state = _state(step, agenda, running=lease is not None)
    if state == "running" and failure and failure.code == LOST:
        failure = None  # That is how an attempt is noted that is under way.
    return StepStatus(
        meeting=sealed.key,
        seal=sealed.seal,
        step=step.name,
        state=state,
        progress=progress if isinstance(progress, float) else 0.0,
        attempts=failure.attempts if failure else 0,
        code=failure.code if failure else "",
        message=failure.message if failure else "",
        due=iso(failure.due) if failure and failure.due and state == "later" else "",
    )


def _unreadable(sealed: Sealed, cause: str) -> StepStatus:
    return StepStatus(
        meeting=sealed.key,
        seal=sealed.seal,
        step="",
        state="unreadable",
        progress=0.0,
        attempts=0,
        code="meeting_unreadable",
        message=cause,
        due="",
    )


def _state(step: Step, agenda: Agenda, *, running: bool) -> StepState:
    if step in agenda.done:
        return "done"
    if running:
        return "running"
    if step in agenda.given_up:
        return "given up"
    if step in agenda.later:
        return "later"
    return "ready" if step in agenda.ready else "waits"
