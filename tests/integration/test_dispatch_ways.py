"""However a room asks for its agent, exactly one comes, under the right identity."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import psutil
import pytest
from livekit import rtc
from livekit.protocol.models import ParticipantInfo

from bench.livekit_server import LiveKitServer
from bench.rooms import Rooms, dispatch_to
from bench.worker_process import WorkerProcess

if TYPE_CHECKING:
    from tests.integration.conftest import StartSubscriber, StartWorker

NAME = "greffier"
ARRIVES = 20.0  # seconds; an idle machine takes one
SETTLED = 2.0  # seconds in which a second agent would have come


@pytest.fixture(scope="module")
def worker(
    livekit: LiveKitServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProcess]:
    directory = tmp_path_factory.mktemp("dispatch")
    env = {
        **livekit.env(),
        "GREFFIER_AGENT_NAME": NAME,
        "GREFFIER_DATA_DIR": str(directory / "data"),
    }
    with WorkerProcess(env, log=directory / "worker.log") as worker:
        yield worker.wait_until_registered()


async def agents_in(rooms: Rooms, room: str) -> list[ParticipantInfo]:
    return [one for one in await rooms.participants(room) if one.kind == ParticipantInfo.AGENT]


async def wait_for_agent(
    rooms: Rooms, room: str, accept: Callable[[ParticipantInfo], bool] = lambda _: True
) -> ParticipantInfo:
    async with asyncio.timeout(ARRIVES):
        while True:
            for agent in await agents_in(rooms, room):
                if accept(agent):
                    return agent
            await asyncio.sleep(0.05)


async def the_only_agent(rooms: Rooms, room: str) -> ParticipantInfo:
    await wait_for_agent(rooms, room)
    await asyncio.sleep(SETTLED)
    (agent,) = await agents_in(rooms, room)
    return agent


async def by_token(rooms: Rooms, room: str, name: str) -> rtc.Room:
    guest = rtc.Room()
    await guest.connect(rooms.url, rooms.token(room, "guest", agents=[dispatch_to(name)]))
    return guest


async def by_create_room(rooms: Rooms, room: str, name: str) -> None:
    await rooms.create(room, agents=[dispatch_to(name)])


async def by_dispatch(rooms: Rooms, room: str, name: str) -> None:
    await rooms.create(room)
    await rooms.dispatch(room, name)


async def by_itself(rooms: Rooms, room: str, name: str) -> None:
    assert name == ""
    await rooms.create(room)


Way = Callable[[Rooms, str, str], Awaitable[rtc.Room | None]]


@asynccontextmanager
async def opened(way: Way, rooms: Rooms, room: str, name: str) -> AsyncIterator[None]:
    guest = await way(rooms, room, name)
    try:
        yield
    finally:
        if guest:
            await guest.disconnect()
        await rooms.delete(room)


async def assert_one_visible_agent(
    rooms: Rooms, room: str, start_subscriber: StartSubscriber
) -> None:
    agent = await the_only_agent(rooms, room)
    assert (agent.identity, agent.permission.hidden) == (f"{NAME}-{room}", False)
    reader = start_subscriber(room)
    seen = reader.wait_for("came", lambda line: line["identity"] == agent.identity)
    assert seen["kind"] == "PARTICIPANT_KIND_AGENT"


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("way", [by_token, by_create_room, by_dispatch])
async def test_a_room_that_names_the_agent_gets_one_that_everybody_sees(
    way: Way, rooms: Rooms, room: str, start_subscriber: StartSubscriber
) -> None:
    async with opened(way, rooms, room, NAME):
        await assert_one_visible_agent(rooms, room, start_subscriber)


async def test_an_empty_agent_name_takes_every_new_room(
    rooms: Rooms, room: str, start_worker: StartWorker, start_subscriber: StartSubscriber
) -> None:
    start_worker(GREFFIER_AGENT_NAME="")
    async with opened(by_itself, rooms, room, ""):
        await assert_one_visible_agent(rooms, room, start_subscriber)


async def test_a_hidden_worker_joins_unseen(
    rooms: Rooms,
    room: str,
    agent_name: str,
    start_worker: StartWorker,
    start_subscriber: StartSubscriber,
) -> None:
    start_worker(GREFFIER_HIDDEN="1")
    async with opened(by_create_room, rooms, room, agent_name):
        agent = await the_only_agent(rooms, room)
        assert agent.permission.hidden
        reader = start_subscriber(room)
        reader.wait_for("status")  # It can be read,
        assert reader.received("came") == []  # and not seen.


async def test_a_worker_takes_meetings_that_open_together_up_to_its_limit_and_no_more(
    rooms: Rooms, room: str, agent_name: str, start_worker: StartWorker
) -> None:
    worker = start_worker(GREFFIER_MAX_JOBS="4")
    names = [f"{room}-{number}" for number in range(5)]
    async with AsyncExitStack() as stack:
        together = [opened(by_dispatch, rooms, name, agent_name) for name in names[:3]]
        await asyncio.gather(*(stack.enter_async_context(one) for one in together))
        for name in names[:3]:
            await wait_for_agent(rooms, name)
        await asyncio.sleep(4.0)  # LiveKit is told the load every 2.5 s.
        await stack.enter_async_context(opened(by_dispatch, rooms, names[3], agent_name))
        await wait_for_agent(rooms, names[3])
        await stack.enter_async_context(opened(by_dispatch, rooms, names[4], agent_name))
        worker.wait_for_output('"this worker holds as many meetings as it may"')
        assert await agents_in(rooms, names[4]) == []


async def test_a_second_dispatch_of_a_room_gives_no_second_agent(
    worker: WorkerProcess, rooms: Rooms, room: str
) -> None:
    async with opened(by_create_room, rooms, room, NAME):
        await asyncio.gather(*(rooms.dispatch(room, NAME) for _ in range(2)))
        await the_only_agent(rooms, room)
        await rooms.dispatch(room, NAME)
        await asyncio.sleep(SETTLED)
        (agent,) = await agents_in(rooms, room)
        assert agent.identity == f"{NAME}-{room}"
    refused = [line for line in worker.output().splitlines() if '"dispatch refused"' in line]
    assert len([line for line in refused if room in line]) == 3


@pytest.fixture
def busy_machine() -> Iterator[None]:
    """Every processor is taken by somebody else, for long enough that a worker has noticed."""
    spin = [sys.executable, "-c", "while True: pass"]
    with ExitStack() as stack:
        for _ in range(len(os.sched_getaffinity(0))):
            process = stack.enter_context(subprocess.Popen(spin))
            stack.callback(process.kill)
        time.sleep(6)  # LiveKit's own load is a mean of some seconds
        assert psutil.cpu_percent(1.0) >= 95
        yield


@pytest.mark.usefixtures("worker", "busy_machine")
async def test_a_dispatch_on_a_busy_machine_arrives(rooms: Rooms, room: str) -> None:
    async with opened(by_dispatch, rooms, room, NAME):
        assert (await wait_for_agent(rooms, room)).identity == f"{NAME}-{room}"
