"""Takes people's decisions: who may, what it makes of the approval, and that it is written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.approvals.approval import Approval, State
from agents.approvals.audit import Audit
from agents.approvals.book import Book
from agents.approvals.calls import by_participant
from agents.approvals.decision import Decision, step_of
from agents.approvals.showing import Answered
from agents.rpc.errors import Code, RpcProblem
from agents.tools.toolbox import Toolbox
from pipelines.errors import InvalidArgumentsError, ToolError
from pipelines.failpoints import failpoint


class Deciding:
    """Writes down what people answer.

    Args:
        book: Keeps it.
        audit: Keeps what is not taken.
        toolbox: Checks the arguments that a decision changes.
    """

    def __init__(self, book: Book, audit: Audit, toolbox: Toolbox) -> None:
        self._book = book
        self._audit = audit
        self._toolbox = toolbox

    def take(
        self,
        who: str,
        approval: str,
        decision: Decision,
        *,
        arguments: Mapping[str, Any] | None,
        reason: str,
    ) -> Approval:
        """Write down an answer, also one that is not taken; see :meth:`.Approvals.decide`."""
        now = self._book.get(approval)
        data: dict[str, Any] = {"by": who, **({"because": reason} if reason else {})}
        try:
            state = step_of(now, who, decision)
            if now and (kept := self._arguments(now, state, arguments)) is not None:
                data["arguments"] = kept
        except RpcProblem as problem:
            because = problem.code.name.lower()
            fields = {"id": approval, "by": who, "decision": decision, "because": because}
            self._audit.keep("not_taken", by_participant(who), **fields)
            raise
        if state is State.SETTLED:
            data["happened"] = decision == "happened"
        after = self._book.step(approval, state, **data)
        assert after, "nothing comes between the table's word and this"
        failpoint("approval_decided")
        return after

    def _arguments(
        self, approval: Approval, state: State, arguments: Mapping[str, Any] | None
    ) -> dict[str, Any] | None:
        """Return the arguments that a decision changes an approval's to, or None."""
        if (arguments is None) is (state is State.MODIFIED):
            raise RpcProblem(Code.BAD_REQUEST, "arguments: they go with `modify`, and only there.")
        if arguments is None:
            return None
        try:
            return self._toolbox.validate(approval.tool, arguments)
        except InvalidArgumentsError as error:
            raise RpcProblem(Code.BAD_REQUEST, f"arguments: {error}") from None
        except ToolError as error:
            raise RpcProblem(Code.UNAVAILABLE, str(error)) from None


def decision_of(
    answered: Answered, approval: Approval
) -> tuple[Decision, Mapping[str, Any] | None]:
    """Return what an old browser's answer to an approval decides, and with which arguments."""
    if not answered.approved:
        return "reject", None
    if answered.arguments is None or answered.arguments == approval.arguments:
        return "approve", None
    return "modify", answered.arguments
