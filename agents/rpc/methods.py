"""The table of our RPC methods: who may call each, how often, and what it says."""

from __future__ import annotations

from typing import Any, Final

from agents.roles import Role
from agents.rpc.messages import (
    AgentRequest,
    AgentsReply,
    ApprovalListReply,
    ApprovalListRequest,
    CorrectReply,
    CorrectRequest,
    HistoryReply,
    HistoryRequest,
    ResolveReply,
    ResolveRequest,
    StatusReply,
    StatusRequest,
    ToolsCallReply,
    ToolsCallRequest,
    ToolsListReply,
    ToolsListRequest,
)
from agents.rpc.method import Rate, RpcMethod

_OFTEN: Final = Rate(burst=40, per_second=10)
_SOMETIMES: Final = Rate(burst=20, per_second=2)
_SELDOM: Final = Rate(burst=5, per_second=0.5)

STATUS: Final = RpcMethod(
    "agent.status",
    StatusRequest,
    StatusReply,
    least=Role.ATTENDEE,
    agents=True,
    rate=_OFTEN,
    description="Tells which agents run, and what the caller may do.",
)
START: Final = RpcMethod(
    "agents.start",
    AgentRequest,
    AgentsReply,
    least=Role.MODERATOR,
    agents=False,
    rate=_SELDOM,
    description="Starts an agent in this meeting.",
)
STOP: Final = RpcMethod(
    "agents.stop",
    AgentRequest,
    AgentsReply,
    least=Role.MODERATOR,
    agents=False,
    rate=_SELDOM,
    description="Stops an agent in this meeting.",
)
HISTORY: Final = RpcMethod(
    "transcript.history",
    HistoryRequest,
    HistoryReply,
    least=Role.ATTENDEE,
    agents=True,
    rate=_OFTEN,
    description="Tells what was said so far, page by page.",
    topic="greffier.history",
)
CORRECT: Final = RpcMethod(
    "transcript.correct",
    CorrectRequest,
    CorrectReply,
    least=Role.ATTENDEE,
    agents=False,
    rate=_SOMETIMES,
    description="Corrects a segment: attendees their own, moderators and owners any.",
)
APPROVALS: Final = RpcMethod(
    "approval.list",
    ApprovalListRequest,
    ApprovalListReply,
    least=Role.ATTENDEE,
    agents=False,
    rate=_OFTEN,
    description="Tells what the caller is asked to approve.",
)
RESOLVE: Final = RpcMethod(
    "approval.resolve",
    ResolveRequest,
    ResolveReply,
    least=Role.ATTENDEE,
    agents=False,
    rate=_SOMETIMES,
    description="Decides an approval that is put to the caller.",
    floor=Role.ATTENDEE,
)
TOOLS: Final = RpcMethod(
    "tools.list",
    ToolsListRequest,
    ToolsListReply,
    least=Role.ATTENDEE,
    agents=True,
    rate=_OFTEN,
    description="Tells which tools there are.",
)
CALL: Final = RpcMethod(
    "tools.call",
    ToolsCallRequest,
    ToolsCallReply,
    least=Role.ATTENDEE,
    agents=False,
    rate=_SOMETIMES,
    description="Runs a tool without effects, or asks somebody to approve one that has some.",
)

METHODS: Final[tuple[RpcMethod[Any, Any], ...]] = (
    STATUS,
    START,
    STOP,
    HISTORY,
    CORRECT,
    APPROVALS,
    RESOLVE,
    TOOLS,
    CALL,
)

SHOW: Final = "approval.show"
"""The one method that the agent calls and a browser answers."""
