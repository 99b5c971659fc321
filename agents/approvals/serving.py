"""``approval.list`` and ``approval.resolve``: what people see of approvals, and how they decide."""

from __future__ import annotations

from typing import Final

from agents.approvals.approval import UNDECIDED, Approval, State
from agents.approvals.approvals import Approvals
from agents.approvals.calls import by_participant
from agents.roles import Role
from agents.rpc.callers import Caller
from agents.rpc.messages import Approval as View
from agents.rpc.messages import ApprovalListReply, ApprovalListRequest, ResolveReply, ResolveRequest
from agents.rpc.methods import APPROVALS, RESOLVE
from agents.rpc.surface import RpcSurface

OWNER: Final = "approvals"

MOST: Final = 200
"""Approvals in a list: the latest of those that wait for somebody, then the latest of the rest."""

MOST_BYTES: Final = 256 * 1024
"""Of a list, as JSON: one approval may hold 64 KB of arguments and result."""

WAIT: Final = UNDECIDED | {State.UNKNOWN}
"""States in which somebody is to say something."""


class ApprovalCalls:
    """Answers the calls of one meeting.

    Args:
        approvals: The meeting's.
    """

    def __init__(self, approvals: Approvals) -> None:
        self._approvals = approvals

    def serve(self, surface: RpcSurface) -> None:
        """Answer until the surface closes."""
        surface.serve(OWNER, APPROVALS, self.list)
        surface.serve(OWNER, RESOLVE, self.resolve)

    async def list(self, caller: Caller, request: ApprovalListRequest) -> ApprovalListReply:
        """Tell a caller their own, asked of them or by them; moderators and owners all."""
        await self._approvals.listed(caller.identity)
        told = [
            one
            for one in self._approvals.all()
            if (one.state in WAIT or not request.open_only) and _may_see(caller, one)
        ]
        waits_last = sorted(told, key=lambda one: one.state in WAIT)
        fitting: dict[str, View] = {}
        room = MOST_BYTES
        for one in waits_last[: -MOST - 1 : -1]:
            view = self._approvals.view(one)
            if one.to != caller.identity:  # Who can't decide it has no use for the longest part.
                view = view.model_copy(update={"arguments_schema": {}})
            room -= len(view.model_dump_json())
            if room < 0:
                break
            fitting[one.id] = view
        return ApprovalListReply(approvals=[fitting[one.id] for one in told if one.id in fitting])

    async def resolve(self, caller: Caller, request: ResolveRequest) -> ResolveReply:
        """Take the decision of an addressee, whatever their role."""
        after = await self._approvals.decide(
            caller.identity,
            request.id,
            request.decision,
            arguments=request.arguments,
            reason=request.reason,
        )
        return ResolveReply(id=after.id, state=after.state.value)


def _may_see(caller: Caller, approval: Approval) -> bool:
    if caller.identity == approval.to or by_participant(caller.identity) in approval.askers:
        return True
    return caller.role.reaches(Role.MODERATOR)
