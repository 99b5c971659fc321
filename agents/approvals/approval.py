"""What becomes of an approval: a state table over the meeting's ``action`` lines. Pure.

::

    requested -> shown -> approved | modified -> started -> done
                    |                               |-> failed   (it did not happen)
                    |-> rejected                    |-> unknown -> settled (by a person)
                    |-> expired
                    |-> withdrawn

Each step is a line, kept before anybody is shown its consequence, and the lines are the only memory
that there is: after a crash the approvals are what :func:`replay` makes of them. A step that the
table does not have is passed over, so the first decision wins, also where two jobs have each taken
one and their lines are put together later.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Literal

from pipelines.transcript.line import Line


class State(StrEnum):
    """Where an approval stands; also the name of the event that brought it there."""

    REQUESTED = "requested"
    SHOWN = "shown"
    APPROVED = "approved"
    MODIFIED = "modified"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SETTLED = "settled"


_DECISIONS: Final = frozenset({State.APPROVED, State.MODIFIED, State.REJECTED})
_ENDS: Final = frozenset({State.EXPIRED, State.WITHDRAWN})

NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.REQUESTED: frozenset({State.SHOWN}) | _DECISIONS | _ENDS,
    State.SHOWN: frozenset({State.SHOWN}) | _DECISIONS | _ENDS,  # Again, by the job after a crash.
    State.APPROVED: frozenset({State.STARTED, State.FAILED, State.UNKNOWN}),
    State.MODIFIED: frozenset({State.STARTED, State.FAILED, State.UNKNOWN}),
    State.STARTED: frozenset({State.STARTED, State.DONE, State.FAILED, State.UNKNOWN}),
    State.UNKNOWN: frozenset({State.SETTLED}),
    State.REJECTED: frozenset(),
    State.EXPIRED: frozenset(),
    State.WITHDRAWN: frozenset(),
    State.DONE: frozenset(),
    State.FAILED: frozenset(),
    State.SETTLED: frozenset(),
}
"""State -> the states that may follow it."""

SHARED: Final = "shared"
"""Event of a line that says who else has asked for the same."""

_EVENTS: Final = frozenset({*(state.value for state in State), SHARED})

UNDECIDED: Final = frozenset({State.REQUESTED, State.SHOWN})
"""Somebody is still to say yes or no."""

ON_ITS_WAY: Final = frozenset({State.APPROVED, State.MODIFIED, State.STARTED})
"""Somebody has said yes, and it has not come to an end."""

AT_THE_END: Final[Mapping[State, tuple[State, str]]] = {
    State.REQUESTED: (State.WITHDRAWN, "The meeting has ended."),
    State.SHOWN: (State.WITHDRAWN, "The meeting has ended."),
    State.APPROVED: (State.FAILED, "The meeting ended before this was begun."),
    State.MODIFIED: (State.FAILED, "The meeting ended before this was begun."),
    State.STARTED: (State.UNKNOWN, "The meeting ended while this was done."),
}
"""State -> what becomes of it at the meeting's end, and why, for people: nobody goes on with it."""

Effects = Literal["idempotent", "at_most_once"]


