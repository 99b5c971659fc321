"""What people and agents may do in a meeting, put together: RPC, corrections, tools, approvals."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from typing import Final
from uuid import uuid4

from livekit.protocol.models import ParticipantInfo

from agents.approvals.approvals import Approvals
from agents.approvals.asking import Asking
from agents.approvals.book import Book
from agents.approvals.effects import Effects
from agents.approvals.serving import ApprovalCalls
from agents.approvals.showing import Showing
from agents.chat import post_chat
from agents.correction import Corrections
from agents.history import History
from agents.host import AgentHost
from agents.livekit_api import open_api, participant_in
from agents.meeting import Desk
from agents.roles import Role
from agents.rpc.callers import Callers
from agents.rpc.methods import CORRECT
from agents.rpc.running_agents import RunningAgents
from agents.rpc.surface import RpcSurface
from agents.switchboard import Switchboard
from agents.tools.room_context import ToolRoom
from agents.tools.rpc import ToolMethods
from agents.tools.tool import Tool
from agents.tools.toolbox import Toolbox
from pipelines.events import Event, ParticipantLeft
from pipelines.lease import Leases
from pipelines.post_meeting.llm_settings import LLMSettings
from pipelines.settings import Settings

log = logging.getLogger(__name__)

CORRECTIONS: Final = "corrections"


class Acting:
    """Serves the calls of one meeting, in the job's loop; the room is connected.

    Args:
        desk: The meeting.
        settings: The process's settings.
        switchboard: What the metadata asks for: agents, roles, permissions.
        host: Runs the agents.
        tools: The installed ones.
        leases: Decide which of two jobs carries out what must not happen twice.
        keeps: Whether this meeting may be kept.
    """

    def __init__(
        self,
        desk: Desk,
        settings: Settings,
        switchboard: Switchboard,
        host: AgentHost,
        *,
        tools: Sequence[Tool],
        leases: Leases,
        keeps: bool,
    ) -> None:
        self._desk = desk
        self._settings = settings
        self.llm: LLMSettings = settings
        self._closing = asyncio.Event()
        self.callers = Callers(desk.rtc_room, lambda: switchboard.now, self._look_up)
        self.toolbox = Toolbox(tools, settings)
        self._tool_room = ToolRoom(desk)
        self.approvals = self._approvals(leases)
        self._history = History(desk)
        self._surface = RpcSurface(desk, self.callers, hidden=settings.hidden)
        self._surface.serve(CORRECTIONS, CORRECT, Corrections(desk).correct)
        for part in (
            self._history,
            RunningAgents(desk, host, switchboard, self.callers, keeps=keeps),
            ToolMethods(self.toolbox, self.approvals),
            ApprovalCalls(self.approvals),
        ):
            part.serve(self._surface)

    def receive(self, event: Event) -> None:
        """Follow what happens."""
        if isinstance(event, ParticipantLeft):
            self.callers.left(event.identity)
        self._history.receive(event)
        self._tool_room.receive(event)
        self.approvals.receive(event)

    def begin(self, *, alone: bool = True) -> None:
        """The meeting is this job's: from now on it may act; see :meth:`.Approvals.begin`."""
        self.approvals.begin(alone=alone)

    async def run(self) -> None:
        """Show what is to be approved and do what is, until :meth:`close` and to its end."""
        async with asyncio.TaskGroup() as tasks:
            connecting = tasks.create_task(self._guarded("tools", self.toolbox.run()), name="tools")
            if not await self._guarded("approvals", self.approvals.run()):
                self.approvals.close()
            await self._closing.wait()  # Until then tools without effects run.
            connecting.cancel()

    async def post_chat(self, text: str) -> None:
        """Write in the chat, in the agent's name.

        Raises:
            ToolError: Nothing was sent.
            UnknownOutcomeError: It broke off.
        """
        participant = self._desk.rtc_room.local_participant
        await post_chat(participant, text, message=uuid4().hex)

    def close(self) -> None:
        """Take no more calls; what is approved gets to its end."""
        self.approvals.close()  # First: no trouble with the rest keeps it from closing.
        self._closing.set()
        self._surface.close()

    def stop(self) -> None:
        """Also begin nothing more: another job acts from now on, or may."""
        self.approvals.stop()
        self.close()

    async def _guarded(self, part: str, running: Awaitable[None]) -> bool:
        """Let what goes wrong here end this part alone; return whether nothing did."""
        try:
            await running
        except Exception as error:  # Its message may quote what was said.
            log.error("part has failed", extra={"part": part, "cause": type(error).__name__})
            return False
        return True

    def _approvals(self, leases: Leases) -> Approvals:
        desk, settings = self._desk, self._settings
        book = Book(desk.ledger)
        context = self._tool_room.context
        return Approvals(
            book,
            self.toolbox,
            Asking(book, self.toolbox, context, self._who_may_be_asked),
            Effects(
                book,
                self.toolbox,
                context,
                leases,
                meeting=desk.info.meeting,
            ),
            Showing(
                desk.rtc_room, desk.captions, meeting=desk.info.meeting, hidden=settings.hidden
            ),
            present=lambda: desk.room.people,
            metadata=lambda: desk.info.metadata,
            timeout=settings.approval_timeout,
        )

    def _who_may_be_asked(self) -> dict[str, str]:
        people = self.callers.people()
        return {one.identity: one.name for one in people if one.role.reaches(Role.ATTENDEE)}

    async def _look_up(self, identity: str) -> ParticipantInfo | None:
        async with open_api(self._settings) as livekit:
            return await participant_in(livekit, self._desk.info.room, identity)
