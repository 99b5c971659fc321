"""Tells those who are concerned where an approval stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from agents.approvals.approval import UNDECIDED, Approval, State
from agents.approvals.book import Book
from agents.approvals.calls import by_participant
from agents.approvals.showing import Showing

NO_NEWS: Final = frozenset({State.REQUESTED, State.SHOWN, State.STARTED})
"""States that tell who has asked nothing."""


class Notices:
    """Sends a notice at each change, to the addressee and to who has asked, where they are here.

    Args:
        book: The approvals.
        showing: Reaches browsers.
        present: Returns identity -> display name of the people in the room.
    """

    def __init__(
        self, book: Book, showing: Showing, present: Callable[[], Mapping[str, str]]
    ) -> None:
        self._book = book
        self._showing = showing
        self._present = present
        book.watch(self._changed)

    def asked(self, approval: str) -> None:
        """Tell of a new one, now that it is kept; what is decided meanwhile was told as that."""
        now = self._book.get(approval)
        if now and now.state in UNDECIDED:
            self._send(now, State.REQUESTED)

    def _changed(self, approval: Approval) -> None:
        if approval.state not in NO_NEWS:
            self._send(approval, approval.state)

    def _send(self, approval: Approval, state: State) -> None:
        askers = approval.askers
        concerned = [
            who for who in self._present() if who == approval.to or by_participant(who) in askers
        ]
        if concerned:
            self._showing.tell(approval.id, state.value, concerned)
