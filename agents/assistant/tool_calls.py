"""The tools as a model sees them, and what becomes of its calls: none of them acts by itself."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NoReturn

from livekit.agents import llm

from agents.approvals.approvals import Approvals
from agents.approvals.calls import MOST_ASKED, Asked, Pending, Ran, Refused, ToolCall
from agents.tools.tool import MAX_SIZE, Tool
from agents.tools.toolbox import Toolbox
from pipelines.errors import MeetingEndedError
from pipelines.post_meeting.windows import tokens

log = logging.getLogger(__name__)

APPROVAL_FROM: Final = "approval_from"
"""Argument by which a model names the people to ask, beside those of the tool itself."""

REFUSED: Final = "refused_call"
"""Stands in the conversation for a call that could not be read; the model is not offered it."""

MOST_CALLS: Final = 8
"""Calls in one answer of the model; those after it are refused."""

LONGEST_NAME: Final = 64
"""Characters of a tool's name that OpenAI takes."""

_LONGEST_PERSON: Final = 256
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(slots=True)
class _Turn:
    """One question: what is called for it, however late, is called for whoever put it."""

    asker: str
    reason: str
    is_over: bool = False


class ToolCalls:
    """Offers tools to a model, and has approvals asked for what it calls.

    Args:
        toolbox: The meeting's tools.
        approvals: Which runs what needs none, and asks people for the rest.
        asked_by: The agent, for the approvals and the audit trail; of ``by_agent``.

    ``only`` names the tools that are offered, None all; ``asker`` is the identity of the person
    who is answered next, who is asked for approvals where the model names nobody; empty is nobody.
    ``reason`` is what those who are asked read, and none of it is the model's.
    """

    def __init__(self, toolbox: Toolbox, approvals: Approvals, asked_by: str) -> None:
        self.only: Collection[str] | None = None
        self.asker = ""
        self.reason = ""
        self._toolbox = toolbox
        self._approvals = approvals
        self._asked_by = asked_by
        self._offered: frozenset[str] = frozenset()
        self._turn = _Turn("", "", is_over=True)
        self._left_out: frozenset[str] = frozenset()

    def offer(self, room: int) -> list[llm.Tool | llm.Toolset]:
        """Begin the answer to ``asker``: return the tools there are now that fit.

        One more is for calls that can't be read.

        Args:
            room: Tokens that the tools may take; what finds no room is left out.
        """
        self._turn.is_over = True
        self._turn = _Turn(self.asker, self.reason)
        offered: dict[str, llm.Tool | llm.Toolset] = {}
        left_out = set()
        for tool in self._toolbox.list():
            if self.only is not None and tool.name not in self.only:
                continue
            try:
                described = _described(tool)
                size = tokens(json.dumps(described))
            except Exception:
                # A plugin's or a server's: whatever its schema does, the other tools are offered.
                left_out.add(tool.name)
                continue
            if size > room:
                left_out.add(tool.name)
                continue
            room -= size
            offered[described["name"]] = self._function(tool, described, self._turn)
        self._tell_left_out(frozenset(left_out))
        self._offered = frozenset(offered)
        refused = {"name": REFUSED, "description": "", "parameters": {"type": "object"}}
        return [*offered.values(), llm.function_tool(self._refused, raw_schema=refused)]

    def end(self) -> None:
        """End the answer: what is still called for it is refused."""
        self._turn.is_over = True

    def readable(self, call: llm.FunctionToolCall, number: int) -> llm.FunctionToolCall:
        """Return a call of an offered tool as it is, and any other as one that is refused.

        LiveKit would log the one and guess at the other: what can't be read is not guessed at.

        Args:
            call: As the model made it.
            number: How many it has made before in the same answer.
        """
        arguments = _read(call.arguments)
        if number >= MOST_CALLS:
            problem = f"at most {MOST_CALLS} calls at once"
        elif call.name not in self._offered:
            there_are = ", ".join(self._offered) or "none"
            problem = f"there is no such tool; there are {there_are}"
        elif arguments is None:
            problem = f"the arguments must be a JSON object of at most {MAX_SIZE} bytes"
        else:
            return call
        # What was meant, as far as it can be kept: the audit trail is for people.
        told = arguments if arguments is not None else {"unread": call.arguments[:LONGEST_NAME]}
        asked = ToolCall(call.name[:LONGEST_NAME], told, asked_by=self._asked_by)
        self._refuse(asked, problem)
        return call.model_copy(
            update={"name": REFUSED, "arguments": json.dumps({"problem": problem})}
        )

    def _tell_left_out(self, names: frozenset[str]) -> None:
        if names - self._left_out:
            log.warning(
                "tools left out of what the assistant's model is offered: they don't fit in half "
                "of GREFFIER_LLM_CONTEXT_TOKENS, or have no JSON schema",
                extra={"left_out": len(names)},
            )
        self._left_out = names

    def _function(
        self, tool: Tool, described: Mapping[str, Any], turn: _Turn
    ) -> llm.RawFunctionTool[..., Any]:
        asks = _asks(tool)

        async def call(raw_arguments: dict[str, Any]) -> str:
            arguments = dict(raw_arguments)
            named = arguments.pop(APPROVAL_FROM, None) if asks else None
            return _told(await self._call(tool, arguments, named, turn))

        return llm.function_tool(call, raw_schema=dict(described))

    async def _call(
        self, tool: Tool, arguments: Mapping[str, Any], named: object, turn: _Turn
    ) -> Asked:
        """Have it run, or have people asked."""
        if isinstance(named, str):
            named = [named]
        to = tuple(one for one in named if isinstance(one, str)) if isinstance(named, list) else ()
        to = to or ((turn.asker,) if turn.asker else ())
        first = tuple(one[:_LONGEST_PERSON] for one in to[:MOST_ASKED])
        asked = ToolCall(tool.name, arguments, self._asked_by, first, reason=turn.reason)
        if turn.is_over:
            return self._refuse(asked, "the question is over")
        if len(to) > MOST_ASKED:
            return self._refuse(asked, f"at most {MOST_ASKED} people are asked at once")
        try:
            return await self._approvals.ask(asked)
        except Exception as error:
            # It must not break off the conversation; the error's words may quote the arguments.
            log.error("tool call failed", extra={"tool": tool.name, "cause": type(error).__name__})
            return self._refuse(asked, "it could not be asked for")

    def _refuse(self, asked: ToolCall, reason: str) -> Refused:
        """Refuse a call, and keep that."""
        try:
            return self._approvals.refuse(asked, reason)
        except MeetingEndedError:
            return Refused(reason)

    async def _refused(self, raw_arguments: dict[str, Any]) -> str:
        return _told(Refused(str(raw_arguments.get("problem", "it can't be read"))))


