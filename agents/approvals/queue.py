"""Which dialog a person is shown next: pure. They see one at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from agents.approvals.approval import UNDECIDED, Approval, State


def next_dialog(
    approvals: Iterable[Approval],
    person: str,
    *,
    asked: Collection[str],
    failed: Mapping[str, int],
) -> Approval | None:
    """Return what to show somebody whose screen is free; None where there is nothing.

    What they are still to decide comes before outcomes that they are to tell of: nobody waits for
    the latter. Of the former comes first what could be shown, then what was shown before, whose
    time runs, then what is asked by who has waited longest for a turn: nobody who asks for much
    keeps others from being heard. Else the oldest.

    Args:
        approvals: Oldest first.
        person: Identity.
        asked: Ids of the unknown outcomes that they were asked about since they came: they are not
            asked again before they come anew, and find them in the list.
        failed: Id -> how often it could not be shown since they came.
    """
    mine = [one for one in approvals if one.to == person]
    turns: dict[str, float] = {}
    for one in mine:
        turns[one.asked_by] = max(one.shown_at, turns.get(one.asked_by, 0.0))

    def rank(one: Approval) -> tuple[int, bool, float]:
        return failed.get(one.id, 0), not one.shown_at, turns[one.asked_by]

    undecided = (one for one in mine if one.state in UNDECIDED)
    unknown = (one for one in mine if one.state is State.UNKNOWN and one.id not in asked)
    return min(undecided, key=rank, default=None) or next(unknown, None)


def waiting_for(approvals: Iterable[Approval], person: str) -> list[Approval]:
    """Return what somebody is still to decide."""
    return [one for one in approvals if one.to == person and one.state in UNDECIDED]


def same_in_flight(
    approvals: Iterable[Approval], tool: str, arguments: Mapping[str, Any], to: str
) -> Approval | None:
    """Return the approval in flight that asks this person for just this; they share it."""
    return next(
        (one for one in approvals if one.is_in_flight and one.asks_the_same(tool, arguments, to)),
        None,
    )
