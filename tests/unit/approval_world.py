"""A meeting with approvals: jobs that come and go, and all that outlives them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from livekit import rtc

from agents.approvals.approval import State
from agents.approvals.approvals import Approvals
from agents.approvals.asking import Asking
from agents.approvals.book import Book
from agents.approvals.calls import Pending, ToolCall
from agents.approvals.effects import Effects
from agents.approvals.serving import ApprovalCalls
from agents.approvals.showing import Showing
from agents.roles import Role
from agents.rpc.callers import Caller
from agents.rpc.errors import Code, RpcProblem
from agents.rpc.messages import ApprovalListRequest, ResolveRequest, ShowRequest
from agents.tools.tool import Tool, ToolContext, tool
from agents.tools.toolbox import Toolbox
from pipelines.errors import ToolError
from pipelines.settings import Settings
from pipelines.testing.memory_leases import MemoryLeases
from pipelines.transcript.ledger import Ledger
from pipelines.transcript.line import Line

TIMEOUT = 120.0
PEOPLE = {"ada": "Ada", "grace": "Grace"}

Browser = Callable[[str, str], Awaitable[str]]
"""Answers a call: method, payload."""


def unsupported() -> rtc.RpcError:
    return rtc.RpcError(rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD, "no such method")


@dataclass
class KeptActions:
    """The part of a ledger that approvals use; the next job has the same lines."""

    epoch: int = 1
    actions: list[Line] = field(default_factory=list)
    copies: int = 0

    def append(self, kind: str, data: Mapping[str, Any], *, at: float) -> Line:
        assert kind == "action"
        line = Line(
            "m", self.epoch, len(self.actions) + 1, "action", at, json.loads(json.dumps(data))
        )
        self.actions.append(line)
        return line

    async def copied(self) -> None:
        await asyncio.sleep(0.001)
        self.copies = len(self.actions)

    def has_copied(self, event: str, approval: str) -> bool:
        """Tell whether another host finds the step; those of an earlier job it does."""
        step = {"event": event, "id": approval}
        copied = [line.data for line in self.actions[: self.copies] if line.epoch == self.epoch]
        return any(step.items() <= data.items() for data in copied)

    async def read_again(self) -> None:
        """All is known."""


@dataclass
class World:
    """What outlives a job: the lines, the leases, the receiver of effects, the browsers."""

    ledger: KeptActions = field(default_factory=KeptActions)
    leases: MemoryLeases = field(
        default_factory=lambda: MemoryLeases(lambda: asyncio.get_running_loop().time())
    )
    received: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)
    shown: list[tuple[str, str]] = field(default_factory=list)
    told: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    browsers: dict[str, Browser] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=lambda: dict(PEOPLE))
    outcomes: list[Exception | float] = field(default_factory=list)
    hidden: bool = False

    # A room's local participant, and the captions that carry notices.
    async def perform_rpc(
        self, *, destination_identity: str, method: str, payload: str, response_timeout: float
    ) -> str:
        answer = self.browsers.get(destination_identity, self._new_browser(destination_identity))
        try:
            return await asyncio.wait_for(answer(method, payload), response_timeout)
        except TimeoutError:
            raise rtc.RpcError(rtc.RpcError.ErrorCode.RESPONSE_TIMEOUT, "late") from None

    @property
    def local_participant(self) -> World:
        return self

    def tell(self, kind: str, fields: Mapping[str, Any], *, to: tuple[str, ...]) -> None:
        assert kind == "approval"
        state = fields["state"]
        if state == "requested" and not self._is_found(fields["id"]):
            state = "requested, and not kept"
        self.told.append((fields["id"], state, tuple(to)))

    def _is_found(self, approval: str) -> bool:
        return self.ledger.epoch > 1 or self.ledger.has_copied("requested", approval)

    def _new_browser(self, who: str) -> Browser:
        async def answer(method: str, payload: str) -> str:
            if method != "approval.show":
                raise unsupported()
            shown = ShowRequest.model_validate_json(payload).approval
            if shown.state == "requested":
                assert self._is_found(shown.id), "it is kept before it is shown"
            self.shown.append((who, shown.id))
            return '{"version": 1, "seen": true}'

        return answer

    def tools(self) -> list[Tool]:
        async def act(context: ToolContext, text: str) -> str:
            assert self.ledger.has_copied("started", context.key), "kept before it is done"
            outcome = self.outcomes.pop(0) if self.outcomes else 0.0
            if isinstance(outcome, ToolError):
                raise outcome
            self.received[context.key] += 1
            self.said.append(text)
            if isinstance(outcome, Exception):
                raise outcome
            await asyncio.sleep(outcome)
            return f"said {text}"

        @tool(effects="idempotent", isolation="inline")
        async def post(context: ToolContext, *, text: str) -> str:
            """Post."""
            return await act(context, text)

        @tool(effects="at_most_once", isolation="inline")
        async def send(context: ToolContext, *, text: str) -> str:
            """Send."""
            return await act(context, text)

        @tool(effects="none", isolation="inline")
        async def look(context: ToolContext, *, text: str) -> str:
            """Look."""
            return f"{context.asked_by} sees {text}"

        @tool(effects="idempotent", isolation="inline")
        async def create_calendar_event(context: ToolContext, *, title: str) -> str:
            """Create an event."""
            return await act(context, title)

        return [post, send, look, create_calendar_event]

    @asynccontextmanager
    async def job(self, *, begin: bool = True) -> AsyncIterator[Job]:
        """Run a job; leaving it is a crash, but for :meth:`Job.end`."""
        job = Job(self)
        running = asyncio.create_task(job.approvals.run())
        if begin:
            job.approvals.begin()
            await asyncio.sleep(0.01)
        try:
            yield job
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        self.ledger = KeptActions(
            self.ledger.epoch + 1, job.before_the_crash or self.ledger.actions
        )

    def state(self, approval: str) -> State:
        book = Book(cast("Ledger", self.ledger))
        found = book.get(approval)
        assert found
        return found.state

    def audit(self, event: str) -> list[Mapping[str, Any]]:
        return [line.data for line in self.ledger.actions if line.data["event"] == event]


class Job:
    """One job's approvals."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.before_the_crash: list[Line] = []
        clock = asyncio.get_running_loop().time
        self.book = Book(cast("Ledger", world.ledger), now=clock)
        self.toolbox = Toolbox(world.tools(), Settings())
        self.approvals = Approvals(
            self.book,
            self.toolbox,
            Asking(self.book, self.toolbox, _context, lambda: world.people),
            Effects(self.book, self.toolbox, _context, world.leases, meeting="m"),
            Showing(cast("Any", world), cast("Any", world), meeting="m", hidden=world.hidden),
            present=lambda: world.people,
            metadata=lambda: {"agentData": {"id": "agent-1"}},
            timeout=TIMEOUT,
        )
        self.calls = ApprovalCalls(self.approvals)

    async def ask(self, name: str = "post", text: str = "hello", *to: str, by: str = "bob") -> str:
        call = ToolCall(name, {"text": text}, asked_by=by, to=to or ("ada",))
        pending = await self.approvals.ask(call)
        assert isinstance(pending, Pending)
        await asyncio.sleep(0.01)
        return pending.ids[0]

    async def decide(self, who: str, approval: str, decision: str, **more: Any) -> str:
        request = ResolveRequest(id=approval, decision=cast("Any", decision), **more)
        reply = await self.calls.resolve(Caller(who, who, Role.ATTENDEE), request)
        await asyncio.sleep(0.01)
        return reply.state

    async def refused(self, who: str, approval: str, decision: str, **more: Any) -> Code:
        with pytest.raises(RpcProblem) as problem:
            await self.decide(who, approval, decision, **more)
        return problem.value.code

    async def listed(self, who: str, role: Role = Role.ATTENDEE, **request: Any) -> list[str]:
        reply = await self.calls.list(Caller(who, who, role), ApprovalListRequest(**request))
        return [one.id for one in reply.approvals]

    def crash_here(self) -> None:
        """Lose what is written from here on: the process is dead, its last moments were not."""
        self.before_the_crash = list(self._world.ledger.actions)

    async def end(self) -> None:
        self.approvals.close()
        await asyncio.sleep(0.01)


@dataclass
class Context:
    asked_by: str
    key: str


def _context(asked_by: str, key: str) -> ToolContext:
    return cast("ToolContext", Context(asked_by, key))
