"""What is kept of calls that are no step of an approval: as much as one participant may write."""

from __future__ import annotations

from typing import Any, Final

from agents.approvals.book import Book
from agents.approvals.calls import is_agent

MOST_A_MINUTE: Final = 30
"""Lines that are kept of one who asks, in a minute; anybody may call without end, and each line is
in the journal, the stores and the transcript for good."""

MOST_OF_AN_AGENT: Final = 300
"""The same of one of our agents, which asks for everybody who talks to it."""

_MINUTE: Final = 60.0


class Audit:
    """Writes down calls that ran or were refused, and answers that were not taken.

    Args:
        book: Of the meeting.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._began = 0.0
        self._kept: dict[str, int] = {}

    def keep(self, event: str, asker: str, /, **data: Any) -> None:
        """Write a line; the first of a minute that is too many says only that more are not kept.

        Args:
            event: What happened.
            asker: Who has called.
            data: What else the line says.
        """
        now = self._book.now()
        if not 0.0 <= now - self._began < _MINUTE:
            self._began = now
            self._kept.clear()
        before = self._kept.get(asker, 0)
        self._kept[asker] = before + 1
        most = MOST_OF_AN_AGENT if is_agent(asker) else MOST_A_MINUTE
        if before < most:
            self._book.note(event, **data)
        elif before == most:
            self._book.note("not_kept", asked_by=asker)
