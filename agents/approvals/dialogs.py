"""Who has which dialog on the screen: one each, shown again to those who come anew."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agents.approvals.approval import UNDECIDED, Approval, State
from agents.approvals.book import Book
from agents.approvals.queue import next_dialog
from agents.approvals.showing import OLD_TIMEOUT, Answered, Showing, Shown
from agents.rpc.messages import Approval as View
from agents.rpc.messages import ShowRequest
from agents.tools.calendar import NAME as CALENDAR
from pipelines.failpoints import failpoint

log = logging.getLogger(__name__)

AGAIN: Final = 5.0
"""Seconds until a dialog that could not be shown is shown again."""

UNANSWERED: Final = 2.0
"""Seconds after which an old browser that has not answered has the dialog open: one that does not
know the call says so at once."""

_TRIES: Final = 3
"""Times that a question about an unknown outcome is put to a browser that does not take it."""


@dataclass(slots=True)
class _Screen:
    """Somebody's.

    ``dialog`` is the approval that is there or on its way there, or empty; ``seen`` is whether it
    has come; ``again_at`` when to try again what could not be shown, and ``failed`` how often each
    could not; ``until`` when a question that nobody answers makes room; ``asked`` has those.
    """

    dialog: str = ""
    seen: bool = False
    again_at: float = 0.0
    until: float = 0.0
    asked: set[str] = field(default_factory=set)
    failed: Counter[str] = field(default_factory=Counter)
    showing: asyncio.Task[None] | None = None


class Dialogs:
    """Shows each person what they are asked.

    Args:
        book: The approvals.
        showing: Reaches browsers.
        view: Makes what a browser is given of an approval.
        metadata: Returns the room's metadata.
        answer: Takes what an old browser answers.
        timeout: Seconds to decide in, and that a question about an unknown outcome stays before
            others are shown.
    """

    def __init__(
        self,
        book: Book,
        showing: Showing,
        *,
        view: Callable[[Approval], View],
        metadata: Callable[[], Mapping[str, Any]],
        answer: Callable[[Approval, Answered], Awaitable[None]],
        timeout: float,
    ) -> None:
        self._book = book
        self._showing = showing
        self._view = view
        self._metadata = metadata
        self._answer = answer
        self._timeout = timeout
        self._screens: dict[str, _Screen] = {}

    def came_anew(self, person: str) -> None:
        """Take that somebody's screen is empty: they have joined, or joined again."""
        self._forget(person)

    def look(self, tasks: asyncio.TaskGroup, people: Collection[str]) -> None:
        """Show those in the room whose screen is free what is next for them."""
        for gone in self._screens.keys() - set(people):
            self._forget(gone)
        for person in people:
            screen = self._screens.setdefault(person, _Screen())
            if self._is_free(screen) and (approval := self._next(person, screen)):
                screen.dialog, screen.seen = approval.id, False
                showing = self._show(approval, screen)
                screen.showing = tasks.create_task(showing, name="dialog")

    def listed(self, person: str) -> None:
        """Take that somebody's client has asked for the list: it shows what is next for them."""
        screen = self._screens.setdefault(person, _Screen())
        on_screen = self._book.get(screen.dialog) if screen.dialog else None
        if approval := on_screen or self._next(person, screen):
            screen.dialog = approval.id
            self._is_shown(approval.id, screen)

    def close(self) -> None:
        """Show nothing more."""
        for person in list(self._screens):
            self._forget(person)

    def _forget(self, person: str) -> None:
        screen = self._screens.pop(person, None)
        if screen and screen.showing:
            screen.showing.cancel()

    def _next(self, person: str, screen: _Screen) -> Approval | None:
        return next_dialog(self._book.all(), person, asked=screen.asked, failed=screen.failed)

    def _is_free(self, screen: _Screen) -> bool:
        now = self._book.now()
        on_screen = self._book.get(screen.dialog) if screen.dialog else None
        if on_screen and on_screen.state is State.UNKNOWN:
            if screen.until and now >= screen.until:
                screen.asked.add(on_screen.id)
                screen.dialog, screen.until = "", 0.0
                return True
            return False
        if on_screen and on_screen.state in UNDECIDED:
            return False
        if on_screen and screen.showing and not screen.showing.done():
            screen.showing.cancel()  # An old browser's call, of what is decided elsewhere.
        screen.dialog, screen.until = "", 0.0
        return now >= screen.again_at

    async def _show(self, approval: Approval, screen: _Screen) -> None:
        await self._book.kept()
        try:
            shown = await self._showing.show(
                ShowRequest(approval=self._view(approval)), approval.to
            )
            if shown is Shown.OLD_BROWSER and approval.tool == CALENDAR:
                shown = await self._ask_old_browser(approval, screen)
        except Exception as error:
            # rtc raises bare exceptions, and their text may quote the payload.
            log.warning("dialog not shown", extra={"cause": type(error).__name__})
            shown = Shown.NO
        if screen.dialog != approval.id:
            return  # The list has put another one there.
        if shown is Shown.YES:
            self._is_shown(approval.id, screen)
        elif not screen.seen:
            self._not_shown(approval, screen, shown)

    def _not_shown(self, approval: Approval, screen: _Screen, shown: Shown) -> None:
        """Try again soon, after what can be shown; a question that no browser takes makes room."""
        screen.dialog, screen.again_at = "", self._book.now() + AGAIN
        screen.failed[approval.id] += 1
        cannot = shown is Shown.OLD_BROWSER or screen.failed[approval.id] >= _TRIES
        if approval.state is State.UNKNOWN and cannot:
            screen.asked.add(approval.id)

    async def _ask_old_browser(self, approval: Approval, screen: _Screen) -> Shown:
        if approval.state not in UNDECIDED:  # It has no dialog for an unknown outcome.
            return Shown.OLD_BROWSER
        now, within = self._book.now(), self._timeout
        if self._has_been_shown(approval.id):
            within = max(0.0, approval.shown_at + self._timeout - now)
        asking = asyncio.create_task(
            self._showing.ask_old_browser(
                approval, self._metadata(), now=now, within=min(within, OLD_TIMEOUT)
            )
        )
        try:
            done, _ = await asyncio.wait({asking}, timeout=UNANSWERED)
            if not done:
                self._is_shown(approval.id, screen)
            answered = await asking
        except TimeoutError:
            because = "Nobody has answered in time."
            self._book.step(approval.id, State.EXPIRED, because=because)
            return Shown.YES
        finally:
            asking.cancel()
        if answered is None:
            screen.seen = False  # No answer can come any more, whatever is on the screen.
            return Shown.NO
        await self._answer(approval, answered)
        return Shown.YES

    def _is_shown(self, approval: str, screen: _Screen) -> None:
        screen.seen = True
        now = self._book.get(approval)
        if now and now.state is State.UNKNOWN:
            screen.until = screen.until or self._book.now() + self._timeout
        elif now and not self._has_been_shown(approval):
            self._book.step(approval, State.SHOWN)
            failpoint("approval_shown")

    def _has_been_shown(self, approval: str) -> bool:
        """Tell whether it was, by this job: what an earlier one showed is shown again."""
        now = self._book.get(approval)
        return bool(now and now.shown_at and now.shown_by == self._book.epoch)
