"""An approval as clients are told it: pure."""

from __future__ import annotations

from agents.approvals.approval import Approval
from agents.rpc.messages import Approval as View
from agents.tools.tool import Tool
from pipelines.events import iso


def view_of(approval: Approval, tool: Tool | None, *, expires_at: float | None) -> View:
    """Return what a client shows.

    Args:
        approval: What is asked.
        tool: Its tool; None where there is none of that name any more.
        expires_at: Unix seconds; None while it is not shown.
    """
    return View(
        id=approval.id,
        state=approval.state.value,
        tool=approval.tool,
        title=(tool.title if tool else "") or approval.tool,
        description=tool.description if tool else "",
        arguments=dict(approval.arguments),
        arguments_schema=dict(tool.schema) if tool else {},
        effects=approval.effects,
        asked_by=approval.asked_by,
        to=approval.to,
        name=approval.name,
        reason=approval.because or approval.reason,
        requested_at=iso(approval.asked_at),
        expires_at=None if expires_at is None else iso(expires_at),
        result=approval.result,
    )
