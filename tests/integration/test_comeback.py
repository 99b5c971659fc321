"""The agent comes back, alone, whatever has died; one of each. Figures: ``bench/comeback.py``."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from livekit import rtc
from livekit.protocol.models import ParticipantInfo
from livekit.protocol.room import ListRoomsRequest

from agents.livekit_api import OURS
from bench.livekit_binary import LIVEKIT_SERVER
from bench.livekit_server import LiveKitServer
from bench.redis_server import RedisServer
from bench.rooms import Rooms
from bench.worker_process import WorkerProcess
from pipelines.transcript.paths import meeting_key

if TYPE_CHECKING:
    from tests.integration.conftest import StartWorker

pytestmark = pytest.mark.alone  # In seconds, what is alive is told from what is dead.

NAME = "comeback"
TTL = 3.0  # seconds in which nobody but its worker knows that a job died; the default
SETTLED = 2.0  # seconds in which a second agent would have come
COMES = 60.0  # seconds; an idle machine takes one, or a TTL and one
DRAIN_TIMEOUT = 3600.0  # seconds, the default
WAITING = "opened-before-any-worker"


@pytest.fixture(scope="module")
def livekit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitServer]:
    """A server of these tests' own, in place of the one for all: it is killed."""
    if LIVEKIT_SERVER.find() is None:
        pytest.skip("no livekit-server; `python -m bench.livekit_binary` gets one")
    with LiveKitServer(tmp_path_factory.mktemp("livekit")) as server:
        yield server


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def worker(
    livekit: LiveKitServer, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProcess]:
    """One worker without Redis; a room that asks for agents was there before it."""
    env = {
        **livekit.env(),
        "GREFFIER_AGENT_NAME": NAME,
        "GREFFIER_DEFAULT_AGENTS": "metadata",
        "GREFFIER_DATA_DIR": str(data),
        "GREFFIER_ROOM_SWEEP_INTERVAL": "1",
        "GREFFIER_LEASE_TTL": str(TTL),
    }
    asyncio.run(open_room(livekit, WAITING, {"agents": {"metadata": True}}))
    with WorkerProcess(env, log=tmp_path_factory.mktemp("worker") / "worker.log") as worker:
        yield worker.wait_until_registered()


async def open_room(livekit: LiveKitServer, room: str, metadata: dict[str, Any]) -> None:
    async with Rooms(livekit.url, livekit.api_key, livekit.api_secret) as rooms:
        await rooms.create(room, metadata=metadata)


async def agents_in(rooms: Rooms, room: str) -> dict[str, ParticipantInfo]:
    inside = await rooms.participants(room)
    return {one.identity: one for one in inside if one.kind == ParticipantInfo.AGENT}


async def another_agent(rooms: Rooms, room: str, *before: str) -> str:
    """Return the identity of the one agent in the room, once it is none of ``before``."""
    async with asyncio.timeout(COMES):
        while True:
            found = await agents_in(rooms, room)
            if len(found) == 1 and not found.keys() & set(before):
                return next(iter(found))
            await asyncio.sleep(0.05)


@asynccontextmanager
async def guest_in(rooms: Rooms, room: str) -> AsyncIterator[list[dict[str, Any]]]:
    """Somebody in the room, and what the server itself tells on ``greffier.status``."""
    guest = rtc.Room()
    told: list[dict[str, Any]] = []
    guest.on("data_received", lambda packet: told.append(json.loads(packet.data)))
    await guest.connect(rooms.url, rooms.token(room, "guest"))
    try:
        yield told
    finally:
        await guest.disconnect()


async def sid_of(rooms: Rooms, room: str) -> str:
    listed = await rooms.api.room.list_rooms(ListRoomsRequest(names=[room]))
    return str(listed.rooms[0].sid)


def said(worker: WorkerProcess, message: str) -> list[dict[str, Any]]:
    """Return the lines of the worker's log with this message."""
    lines = [json.loads(line) for line in worker.output().splitlines() if line.startswith("{")]
    return [line for line in lines if line["message"] == message]


def job_in(worker: WorkerProcess) -> int:
    (pid,) = worker.job_pids()
    return pid


