"""``agent.status``, ``agents.start`` and ``agents.stop``: what runs, and who may change it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from agents.host import AgentHost
from agents.meeting import Desk
from agents.rpc.callers import Caller, Callers
from agents.rpc.errors import Code, RpcProblem
from agents.rpc.messages import (
    AgentRequest,
    AgentsReply,
    AgentState,
    AgentStateName,
    StatusReply,
    StatusRequest,
    You,
)
from agents.rpc.methods import METHODS, START, STATUS, STOP
from agents.rpc.surface import RpcSurface
from agents.switchboard import Switchboard
from pipelines.errors import RoomSettingsError
from pipelines.events import iso

OWNER: Final = "agents"

PATIENCE: Final = 5.0
"""Seconds that a call waits for an agent to start or to say its last words."""


class RunningAgents:
    """Tells of the agents of one meeting, and switches them.

    Args:
        desk: The meeting.
        host: Runs them.
        switchboard: Says which of them run.
        callers: Tells what the caller may do.
        keeps: Whether this meeting may be kept.
    """

    def __init__(
        self,
        desk: Desk,
        host: AgentHost,
        switchboard: Switchboard,
        callers: Callers,
        *,
        keeps: bool,
    ) -> None:
        self._desk = desk
        self._host = host
        self._switchboard = switchboard
        self._callers = callers
        self._keeps = keeps

    def serve(self, surface: RpcSurface) -> None:
        """Answer the three methods."""
        surface.serve(OWNER, STATUS, self._status)
        surface.serve(OWNER, START, self._start)
        surface.serve(OWNER, STOP, self._stop)

    async def _status(self, caller: Caller, _request: StatusRequest) -> StatusReply:
        desk = self._desk
        least = self._callers.least
        may_call = [one.name for one in METHODS if one.admits(caller.role, least(one.name))]
        return StatusReply(
            meeting=desk.info.meeting,
            room=desk.info.room,
            epoch=desk.info.epoch,
            started_at=iso(desk.info.started_at),
            language=desk.info.language,
            durable=desk.ledger.durable,
            kept=self._keeps,
            agents=self._agents(),
            you=You(identity=caller.identity, role=caller.role, may_call=may_call),
        )

    async def _start(self, caller: Caller, request: AgentRequest) -> AgentsReply:
        return await self._switch(caller, request.agent, on=True)

    async def _stop(self, caller: Caller, request: AgentRequest) -> AgentsReply:
        return await self._switch(caller, request.agent, on=False)

    async def _switch(self, caller: Caller, agent: str, *, on: bool) -> AgentsReply:
        if agent not in self._known:
            there_are = ", ".join(self._known)
            raise RpcProblem(Code.NOT_FOUND, f"There is no such agent here; there are {there_are}.")
        # A call that is cancelled here has been kept and is carried out.
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._switchboard.switch(
                        agent, on=on, by=caller.identity, desk=self._desk
                    )
        except RoomSettingsError:
            sentence = "This agent needs settings: name it in the room's metadata."
            raise RpcProblem(Code.CONFLICT, sentence) from None
        return AgentsReply(agents=self._agents())

    @property
    def _known(self) -> Mapping[str, str]:
        """Name -> description of the agents that run or may run."""
        asked = self._switchboard.now.agents.keys()
        specs = self._switchboard.installed
        running = dict.fromkeys(sorted({*asked, *self._host.names}), "")
        return {**running, **{name: spec.description for name, spec in specs.items()}}

    def _agents(self) -> list[AgentState]:
        return [
            AgentState(name=name, description=description, state=self._state(name))
            for name, description in self._known.items()
        ]

    def _state(self, name: str) -> AgentStateName:
        if name in self._host.names:
            return "running"
        return "failed" if name in self._host.failed else "off"
