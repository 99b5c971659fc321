"""An agent is killed around an approval; the receiver counts what happened."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from livekit import rtc

from bench.child_process import ROOT
from bench.livekit_server import LiveKitServer, free_port
from bench.rooms import Rooms
from bench.worker_process import WorkerProcess

NAME = "acts"
AGENT = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
COMES = 60.0  # seconds; an idle machine takes one or two
SETTLED = 1.5  # seconds in which a second effect would have come

TOOLS = '''
import os
import aiohttp
from agents.tools.tool import ToolContext, tool

async def send(context: ToolContext, text: str) -> str:
    async with aiohttp.ClientSession() as session:
        url = os.environ["RECEIVER"]
        async with session.post(url, json={"key": context.key, "text": text}) as answer:
            answer.raise_for_status()
    return "sent"

@tool(effects="idempotent")
async def put(context: ToolContext, *, text: str) -> str:
    """Put a text."""
    return await send(context, text)

@tool(effects="at_most_once")
async def ring(context: ToolContext, *, text: str) -> str:
    """Ring with a text."""
    return await send(context, text)
'''


@dataclass
class Receiver:
    """Where the effects are: how often each key came."""

    url: str = ""
    keys: dict[str, Counter[str]] = field(default_factory=dict)

    async def take(self, request: web.Request) -> web.Response:
        effect = await request.json()
        self.keys.setdefault(effect["text"], Counter())[effect["key"]] += 1
        return web.Response()


@pytest.fixture
async def receiver(receiver_port: int) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", receiver_port).start()
    yield receiver
    await runner.cleanup()


@pytest.fixture(scope="module")
def receiver_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def failpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("failpoint") / "failpoint"


@pytest.fixture(scope="module")
def worker(
    livekit: LiveKitServer,
    failpoint: Path,
    receiver_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[WorkerProcess]:
    """One worker, with two tools that a package brings."""
    directory = tmp_path_factory.mktemp("worker")
    (directory / "counted_tools.py").write_text(TOOLS)
    info = directory / "counted_tools-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: counted-tools\nVersion: 1\n")
    entries = "put = counted_tools:put\nring = counted_tools:ring\n"
    (info / "entry_points.txt").write_text(f"[greffier.tools]\n{entries}")
    env = {
        **livekit.env(),
        "GREFFIER_AGENT_NAME": NAME,
        "GREFFIER_DEFAULT_AGENTS": "metadata",
        "GREFFIER_DATA_DIR": str(directory / "data"),
        "GREFFIER_FAILPOINT": f"@{failpoint}",
        "PYTHONPATH": f"{ROOT}:{directory}",
        "RECEIVER": f"http://127.0.0.1:{receiver_port}/",
    }
    with WorkerProcess(env, log=directory / "worker.log") as worker:
        yield worker.wait_until_registered()


@dataclass
class Browser:
    """Somebody in the room, whose page answers ``approval.show``."""

    room: rtc.Room
    shown: asyncio.Queue[tuple[str, dict[str, Any]]] = field(default_factory=asyncio.Queue)

    async def show(self, call: rtc.RpcInvocationData) -> str:
        self.shown.put_nowait((call.caller_identity, json.loads(call.payload)["approval"]))
        return '{"version": 1, "seen": true}'

    async def next(self) -> tuple[str, dict[str, Any]]:
        """Return who shows what next."""
        return await asyncio.wait_for(self.shown.get(), COMES)

    async def agent(self, dead: str = "") -> str:
        """Return the identity of the agent in the room, once there is one that lives."""
        async with asyncio.timeout(COMES):
            while True:
                for one in self.room.remote_participants.values():
                    if one.kind == AGENT and one.identity != dead:
                        return one.identity
                await asyncio.sleep(0.05)

    async def call(self, agent: str, method: str, **request: Any) -> dict[str, Any]:
        reply = await self.room.local_participant.perform_rpc(
            destination_identity=agent,
            method=method,
            payload=json.dumps(request),
            response_timeout=5.0,
        )
        answer: dict[str, Any] = json.loads(reply)
        return answer

    async def ask(self, tool: str, text: str) -> str:
        """Ask for a tool, once the agent answers; returns the approval's id."""
        agent = await self.agent()
        async with asyncio.timeout(COMES):
            while True:
                with suppress(rtc.RpcError):  # It has not got so far.
                    await self.call(agent, "tools.list")
                    break
                await asyncio.sleep(0.05)
        with suppress(rtc.RpcError):  # It may have died before it answered.
            return str(
                (await self.call(agent, "tools.call", tool=tool, arguments={"text": text}))[
                    "approvals"
                ][0]
            )
        return ""

    async def state(self, agent: str, approval: str) -> str:
        found = await self.call(agent, "approval.list", open_only=False)
        return next(str(one["state"]) for one in found["approvals"] if one["id"] == approval)


@asynccontextmanager
async def browser_in(rooms: Rooms, room: str) -> AsyncIterator[Browser]:
    browser = Browser(rtc.Room())
    await browser.room.connect(rooms.url, rooms.token(room, "ada"))
    browser.room.local_participant.register_rpc_method("approval.show", browser.show)
    try:
        yield browser
    finally:
        await browser.room.disconnect()


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("point", "tool"),
    [
        ("approval_shown", "put"),
        ("approval_decided", "put"),
        ("approval_decided", "ring"),
        ("effect_claimed", "ring"),
        ("effect", "put"),
        ("effect", "ring"),
    ],
)
async def test_no_kill_doubles_what_must_not_be_doubled_or_forgets_what_was_asked(
    *, point: str, tool: str, rooms: Rooms, room: str, failpoint: Path, receiver: Receiver
) -> None:
    async with browser_in(rooms, room) as browser:
        await rooms.dispatch(room, NAME)
        failpoint.write_text(point)
        await browser.ask(tool, room)
        first, asked = await browser.next()
        if point == "approval_shown":
            second, again = await browser.next()
            assert (second != first, again["id"]) == (True, asked["id"])
            await browser.call(second, "approval.resolve", id=asked["id"], decision="approve")
        else:
            # It dies over it, before it answers or after: nobody waits for the answer.
            with suppress(rtc.RpcError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await browser.call(
                        first, "approval.resolve", id=asked["id"], decision="approve"
                    )
        state = "done"
        if point in {"effect", "effect_claimed"} and tool == "ring":
            second, again = await browser.next()
            assert (second != first, again["id"], again["state"]) == (True, asked["id"], "unknown")
            await browser.call(second, "approval.resolve", id=asked["id"], decision="happened")
            state = "settled"
        async with asyncio.timeout(COMES):
            while True:
                with suppress(rtc.RpcError):
                    if await browser.state(await browser.agent(first), asked["id"]) == state:
                        break
                await asyncio.sleep(0.1)
        await asyncio.sleep(SETTLED)
        times = {("effect", "put"): 2, ("effect_claimed", "ring"): 0}.get((point, tool), 1)
        assert receiver.keys.get(room, Counter())[asked["id"]] == times
        assert not failpoint.exists()
    await rooms.delete(room)
