"""Takes people's corrections of captions: RPC ``transcript.correct``.

A correction is kept first, then shown to all under the segment's own id, then told to the agents.
Nothing that a machine says of the segment changes it afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from agents.meeting import Desk
from agents.roles import Role
from agents.rpc.callers import Caller
from agents.rpc.errors import Code, RpcProblem
from agents.rpc.messages import CorrectReply, CorrectRequest
from pipelines.events import CaptionCorrected, CaptionFinal, Correction, iso


class Corrections:
    """The corrections of one meeting, in the job's loop.

    Args:
        desk: The meeting.
        now: Returns Unix seconds.
    """

    def __init__(self, desk: Desk, *, now: Callable[[], float] = time.time) -> None:
        self._desk = desk
        self._now = now

    async def correct(self, caller: Caller, request: CorrectRequest) -> CorrectReply:
        """Keep and show how a segment reads; what somebody has corrected so already is kept once.

        Raises:
            RpcProblem: The text is blank, there is no such segment, or the words are somebody
                else's and the caller is neither moderator nor owner.
        """
        text = " ".join(request.text.split())
        if not text:
            raise RpcProblem(
                Code.BAD_REQUEST, "A correction needs a text; it can't be empty.", field="text"
            )
        caption = await self._desk.ledger.caption(request.segment)
        if caption is None:
            raise RpcProblem(Code.NOT_FOUND, "There is no such caption in this meeting.")
        if caption.identity != caller.identity and not caller.role.reaches(Role.MODERATOR):
            raise RpcProblem(
                Code.FORBIDDEN,
                "You can correct your own words; a moderator can correct everybody's.",
                role=caller.role,
            )
        correction = caption.correction
        if correction is None or caption.text != text:
            correction = self._keep(caption, text, caller)
        return CorrectReply(
            segment=caption.segment,
            text=text,
            by=correction.by,
            name=correction.name,
            at=iso(correction.at),
        )

    def _keep(self, caption: CaptionFinal, text: str, caller: Caller) -> Correction:
        name = caller.name or self._desk.name_of(caller.identity)
        at = self._now()
        caption = self._desk.ledger.append_correction(
            caption, text, by=caller.identity, name=name, at=at
        )
        self._desk.captions.offer(caption)
        self._desk.spread(CaptionCorrected(at, caption))
        assert caption.correction
        return caption.correction
