"""Tells a late joiner everything said so far: RPC ``transcript.history``, page by page.

A reader has its handler of live captions registered before it asks; what it then gets twice has
the same segment and revision.
"""

from __future__ import annotations

import time
from typing import Final

from agents.meeting import Desk
from agents.rpc.callers import Caller
from agents.rpc.messages import HistoryReply, HistoryRequest
from agents.rpc.methods import HISTORY
from agents.rpc.surface import RpcSurface
from pipelines.events import CaptionFinal, CaptionInterim, Event
from pipelines.transcript.history import START, Cursor, page_message

OWNER: Final = "history"

PAGE_SIZE: Final = 8 * 1024
"""Bytes of a page's lines: live captions queue behind its answer, and 70 KB take some 70 ms."""

INTERIM_LIFE: Final = 30.0
"""Seconds after which an interim that nothing followed is no longer of the moment."""

MOST_INTERIMS: Final = 100
"""Segments held before those that nothing followed are looked for: more than people at once."""


class History:
    """Answers for one meeting, from the job's loop.

    Args:
        desk: The meeting.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._interims: dict[str, tuple[float, CaptionInterim]] = {}

    def serve(self, surface: RpcSurface) -> None:
        """Answer the method, and tell newcomers whom to ask."""
        surface.serve(OWNER, HISTORY, self._page)
        # A hidden agent included: every notice names its sender.
        self._desk.captions.notify(OWNER, {"method": HISTORY.name})

    def receive(self, event: Event) -> None:
        """Follow what is being said at the moment."""
        match event:
            case CaptionInterim():
                self._interims[event.segment] = (time.monotonic(), event)
                if len(self._interims) > MOST_INTERIMS:
                    self._of_the_moment()
            case CaptionFinal():
                self._interims.pop(event.segment, None)

    async def _page(self, _caller: Caller, request: HistoryRequest) -> HistoryReply:
        after = Cursor(request.after.epoch, request.after.sequence) if request.after else START
        ledger = self._desk.ledger
        page = await ledger.page(after=after, limit=request.limit, size=PAGE_SIZE)
        message = page_message(
            page,
            meeting=ledger.meeting,
            started_at=ledger.started_at,
            interims=self._of_the_moment(),
        )
        # Not strict: lines of an earlier release are kept as they were written.
        return HistoryReply.model_validate(message, strict=False)

    def _of_the_moment(self) -> list[CaptionInterim]:
        oldest = time.monotonic() - INTERIM_LIFE
        self._interims = {
            segment: (at, caption)
            for segment, (at, caption) in self._interims.items()
            if at >= oldest
        }
        return [caption for _, caption in self._interims.values()]
