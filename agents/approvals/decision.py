"""What a person's answer does to an approval: pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from agents.approvals.approval import UNDECIDED, Approval, State
from agents.rpc.errors import Code, RpcProblem

Decision: TypeAlias = Literal["approve", "reject", "modify", "happened", "did_not_happen"]

SETTLES: Final = frozenset({"happened", "did_not_happen"})
"""Answers to the question what became of an effect whose outcome is unknown."""

_STATES: Final[Mapping[Decision, State]] = {
    "approve": State.APPROVED,
    "reject": State.REJECTED,
    "modify": State.MODIFIED,
    "happened": State.SETTLED,
    "did_not_happen": State.SETTLED,
}


def step_of(approval: Approval | None, who: str, decision: Decision) -> State:
    """Return the state that an answer brings an approval to.

    Args:
        approval: As it is; None where there is none.
        who: Identity of whoever answers, whatever their role.
        decision: The answer.

    Raises:
        RpcProblem: It is not theirs to answer, or the answer comes too late.
    """
    if approval is None:
        raise RpcProblem(Code.NOT_FOUND, "There is no such approval in this meeting.")
    if approval.to != who:
        raise RpcProblem(Code.NOT_ADDRESSED, "Somebody else is asked to decide this.")
    now = approval.state.value
    if decision in SETTLES:
        if approval.state is not State.UNKNOWN:
            raise RpcProblem(Code.CONFLICT, "Nobody is asked what became of this.", state=now)
    elif approval.state in {State.EXPIRED, State.WITHDRAWN}:
        raise RpcProblem(Code.EXPIRED, "This is no longer asked.", state=now)
    elif approval.state not in UNDECIDED:
        raise RpcProblem(Code.ALREADY_DECIDED, "This is decided already.", state=now)
    return _STATES[decision]
