"""Carries out what was approved, so that a crash in the middle doubles nothing.

Each effect is written down before it begins and after it ends. What a job before this one began
and did not end may have happened: an ``idempotent`` tool runs again with the same key; for an
``at_most_once`` tool a person is asked. Where the network is split two jobs may hold one approval:
an ``at_most_once`` effect first claims a lease, which one of them gets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from agents.approvals.approval import Approval, State
from agents.approvals.book import Book
from agents.tools.tool import ToolContext
from agents.tools.toolbox import Toolbox
from pipelines.errors import (
    HeldError,
    LeaseError,
    MeetingEndedError,
    ToolError,
    UnknownOutcomeError,
)
from pipelines.failpoints import failpoint
from pipelines.lease import REMEMBERED, LeaseKey, Leases

log = logging.getLogger(__name__)

PAUSES: Final = (1.0, 4.0)
"""Seconds before an idempotent effect is tried again, where the try before may have done it."""

PATIENCE: Final = 30.0
"""Seconds that a tool of an MCP server is waited for after the job's start."""

TOO_OLD: Final = 600.0
"""Seconds after a decision in which it is carried out, also by a later job: whoever approved it is
to be there still, and not in next week's meeting of the same id."""

_LOOK: Final = 0.5


class Effects:
    """Runs approved tools, each at most once in this job.

    Args:
        book: Takes every step.
        toolbox: Runs them.
        context: Makes what a tool is given, of who asked and the idempotency key.
        leases: Tell which of two jobs may run an ``at_most_once`` tool.
        meeting: The meeting's id.
    """

    def __init__(
        self,
        book: Book,
        toolbox: Toolbox,
        context: Callable[[str, str], ToolContext],
        leases: Leases,
        *,
        meeting: str,
    ) -> None:
        self._book = book
        self._toolbox = toolbox
        self._context = context
        self._leases = leases
        self._meeting = meeting
        self._taken: set[str] = set()
        self._stopped = False

    def stop(self) -> None:
        """Begin nothing more and try nothing again: another job acts from now on, or may."""
        self._stopped = True

    def take(self, approval: Approval) -> bool:
        """Tell whether it is to be carried out by this job, and was not taken before."""
        if self._stopped or approval.id in self._taken:
            return False
        self._taken.add(approval.id)
        return True

    async def carry_out(self, approval: Approval) -> None:
        """Do what was approved, and write down what became of it.

        Args:
            approval: On its way; where it is ``started``, an earlier job has begun it.
        """
        once = approval.effects == "at_most_once"
        begun = approval.state is State.STARTED
        if begun and once:
            self._unknown(approval, "The agent was stopped while it did this.")
            return
        if self._book.now() - approval.at > TOO_OLD:
            self._leave_it(approval)
            return
        await self._there(approval.tool)
        if self._stopped or (once and not await self._is_ours_alone(approval)):
            return
        if not self._book.step(approval.id, State.STARTED):
            return
        await self._book.kept()
        if self._stopped:  # An idempotent one is begun by the job that goes on.
            if once:
                because = "The agent had to leave before it began this."
                self._book.step(approval.id, State.FAILED, because=because)
            return
        try:
            await self._run(approval, doubtful=begun)
        except asyncio.CancelledError:
            if once:  # An idempotent one is run again by the job that goes on, if one does.
                self._unknown(approval, "The agent ended while it did this.")
            raise

    async def _run(self, approval: Approval, *, doubtful: bool) -> None:
        """Run the tool; ``doubtful`` is whether an earlier try may have had the effect."""
        context = self._context(approval.asked_by, approval.id)
        pauses = iter(PAUSES if approval.effects == "idempotent" else ())
        while True:
            try:
                result = await self._toolbox.execute(approval.tool, approval.arguments, context)
            except (ToolError, UnknownOutcomeError) as error:
                because = str(error)
                if isinstance(error, ToolError):
                    if not doubtful:
                        self._book.step(approval.id, State.FAILED, because=because)
                        return
                    because = f"An earlier try may have done it; the last one: {because}"
                doubtful = True
                if not await self._may_try_again(approval, pauses, because):
                    return
            else:
                failpoint("effect")
                self._book.step(approval.id, State.DONE, result=result)
                return

    async def _may_try_again(
        self, approval: Approval, pauses: Iterator[float], because: str
    ) -> bool:
        """Tell whether this job is to try again, after a pause; else it is over here."""
        if (pause := next(pauses, None)) is not None and not self._stopped:
            await asyncio.sleep(pause)
        if self._stopped and approval.effects == "idempotent":
            return False  # It stays `started`, for the job that goes on.
        if pause is None:
            self._unknown(approval, because)
        return pause is not None

    async def _is_ours_alone(self, approval: Approval) -> bool:
        """Claim the effect, for longer than another job may know nothing of its end.

        Nothing that waits comes between this and the line that says it is begun: a job that dies
        there leaves the next one with nothing to tell whether it was.
        """
        key = LeaseKey("effect", (self._meeting, approval.id))
        epoch = self._book.epoch
        try:
            lease = await self._leases.claim(
                key, holder=str(epoch), epoch=epoch, ttl=float(REMEMBERED), state={}
            )
        except HeldError:
            self._unknown(approval, "Another agent in this meeting may have begun to do this.")
        except LeaseError:
            log.warning("effect not begun: leases can't be reached", extra={"tool": approval.tool})
            because = "It could not be made sure that this happens only once, so nothing was done."
            self._book.step(approval.id, State.FAILED, because=because)
        else:
            failpoint("effect_claimed")
            if not self._stopped:
                return True
            with suppress(LeaseError):  # The next job then asks what became of it.
                await self._leases.release(key, epoch=lease.epoch)
        return False

    async def _there(self, tool: str) -> None:
        """Wait for a tool whose server may still be on its way."""
        clock = asyncio.get_running_loop().time
        until = clock() + PATIENCE
        while (  # noqa: ASYNC110 - a server's tools come without a word
            self._toolbox.get(tool) is None and clock() < until and not self._stopped
        ):
            await asyncio.sleep(_LOOK)

    def _leave_it(self, approval: Approval) -> None:
        """Write down that what was decided long ago is not done now."""
        if approval.state is State.STARTED:
            self._unknown(approval, "It was begun long ago, and nothing tells how it ended.")
            return
        because = "It was approved long ago, and not begun then."
        self._book.step(approval.id, State.FAILED, because=because)

    def _unknown(self, approval: Approval, because: str) -> None:
        try:
            self._book.step(approval.id, State.UNKNOWN, because=because)
        except MeetingEndedError:  # The line before says that it was begun.
            log.warning("outcome unknown at the meeting's end", extra={"tool": approval.tool})