def _told(outcome: Asked) -> str:
    match outcome:
        case Ran(result=result):
            told = {"status": "done", "result": result}
        case Pending(reason=reason):
            told = {"status": "pending", "note": reason}
        case Refused(reason=reason):
            told = {"status": "refused", "reason": reason}
    return json.dumps(told, ensure_ascii=False)


def _read(arguments: str) -> dict[str, Any] | None:
    """Return the arguments of a call, or None where they are no JSON object of a fit size."""
    if len(arguments) > MAX_SIZE:
        return None
    try:
        read = json.loads(arguments or "{}", parse_constant=_no_json)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _no_json(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and the infinities: Python takes them, JSON has none.


def _asks(tool: Tool) -> bool:
    """Tell whether the model may name the people to ask: a tool's own argument stays its own."""
    return tool.effects != "none" and APPROVAL_FROM not in _properties(tool)


def _properties(tool: Tool) -> Mapping[str, Any]:
    found = tool.schema.get("properties")
    return found if isinstance(found, Mapping) else {}  # An MCP server may say anything.


def _described(tool: Tool) -> dict[str, Any]:
    """Return a tool as the model is told it."""
    properties = dict(_properties(tool))
    if _asks(tool):
        properties[APPROVAL_FROM] = _APPROVAL_FROM
    schema = {"type": "object", **tool.schema, "properties": properties}
    name = _name_for_model(tool.name)
    return {"name": name, "description": tool.description, "parameters": schema}


def _name_for_model(name: str) -> str:
    """Return a tool's name with the letters only that OpenAI takes: an MCP tool's has a dot.

    No two tools have the same: where the name can't be told from another's, a hash ends it.
    """
    fit = _UNFIT.sub("__", name)
    if fit.replace("__", ".") == name and len(fit) <= LONGEST_NAME and fit != REFUSED:
        return fit
    digest = sha256(name.encode()).hexdigest()[:8]
    return f"{fit[: LONGEST_NAME - len(digest) - 1]}_{digest}"


_APPROVAL_FROM: Final = {
    "type": "array",
    "items": {"type": "string"},
    "maxItems": MOST_ASKED,
    "description": "Identities or names of the people who are to approve it, each by themselves; "
    "leave it out to ask whoever you are answering.",
}
