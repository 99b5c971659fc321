"""Asks people before anything acts, and has done what they have approved.

What is asked is written down before it is shown, what is decided before it is done. A job that
goes on after another one finds in the ledger what is open, shows it again and carries out the rest.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from agents.approvals.approval import AT_THE_END, ON_ITS_WAY, Approval, State
from agents.approvals.asking import Asking
from agents.approvals.book import Book
from agents.approvals.calls import MOST_ASKED, Asked, Pending, Refused, ToolCall
from agents.approvals.deciding import Deciding, decision_of
from agents.approvals.decision import Decision
from agents.approvals.dialogs import Dialogs
from agents.approvals.effects import Effects
from agents.approvals.notices import NO_NEWS, Notices
from agents.approvals.showing import Answered, Showing
from agents.approvals.view import view_of
from agents.rpc.errors import Code, RpcProblem
from agents.rpc.messages import Approval as View
from agents.tools.toolbox import Toolbox
from pipelines.errors import MeetingEndedError
from pipelines.events import Event, ParticipantJoined, ParticipantLeft

log = logging.getLogger(__name__)

PATIENCE: Final = 600.0
"""Seconds in which an approval must be shown: its person may be away, or have others to decide."""

_LOOK: Final = 1.0


class Approvals:
    """The approvals of one meeting, in the job's loop.

    Args:
        book: Keeps them.
        toolbox: The meeting's tools.
        asking: Begins them.
        effects: Carries out what is approved.
        showing: Reaches people's browsers.
        present: Returns identity -> display name of the people in the room.
        metadata: Returns the room's metadata.
        timeout: Seconds to decide in, from when it is shown.
    """

    def __init__(
        self,
        book: Book,
        toolbox: Toolbox,
        asking: Asking,
        effects: Effects,
        showing: Showing,
        *,
        present: Callable[[], Mapping[str, str]],
        metadata: Callable[[], Mapping[str, Any]],
        timeout: float,
    ) -> None:
        self._book = book
        self._deciding = Deciding(book, asking.audit, toolbox)
        self._toolbox = toolbox
        self._asking = asking
        self._effects = effects
        self._dialogs = Dialogs(
            book,
            showing,
            view=self.view,
            metadata=metadata,
            answer=self._take_answer,
            timeout=timeout,
        )
        self._present = present
        self._timeout = timeout
        self._wake = asyncio.Event()
        self._begun = asyncio.Event()
        self._ready = asyncio.Event()
        self._finished = asyncio.Event()
        self._alone = False
        self._closed = False
        self._notices = Notices(book, showing, present)

    async def ask(self, call: ToolCall) -> Asked:
        """Run a tool without effects; ask people about one that has some.

        Returns:
            At once, but for the tool's own time: people are not waited for.
        """
        tool = self._toolbox.get(call.tool)
        if tool is None:
            return self.refuse(call, f"There is no tool {call.tool[:64]!r}.")
        if tool.effects == "none":
            return await self._asking.run(call)
        await self._ready.wait()
        if self._closed:
            return Refused("The agent is about to leave.")
        if not 0 < len(call.all_targets) <= MOST_ASKED:
            many = f"It asks more than {MOST_ASKED} people at once."
            return self.refuse(call, many if call.all_targets else "It does not say whom to ask.")
        ids, refused = self._asking.ask(call, tool)
        self._wake.set()
        if not ids:
            return Refused(refused)
        await self._book.kept()
        for one in ids:
            self._notices.asked(one)
        return Pending(
            tuple(ids), f"It waits for approval; the decision is told later. {refused}".strip()
        )

    def refuse(self, call: ToolCall, reason: str) -> Refused:
        """Write down a call that is not even asked about; ``reason`` is a sentence for people."""
        return self._asking.refuse(call, reason)

    def watch(self, asked_by: str, told: Callable[[Approval], None]) -> Callable[[], None]:
        """Have ``told`` called with what ``asked_by`` asked for, once more is known of it.

        That is a decision, its expiry, what became of the effect; also of what was asked before
        this job. It is called in the job's loop and must be quick.

        Returns:
            What ends it.
        """

        def passed_on(approval: Approval) -> None:
            if asked_by in approval.askers and approval.state not in NO_NEWS:
                told(approval)

        return self._book.watch(passed_on)

    async def ready(self) -> None:
        """Return once what an earlier job did is known, and the meeting is this job's alone."""
        await self._ready.wait()

    def all(self) -> list[Approval]:
        """Return every approval of the meeting, oldest first."""
        return self._book.all()

    def view(self, approval: Approval) -> View:
        """Return what a client is told of an approval."""
        ends: float | None = None
        if approval.shown_at and approval.shown_by == self._book.epoch:
            ends = approval.expires_at(self._book.epoch, timeout=self._timeout, patience=PATIENCE)
        return view_of(approval, self._toolbox.get(approval.tool), expires_at=ends)

    async def listed(self, person: str) -> None:
        """Take that somebody's client asks for the list, and shows what is next for them.

        Returns when a later job would find what they are told.
        """
        await self._book.kept()
        if self._ready.is_set() and not self._closed:
            self._dialogs.listed(person)

    async def decide(
        self,
        who: str,
        approval: str,
        decision: Decision,
        *,
        arguments: Mapping[str, Any] | None = None,
        reason: str = "",
    ) -> Approval:
        """Take a person's answer; returns once it is kept, with the approval as it is then.

        Args:
            who: Their identity, which LiveKit vouches for.
            approval: Its id.
            decision: Yes, no, yes with other arguments; or what became of an unknown outcome.
            arguments: With ``modify``, and only then.
            reason: In their words, or empty.

        Raises:
            RpcProblem: It is not theirs to decide, too late, or does not follow the schema.
        """
        if not self._ready.is_set() or self._closed:
            raise RpcProblem(Code.UNAVAILABLE, "The agent is starting, or about to leave.")
        after = self._deciding.take(who, approval, decision, arguments=arguments, reason=reason)
        self._wake.set()
        await self._book.kept()
        return after

    def receive(self, event: Event) -> None:
        """Follow who comes and goes."""
        if isinstance(event, ParticipantJoined | ParticipantLeft):
            self._dialogs.came_anew(event.identity)
            self._wake.set()

    def begin(self, *, alone: bool = True) -> None:
        """The meeting is this job's: show what is open, go on with what is on its way.

        Args:
            alone: Whether no predecessor finishes what it has begun; else :meth:`inherit` follows,
                and what was asked before this job is not carried out until then.
        """
        self._alone = alone
        self._begun.set()

    def inherit(self) -> None:
        """Go on with what the predecessor has left: it has kept all that it will."""
        self._book.refresh()
        self._alone = True
        self._wake.set()

    async def run(self) -> None:
        """Show dialogs, let them expire, and have effects carried out, until :meth:`close`.

        What is approved by then gets to its end, for as long as the caller waits, but for
        :meth:`stop`.
        """
        try:
            await self._run()
        finally:
            self._finished.set()

    async def finished(self) -> None:
        """Return once, after :meth:`close`, all that was approved has got to its end."""
        await self._finished.wait()

    async def _run(self) -> None:
        await self._begun.wait()
        await self._book.read_again()
        self._ready.set()
        async with asyncio.TaskGroup() as tasks:
            while not self._closed:
                self._wake.clear()
                try:
                    self._look(tasks)
                except Exception as error:  # It ends nothing else, and is looked at again.
                    log.error("approvals not looked at", extra={"cause": type(error).__name__})
                with suppress(TimeoutError):  # Python 3.11's wait_for may swallow a cancellation.
                    async with asyncio.timeout(_LOOK):
                        await self._wake.wait()
            self._dialogs.close()
            self._begin_effects(tasks)

    def end(self) -> None:
        """The meeting has ended, and this job with it: nothing is left open, nobody goes on."""
        for approval in self._book.all():
            if approval.state in AT_THE_END:
                state, because = AT_THE_END[approval.state]
                self._book.step(approval.id, state, because=because)

    def close(self) -> None:
        """Take no more calls and decisions, and show no more dialogs."""
        self._closed = True
        if not self._begun.is_set():  # The meeting has never been this job's.
            self._effects.stop()
        self._begun.set()
        self._ready.set()
        self._wake.set()

    def stop(self) -> None:
        """Also begin nothing more and try nothing again: another job acts from now on, or may."""
        self._effects.stop()
        self.close()

    def _look(self, tasks: asyncio.TaskGroup) -> None:
        self._book.refresh()
        for approval in self._book.all():
            self._expire(approval)
        self._begin_effects(tasks)
        self._dialogs.look(tasks, self._present())

    def _begin_effects(self, tasks: asyncio.TaskGroup) -> None:
        for approval in self._book.all():
            # What was asked before this job may be on its way in a predecessor that leaves.
            is_ours = self._alone or approval.epoch == self._book.epoch
            if is_ours and approval.state in ON_ITS_WAY and self._effects.take(approval):
                tasks.create_task(self._carry_out(approval), name="effect")

    def _expire(self, approval: Approval) -> None:
        ends = approval.expires_at(self._book.epoch, timeout=self._timeout, patience=PATIENCE)
        if ends is not None and self._book.now() >= ends:
            shown = approval.shown_by == self._book.epoch
            because = "Nobody has answered in time." if shown else "It could not be shown in time."
            self._book.step(approval.id, State.EXPIRED, because=because)

    async def _carry_out(self, approval: Approval) -> None:
        try:
            await self._effects.carry_out(approval)
        except MeetingEndedError:
            log.warning("effect's end not kept", extra={"tool": approval.tool})
        except Exception as error:  # One effect that fails ends no other; its text may quote.
            log.error("effect failed", extra={"cause": type(error).__name__})

    async def _take_answer(self, approval: Approval, answered: Answered) -> None:
        """Take the decision of an old browser; what can't be done as it says is not done."""
        who, one = approval.to, approval.id
        decision, arguments = decision_of(answered, approval)
        with suppress(RpcProblem):  # It was decided elsewhere meanwhile.
            try:
                await self.decide(who, one, decision, arguments=arguments, reason=answered.reason)
            except RpcProblem as problem:
                if problem.code is not Code.BAD_REQUEST:
                    raise
                await self.decide(who, one, "reject", reason=problem.sentence)