async def test_a_killed_job_is_replaced_at_once_and_one_that_is_killed_again_later(
    worker: WorkerProcess, rooms: Rooms, room: str
) -> None:
    async with guest_in(rooms, room) as told:
        first = await rooms.dispatch(room, NAME, '{"language": "fr"}')
        agents = [await another_agent(rooms, room)]
        os.kill(job_in(worker), signal.SIGKILL)
        agents.append(await another_agent(rooms, room, *agents))
        (replaced,) = said(worker, "job is replaced")
        assert replaced["silent"] < TTL
        assert re.fullmatch(rf"{NAME}-{room}-e\d+", agents[-1])
        assert told == []
        os.kill(job_in(worker), signal.SIGKILL)
        agents.append(await another_agent(rooms, room, *agents))
        (notice,) = told
        assert (notice["type"], notice["state"]) == ("captions", "interrupted")
        listed = await rooms.api.agent_dispatch.list_dispatch(room)
        ours = [one for one in listed if OURS in one.attributes]
        assert [one.id for one in listed if one.agent_name and one not in ours] == [first.id]
        assert [one.metadata for one in ours] == [first.metadata]

        # Who asked for it knows the first dispatch only.
        await rooms.api.agent_dispatch.delete_dispatch(first.id, room)
        async with asyncio.timeout(COMES):
            while await agents_in(rooms, room):  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.1)
    await rooms.delete(room)


@pytest.mark.usefixtures("worker")
async def test_a_room_that_opened_while_no_worker_ran_gets_its_agent(rooms: Rooms) -> None:
    async with guest_in(rooms, WAITING):
        await another_agent(rooms, WAITING)
    await rooms.delete(WAITING)


@pytest.mark.usefixtures("worker")
async def test_when_livekit_restarts_the_meeting_goes_on_in_the_room_that_is_made_anew(
    livekit: LiveKitServer, rooms: Rooms, room: str, data: Path
) -> None:
    async with guest_in(rooms, room):
        await rooms.dispatch(room, NAME)
        assert await another_agent(rooms, room) == f"{NAME}-{room}"
        sid = await sid_of(rooms, room)
        livekit.kill()
    livekit.restart()
    async with guest_in(rooms, room):
        await another_agent(rooms, room)
        assert await sid_of(rooms, room) != sid
        await asyncio.sleep(SETTLED)
        assert len(await agents_in(rooms, room)) == 1
        await rooms.delete(room)
    sealed = data / "transcripts" / meeting_key(f"{room}/{sid}")
    async with asyncio.timeout(COMES):
        while not any(sealed.glob("seal-*/seal.json")):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.1)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server; Debian's package is redis-server")
    with RedisServer() as server:
        yield server


async def test_of_two_workers_one_takes_over_from_a_hung_job_and_from_a_worker_that_ends(
    redis: RedisServer, rooms: Rooms, agent_name: str, tmp_path: Path, start_worker: StartWorker
) -> None:
    def start(name: str) -> WorkerProcess:
        return start_worker(
            name,
            GREFFIER_DATA_DIR=str(tmp_path / name),
            GREFFIER_DEFAULT_AGENTS="metadata",
            GREFFIER_STORES=redis.url,
        )

    room = f"room-of-{agent_name}"
    workers = await asyncio.gather(*(asyncio.to_thread(start, name) for name in ("one", "other")))
    async with guest_in(rooms, room):
        await rooms.dispatch(room, agent_name)
        agents = [await another_agent(rooms, room)]
        serves, pid = await the_one_that_serves(workers)
        os.kill(pid, signal.SIGSTOP)
        agents.append(await another_agent(rooms, room, *agents))

        serves, _ = await the_one_that_serves(workers)  # The hung one is killed by its worker.
        told = time.monotonic()
        os.kill(serves.pid, signal.SIGTERM)
        agents.append(await another_agent(rooms, room, *agents))
        await asyncio.to_thread(serves.wait, timeout=COMES)
        assert time.monotonic() - told < DRAIN_TIMEOUT
        assert list(await agents_in(rooms, room)) == agents[-1:]
    await rooms.delete(room)


async def the_one_that_serves(workers: Sequence[WorkerProcess]) -> tuple[WorkerProcess, int]:
    """Return the worker of the one job that is there, and that job's process id."""
    async with asyncio.timeout(COMES):
        while True:
            found = [(worker, pid) for worker in workers for pid in worker.job_pids()]
            if len(found) == 1:
                return found[0]
            await asyncio.sleep(0.1)
