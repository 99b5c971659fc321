"""Puts a dialog on somebody's screen, and tells who is concerned what becomes of it.

``approval.show`` is answered at once, and the person's decision comes by ``approval.resolve``. A
browser that knows only MeetAI's ``approveCalendarEvent`` is called with that, and answers with the
decision itself. A hidden agent can't call a browser: a notice has the browser ask instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

from livekit import rtc
from pydantic import BaseModel, ConfigDict, ValidationError

from agents.approvals.approval import Approval
from agents.captions import Captions
from agents.rpc.messages import ShowRequest
from agents.rpc.methods import SHOW
from agents.tools.calendar import NAME as CALENDAR

ACKNOWLEDGED: Final = 5.0
"""Seconds in which a browser says that it has the dialog."""

OLD_METHOD: Final = "approveCalendarEvent"

OLD_TIMEOUT: Final = 60.0
"""Seconds in which such a browser answers at most: its dialog is gone after them."""


class Shown(Enum):
    """What became of an attempt to show a dialog."""

    YES = auto()
    NOTIFIED = auto()
    """The browser is told to ask; whether it does is seen when it does."""
    OLD_BROWSER = auto()
    NO = auto()


@dataclass(frozen=True, slots=True)
class Answered:
    """The decision of an old browser.

    Args:
        approved: Yes or no.
        arguments: Other ones that were approved; None where it is those that were shown.
        reason: In the person's words, or empty.
    """

    approved: bool
    arguments: Mapping[str, Any] | None = field(default=None, repr=False)
    reason: str = field(default="", repr=False)


class _OldReply(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    approved: bool
    modifiedPayload: dict[str, Any] | None = None  # noqa: N815 - MeetAI's name on the wire
    reason: str | None = None


class Showing:
    """Reaches people's browsers.

    Args:
        room: A connected room.
        captions: Sends notices.
        meeting: The meeting's id.
        hidden: Whether the agent is hidden.
    """

    def __init__(self, room: rtc.Room, captions: Captions, *, meeting: str, hidden: bool) -> None:
        self._room = room
        self._captions = captions
        self._meeting = meeting
        self._hidden = hidden

    async def show(self, request: ShowRequest, to: str) -> Shown:
        """Show a dialog, again where it is there already; a browser goes by its id."""
        if self._hidden:
            self.tell(request.approval.id, request.approval.state, [to])
            return Shown.NOTIFIED
        try:
            await self._room.local_participant.perform_rpc(
                destination_identity=to,
                method=SHOW,
                payload=request.model_dump_json(),
                response_timeout=ACKNOWLEDGED,
            )
        except rtc.RpcError as error:
            unsupported = error.code == rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD
            return Shown.OLD_BROWSER if unsupported else Shown.NO
        return Shown.YES

    async def ask_old_browser(
        self, approval: Approval, metadata: Mapping[str, Any], *, now: float, within: float
    ) -> Answered | None:
        """Ask for a calendar event as MeetAI does; None where nobody has answered.

        Args:
            approval: Of the one tool that such a browser can show.
            metadata: The room's, which has the id of the agent.
            now: Unix seconds.
            within: Seconds that the person has for it, at most :data:`OLD_TIMEOUT`.

        Raises:
            TimeoutError: Nobody has answered in the time that such a dialog is open.
        """
        payload = {
            "meetingId": self._meeting,
            "agentId": _agent_id(metadata),
            "type": CALENDAR,
            "targetParticipant": approval.name,
            "payload": dict(approval.arguments),
            "invokedAt": round(now * 1000),
            "timeoutMs": round(within * 1000),
        }
        try:
            reply = await self._room.local_participant.perform_rpc(
                destination_identity=approval.to,
                method=OLD_METHOD,
                payload=json.dumps(payload, ensure_ascii=False),
                response_timeout=within,
            )
            answer = _OldReply.model_validate_json(reply)
        except rtc.RpcError as error:
            if error.code == rtc.RpcError.ErrorCode.RESPONSE_TIMEOUT:
                raise TimeoutError from None
            return None
        except ValidationError:
            return Answered(approved=False, reason="The browser's answer can't be read.")
        return Answered(answer.approved, answer.modifiedPayload, answer.reason or "")

    def tell(self, approval: str, state: str, to: Sequence[str]) -> None:
        """Tell those who are concerned where an approval stands; no more than its id is in it."""
        self._captions.tell("approval", {"id": approval, "state": state}, to=to)


def _agent_id(metadata: Mapping[str, Any]) -> str:
    for part, key in (("agentData", "id"), ("meetingData", "agentId")):
        found = metadata.get(part)
        if isinstance(found, Mapping) and isinstance(found.get(key), str):
            return str(found[key])
    return ""
