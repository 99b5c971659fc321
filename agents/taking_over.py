"""A job takes the meeting over from the one before it, which leaves the room to it.

The new job's part of :mod:`agents.handover`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from livekit.agents import JobContext

from agents.epoch import put_ghosts_out
from agents.handover import NOTICE, Cuts, agree, until_gone
from agents.meeting import Desk
from agents.turn import Turn
from pipelines.settings import Settings


class TakingOver:
    """Takes over, from the first audio to the last line that the predecessor keeps.

    ``at`` is the watershed, Unix seconds; 0 until this job has said when it is.

    Args:
        ctx: LiveKit's context of the job.
        settings: The process's settings.
        desk: The meeting.
        turn: The time that is this job's; set as the predecessor tells.
        cuts: By which it does.
        leaving: Its identity.
        beat_soon: Asks for a heartbeat now.
    """

    def __init__(
        self,
        ctx: JobContext,
        settings: Settings,
        desk: Desk,
        *,
        turn: Turn,
        cuts: Cuts,
        leaving: str,
        beat_soon: Callable[[], None],
    ) -> None:
        self._ctx = ctx
        self._settings = settings
        self._desk = desk
        self._turn = turn
        self._cuts = cuts
        self._leaving = leaving
        self._beat_soon = beat_soon
        self.at = 0.0

    async def run(self) -> None:
        """Say when the watershed is, once this job is given audio, and take what is its own.

        What the predecessor keeps until it has left is known here then, too.
        """
        try:
            await self._desk.listening.take_over(self._agree, self._desk.mark_hole)
            if self._desk.acting:
                self._desk.acting.begin(alone=False)
        finally:
            self._turn.leave_the_rest()
        await until_gone(self._is_there)
        if self._desk.acting:
            await self._desk.ledger.read_again()
            self._desk.acting.approvals.inherit()
        await self._desk.ledger.read_again(patient=True)

    async def _agree(self) -> float | None:
        """See :meth:`agents.listening.Listening.take_over`."""
        at = self.at = time.time() + NOTICE
        self._beat_soon()
        alone_since = await agree(
            self._turn,
            self._cuts,
            at=at,
            is_there=self._is_there,
            people=lambda: self._desk.room.people,
            release=self._desk.room.release,
        )
        if alone_since is not None:
            await put_ghosts_out(self._ctx, self._settings, self._desk.ledger.epoch)
        return alone_since

    def _is_there(self) -> bool:
        # Nobody sees a hidden one, in the room or not.
        return self._settings.hidden or self._leaving in self._ctx.room.remote_participants
