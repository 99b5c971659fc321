"""``tools.list`` and ``tools.call``: what people's clients may do with tools."""

from __future__ import annotations

from typing import Final

from agents.approvals.approvals import Approvals
from agents.approvals.calls import Pending, Ran, Refused, Target, ToolCall, by_participant
from agents.rpc.callers import Caller
from agents.rpc.errors import Code, RpcProblem
from agents.rpc.messages import (
    ToolInfo,
    ToolsCallReply,
    ToolsCallRequest,
    ToolsListReply,
    ToolsListRequest,
)
from agents.rpc.methods import CALL, TOOLS
from agents.rpc.surface import RpcSurface
from agents.tools.toolbox import Toolbox
from pipelines.errors import InvalidArgumentsError, ToolError, UnknownToolError

OWNER: Final = "tools"


class ToolMethods:
    """Answers for one meeting, from the job's loop.

    Args:
        toolbox: The tools there are.
        approvals: Runs what has no effects, and asks people about the rest.
    """

    def __init__(self, toolbox: Toolbox, approvals: Approvals) -> None:
        self._toolbox = toolbox
        self._approvals = approvals

    def serve(self, surface: RpcSurface) -> None:
        """Answer on ``surface``."""
        surface.serve(OWNER, TOOLS, self.list_tools)
        surface.serve(OWNER, CALL, self.call)

    async def list_tools(self, caller: Caller, request: ToolsListRequest) -> ToolsListReply:  # noqa: ARG002 - a handler's signature
        """Tell which tools there are now."""
        tools = [
            ToolInfo(
                name=tool.name,
                title=tool.title,
                description=tool.description,
                effects=tool.effects,
                arguments_schema=dict(tool.schema),
            )
            for tool in self._toolbox.list()
        ]
        return ToolsListReply(tools=tools)

    async def call(self, caller: Caller, request: ToolsCallRequest) -> ToolsCallReply:
        """Run a tool, or have people asked; the caller, where the request names nobody.

        Raises:
            RpcProblem: There is no such tool, or the arguments do not follow its schema.
        """
        nobody = not request.to and not request.targets
        asked = await self._approvals.ask(
            ToolCall(
                tool=request.tool,
                arguments=request.arguments,
                asked_by=by_participant(caller.identity),
                to=(caller.identity,) if nobody else tuple(request.to),
                targets=tuple(Target(one.to, one.arguments) for one in request.targets),
                reason=request.reason,
            )
        )
        match asked:
            case Ran(result=result):
                return ToolsCallReply(state="done", result=result)
            case Pending(ids=ids, reason=reason):
                return ToolsCallReply(state="pending", approvals=list(ids), reason=reason)
            case Refused(reason=reason):
                if not request.targets:
                    self._explain(request)
                return ToolsCallReply(state="refused", reason=reason)

    def _explain(self, request: ToolsCallRequest) -> None:
        """Raise what a program can tell apart; the refusal is in the audit trail by now."""
        try:
            self._toolbox.validate(request.tool, request.arguments)
        except UnknownToolError as error:
            raise RpcProblem(Code.NOT_FOUND, f"{error}.") from None
        except InvalidArgumentsError as error:
            raise RpcProblem(Code.BAD_REQUEST, f"arguments: {error}") from None
        except ToolError as error:
            raise RpcProblem(Code.UNAVAILABLE, str(error)) from None