@dataclass(frozen=True, slots=True)
class Approval:
    """One thing that one person is asked to allow.

    Args:
        id: Nobody else's, in this meeting or another; the idempotency key of the effect too.
        tool: Name of the tool.
        arguments: That it would run with; those of the decision once it is ``modified``.
        effects: What the tool says of running it twice.
        to: Identity of who is asked; nobody else decides.
        name: Their display name when they were asked.
        asked_by: Who wants it: an identity, or `agent:` and the name of an agent.
        sharers: Those who asked for the same while it was in flight.
        asked_at: Unix seconds.
        reason: Why it is wanted, in words for people; or empty.
        state: Where it stands.
        shown_at: When it was first shown by the job ``shown_by``, Unix seconds; 0 is never.
        shown_by: Epoch of that job.
        because: The decision's reason, or why it failed or is unknown, for people; or empty.
        result: What the tool returned.
        happened: What the person said who settled an unknown outcome.
        at: When it came to ``state``, Unix seconds.
        epoch: Of the job that asked.
    """

    id: str
    tool: str
    arguments: Mapping[str, Any] = field(repr=False)
    effects: Effects
    to: str
    name: str = field(repr=False)
    asked_by: str
    asked_at: float
    reason: str = field(default="", repr=False)
    sharers: tuple[str, ...] = ()
    state: State = State.REQUESTED
    shown_at: float = 0.0
    shown_by: int = 0
    because: str = field(default="", repr=False)
    result: Any = field(default=None, repr=False)
    happened: bool | None = None
    at: float = 0.0
    epoch: int = 0

    @property
    def is_in_flight(self) -> bool:
        """Whether it may still happen, or may have happened unknown to us."""
        return self.state in UNDECIDED | ON_ITS_WAY

    @property
    def askers(self) -> tuple[str, ...]:
        """Everybody who is to be told what becomes of it."""
        return (self.asked_by, *self.sharers)

    def asks_the_same(self, tool: str, arguments: Mapping[str, Any], to: str) -> bool:
        """Tell whether asking this person for this again would be the same dialog twice."""
        mine = (self.tool, _canonical(self.arguments), self.to)
        return mine == (tool, _canonical(arguments), to)

    def may_become(self, state: State) -> bool:
        """Tell whether the table has this step."""
        return state in NEXT[self.state]

    def expires_at(self, epoch: int, *, timeout: float, patience: float) -> float | None:
        """Return when it is too late to decide, Unix seconds; None where it is decided.

        Args:
            epoch: Of the job that shows it: what another job showed may be gone from the screen.
            timeout: Seconds to decide in, from when this job has shown it.
            patience: Seconds in which it must be shown, from when it was asked or last shown.
        """
        if self.state not in UNDECIDED:
            return None
        if self.shown_at and self.shown_by == epoch:
            return self.shown_at + timeout
        return max(self.asked_at, self.shown_at) + patience


def is_of_an_approval(line: Line) -> bool:
    """Tell whether an ``action`` line is a step of an approval: others make none."""
    event = line.data.get("event")
    return event in _EVENTS


def requested(approval: Approval) -> dict[str, Any]:
    """Return the data of the line that begins an approval."""
    return {
        "event": State.REQUESTED.value,
        "id": approval.id,
        "tool": approval.tool,
        "arguments": dict(approval.arguments),
        "effects": approval.effects,
        "to": approval.to,
        "name": approval.name,
        "asked_by": approval.asked_by,
        "reason": approval.reason,
    }


def follow(approvals: dict[str, Approval], line: Line) -> Approval | None:
    """Take the next ``action`` line.

    Args:
        approvals: By id; changed.
        line: Of a meeting.

    Returns:
        The approval as it is now; None where the line is of none, or the table has no such step.
    """
    data = line.data
    try:
        before = approvals.get(data["id"])
        if data["event"] == SHARED:
            return _shared(approvals, before, data["asked_by"])
        state = State(data["event"])
        if state is State.REQUESTED:
            after = None if before else _begun(line)
        else:
            after = _after(before, state, line) if before and before.may_become(state) else None
    except (KeyError, ValueError):  # Of another kind of action, or of another version.
        return None
    if after:
        approvals[after.id] = after
    return after


def replay(lines: Iterable[Line]) -> dict[str, Approval]:
    """Return the approvals by id, oldest first, that ``action`` lines in order have made."""
    approvals: dict[str, Approval] = {}
    for line in lines:
        follow(approvals, line)
    return approvals


def _shared(
    approvals: dict[str, Approval], before: Approval | None, asked_by: str
) -> Approval | None:
    if before and asked_by not in before.askers:
        approvals[before.id] = replace(before, sharers=(*before.sharers, asked_by))
    return None


def _begun(line: Line) -> Approval:
    data = line.data
    return Approval(
        id=data["id"],
        tool=data["tool"],
        arguments=data["arguments"],
        effects=data["effects"],
        to=data["to"],
        name=data["name"],
        asked_by=data["asked_by"],
        asked_at=line.at,
        reason=data.get("reason", ""),
        at=line.at,
        epoch=line.epoch,
    )


def _after(before: Approval, state: State, line: Line) -> Approval:
    data = line.data
    after = replace(before, state=state, at=line.at, because=data.get("because", before.because))
    match state:
        case State.SHOWN:
            return replace(after, shown_at=line.at, shown_by=line.epoch)
        case State.MODIFIED:
            return replace(after, arguments=data["arguments"])
        case State.DONE:
            return replace(after, result=data.get("result"))
        case State.SETTLED:
            return replace(after, happened=data["happened"])
        case _:
            return after


def _canonical(arguments: Mapping[str, Any]) -> str:
    return json.dumps(arguments, sort_keys=True)
