"""What becomes of a call at once: it runs, somebody is asked, or it is refused; all is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

from agents.approvals.addressees import Nobody, addressee
from agents.approvals.approval import SHARED, Approval
from agents.approvals.audit import Audit
from agents.approvals.book import Book
from agents.approvals.calls import MOST_ASKED, Ran, Refused, Target, ToolCall
from agents.approvals.queue import same_in_flight, waiting_for
from agents.tools.tool import Tool, ToolContext
from agents.tools.toolbox import Toolbox
from pipelines.errors import MeetingEndedError, ToolError

MOST_WAITING: Final = 20
"""Approvals that wait for one person; who would ask for more is refused."""

MOST_OF_ONE: Final = 5
"""Approvals that wait for one person and that one asks for: one after the other, as many as can be
left unanswered before the last is too old to be shown."""

MOST_KEPT: Final = 2_000
"""Characters of the arguments, as JSON, that are kept of a call that ran or was refused: anybody
may make many of those, and nobody has to approve them."""

_LONGEST_NAME: Final = 64
_LONGEST_REASON: Final = 1_000


class Asking:
    """Runs what has no effects, and writes down what people are to be asked.

    Args:
        book: Keeps it.
        toolbox: The meeting's tools.
        context: Makes what a tool is given, of who asked and the idempotency key.
        people: Returns identity -> display name of those in the room who may be asked.

    ``audit`` keeps the calls that are no approval.
    """

    def __init__(
        self,
        book: Book,
        toolbox: Toolbox,
        context: Callable[[str, str], ToolContext],
        people: Callable[[], Mapping[str, str]],
    ) -> None:
        self._book = book
        self.audit = Audit(book)
        self._toolbox = toolbox
        self._context = context
        self._people = people

    async def run(self, call: ToolCall) -> Ran | Refused:
        """Run a tool without effects."""
        try:
            arguments = self._toolbox.validate(call.tool, call.arguments)
        except ToolError as error:
            return self.refuse(call, str(error))
        outcome = "cancelled"
        try:
            context = self._context(call.asked_by, uuid4().hex)
            result = await self._toolbox.execute(call.tool, arguments, context)
            outcome = "done"
        except ToolError as error:
            outcome = "failed"
            return Refused(str(error))
        finally:
            with suppress(MeetingEndedError):
                self.audit.keep(
                    "ran",
                    call.asked_by,
                    tool=call.tool,
                    arguments=_as_kept(arguments),
                    asked_by=call.asked_by,
                    outcome=outcome,
                )
        return Ran(result)

    def ask(self, call: ToolCall, tool: Tool) -> tuple[list[str], str]:
        """Begin an approval of each person, or share the one in flight that is the same.

        Args:
            call: With those who are asked.
            tool: One with effects.

        Returns:
            The approvals' ids, and why the others are not asked, in words for people.
        """
        ids: dict[str, None] = {}
        refused: list[tuple[Target, str]] = []
        for target in call.all_targets:
            found = self._ask(call, tool, target)
            if isinstance(found, str):
                refused.append((target, found))
            else:
                ids[found.id] = None
        because = " ".join(dict.fromkeys(reason for _, reason in refused))
        if refused:
            them = tuple(target for target, _ in refused)
            self.refuse(replace(call, to=(), targets=them), because)
        return list(ids), because

    def _ask(self, call: ToolCall, tool: Tool, target: Target) -> Approval | str:
        """Return the approval of one person, or why they are not asked."""
        try:
            arguments = tool.validate(target.arguments)
        except ToolError as error:
            return str(error)
        person = addressee(target.to, self._people())
        if isinstance(person, Nobody):
            return person.reason
        if same := same_in_flight(self._book.all(), tool.name, arguments, person.identity):
            if call.asked_by not in same.askers:
                self._book.note(SHARED, id=same.id, asked_by=call.asked_by)
            return same
        waiting = waiting_for(self._book.all(), person.identity)
        if len(waiting) >= MOST_WAITING:
            return f"{person.name} has {MOST_WAITING} others to decide first."
        if sum(one.asked_by == call.asked_by for one in waiting) >= MOST_OF_ONE:
            return f"{person.name} has {MOST_OF_ONE} others of the same asker to decide first."
        assert tool.effects != "none", "those run at once"
        approval = Approval(
            id=uuid4().hex,
            tool=tool.name,
            arguments=arguments,
            effects=tool.effects,
            to=person.identity,
            name=person.name,
            asked_by=call.asked_by,
            asked_at=self._book.now(),
            reason=call.reason,
        )
        self._book.begin(approval)
        return approval

    def refuse(self, call: ToolCall, reason: str) -> Refused:
        """Write down a call that is not even asked about; ``reason`` is a sentence for people."""
        targets = call.all_targets[:MOST_ASKED]
        each = [target.arguments for target in targets] or [call.arguments]
        arguments = each[0] if all(one == each[0] for one in each) else {"each": each}
        self.audit.keep(
            "refused",
            call.asked_by,
            tool=call.tool,
            arguments=_as_kept(arguments),
            asked_by=call.asked_by,
            to=[target.to[:_LONGEST_NAME] for target in targets],
            because=reason[:_LONGEST_REASON],
        )
        return Refused(reason)


def _as_kept(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments for the audit trail: their beginning, where they are long or no JSON."""
    with suppress(TypeError, ValueError, RecursionError):
        if len(json.dumps(arguments, allow_nan=False)) <= MOST_KEPT:
            return dict(arguments)
    try:
        text = json.dumps(arguments, default=str)
    except (TypeError, ValueError, RecursionError):
        text = ""
    return {"cut": text[:MOST_KEPT]}
