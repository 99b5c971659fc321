"""Tells a late joiner everything said so far: RPC ``transcript.history``, page by page.

A reader has its handler of live captions registered before it asks; what it then gets twice has
the same segment and revision. A hidden agent's answer goes as a text stream on
``greffier.history`` to the caller alone, because an RPC answer of a hidden agent holds 15 KB only;
the RPC answer names the stream by its attribute ``greffier.request``.
"""

from __future__ import annotations

import json
import time
from typing import Final
from uuid import uuid4

from livekit import rtc
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.meeting import Desk
from agents.plugin import RpcCall
from pipelines.events import CaptionFinal, CaptionInterim, Event
from pipelines.transcript.history import START, VERSION, Cursor, page_message

METHOD: Final = "transcript.history"
TOPIC: Final = "greffier.history"
REQUEST: Final = "greffier.request"
OWNER: Final = "history"

PAGE_SIZE: Final = 256 * 1024
"""Bytes of a page: an answer of some 70 KB takes about 70 ms."""

INTERIM_LIFE: Final = 30.0
"""Seconds after which an interim that nothing followed is no longer of the moment."""

MOST_INTERIMS: Final = 100
"""Segments held before those that nothing followed are looked for: more than people at once."""

BAD_REQUEST: Final = 4000
"""Code of the RPC error for a payload that can't be read; LiveKit's own are 1400 to 1999."""


class After(BaseModel):
    """The last line that the reader has."""

    model_config = ConfigDict(extra="forbid")

    epoch: int = Field(ge=0)
    sequence: int = Field(ge=0)


class HistoryRequest(BaseModel):
    """Payload of ``transcript.history``, as JSON; an empty payload takes the defaults."""

    model_config = ConfigDict(extra="forbid")

    after: After | None = Field(default=None, description="`next` of the page before.")
    limit: int = Field(default=500, ge=1, le=1000, description="Most segments in the page.")


class History:
    """Answers for one meeting, from the job's loop.

    Args:
        desk: The meeting.
        hidden: Whether the agent is hidden.
    """

    def __init__(self, desk: Desk, *, hidden: bool) -> None:
        self._desk = desk
        self._hidden = hidden
        self._interims: dict[str, tuple[float, CaptionInterim]] = {}
        desk.register_rpc(OWNER, METHOD, self.answer)
        # A newcomer learns whom to ask, a hidden agent included: every notice names its sender.
        desk.captions.notify(OWNER, {"method": METHOD})

    def receive(self, event: Event) -> None:
        """Follow what is being said at the moment."""
        match event:
            case CaptionInterim():
                self._interims[event.segment] = (time.monotonic(), event)
                if len(self._interims) > MOST_INTERIMS:
                    self._of_the_moment()
            case CaptionFinal():
                self._interims.pop(event.segment, None)

    async def answer(self, call: RpcCall) -> str:
        """Answer one call with a page, or with the name of the stream that brings it.

        Raises:
            rtc.RpcError: The payload can't be read.
        """
        request = _request(call.payload)
        after = Cursor(request.after.epoch, request.after.sequence) if request.after else START
        ledger = self._desk.ledger
        page = await ledger.page(after=after, limit=request.limit, size=PAGE_SIZE)
        message = page_message(
            page,
            meeting=ledger.meeting,
            started_at=ledger.started_at,
            interims=self._of_the_moment(),
        )
        reply = json.dumps(message, ensure_ascii=False)
        if not self._hidden:
            return reply
        stream = uuid4().hex
        await self._desk.rtc_room.local_participant.send_text(
            reply, topic=TOPIC, destination_identities=[call.caller], attributes={REQUEST: stream}
        )
        return json.dumps({"version": VERSION, "stream": stream})

    def _of_the_moment(self) -> list[CaptionInterim]:
        oldest = time.monotonic() - INTERIM_LIFE
        self._interims = {
            segment: (at, caption)
            for segment, (at, caption) in self._interims.items()
            if at >= oldest
        }
        return [caption for _, caption in self._interims.values()]


def _request(payload: str) -> HistoryRequest:
    try:
        return HistoryRequest.model_validate_json(payload or "{}")
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(map(str, problem["loc"])) or "payload"
        raise rtc.RpcError(BAD_REQUEST, f"{METHOD}: {field}: {problem['msg']}") from None
