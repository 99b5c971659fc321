"""A real livekit-server tells our receiver that a room is over: what no job sealed is sealed."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from agents.recovery import Recovery
from bench.child_process import ChildProcess
from bench.livekit_binary import LIVEKIT_SERVER
from bench.livekit_server import LiveKitServer, free_port
from bench.livekit_webhook import authorization, event_body
from bench.redis_server import RedisServer
from bench.rooms import Rooms
from pipelines.events import CaptionFinal
from pipelines.leases.open_leases import open_leases
from pipelines.settings import Settings
from pipelines.transcript.ledger import Ledger
from pipelines.transcript.stores.address import parse_addresses
from pipelines.transcript.stores.files import FilesStore
from pipelines.webhooks.receiver import create_app

NEVER = 600.0  # seconds until recovery would look by itself


class ReceiverProcess(ChildProcess):
    """``python -m pipelines.webhooks``."""

    def __init__(self, env: dict[str, str], *, port: int, data_dir: Path, log: Path) -> None:
        ours = {"GREFFIER_WEBHOOK_PORT": str(port), "GREFFIER_DATA_DIR": str(data_dir)}
        command = [sys.executable, "-m", "pipelines.webhooks"]
        super().__init__("webhook receiver", command, log=log, env={**env, **ours})
        self.url = f"http://127.0.0.1:{port}/livekit/webhook"

    def begin(self) -> None:
        self.start()
        self.wait_for_output("Uvicorn running on")


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def livekit(tmp_path: Path, port: int) -> Iterator[LiveKitServer]:
    """A server of this test's own, which posts its webhooks to ``port``."""
    if LIVEKIT_SERVER.find() is None:
        pytest.skip("no livekit-server; `python -m bench.livekit_binary` gets one")
    url = f"http://127.0.0.1:{port}/livekit/webhook"
    with LiveKitServer(tmp_path / "livekit", webhooks=[url]) as server:
        yield server


@pytest.fixture
def receiver(livekit: LiveKitServer, port: int, tmp_path: Path) -> Iterator[ReceiverProcess]:
    process = ReceiverProcess(
        livekit.env(), port=port, data_dir=tmp_path / "data", log=tmp_path / "receiver.log"
    )
    process.begin()
    yield process
    process.kill()


@pytest.fixture
def settings(livekit: LiveKitServer, tmp_path: Path) -> Settings:
    return Settings(
        livekit_url=livekit.url,
        livekit_api_key=livekit.api_key,
        livekit_api_secret=livekit.api_secret,
        data_dir=tmp_path / "data",
        recover_interval=NEVER,
    )


@asynccontextmanager
async def recovering(settings: Settings) -> AsyncIterator[None]:
    """Run what a worker runs beside its jobs."""
    recovery = Recovery(settings, open_leases(settings))
    recovery.start()
    try:
        yield
    finally:
        assert recovery._task
        recovery._task.cancel()
        await asyncio.wait({recovery._task})


async def leave_unsealed(settings: Settings, room: str, sid: str) -> str:
    """Journal a meeting as a job that was killed leaves it; return its id."""
    began = time.time()
    ledger = await Ledger.open(
        f"{room}-{sid}", 1, started_at=began, journal_dir=settings.journal_dir, stores=[]
    )
    opened = {"room": room, "room_sid": sid, "started_at": began}
    ledger.append("opened", opened, at=began)
    ledger.append_final(
        CaptionFinal(at=began, end=began + 1, segment="s", identity="ada", name="Ada", text="hello")
    )
    ledger.release()
    return ledger.meeting


async def until(true: Callable[[], bool], seconds: float = 40.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - what is waited for is a file
            await asyncio.sleep(0.05)


async def test_a_finished_room_is_sealed_also_if_the_receiver_was_killed_when_it_finished(
    livekit: LiveKitServer, receiver: ReceiverProcess, settings: Settings
) -> None:
    store = FilesStore(settings.store_dir)
    async with Rooms(livekit.url, livekit.api_key, livekit.api_secret) as rooms:
        first, second = [(await rooms.create(name)) for name in ("first", "second")]
        meetings = [await leave_unsealed(settings, one.name, one.sid) for one in (first, second)]
        sealed = [store.directory(meeting) / "seal-1" for meeting in meetings]
        await asyncio.to_thread(receiver.wait_for_output, "webhook taken")
        async with recovering(settings):
            await asyncio.sleep(3)  # Its first look, and time for one after room_started.
            assert not sealed[0].exists(), "the room is open"
            await rooms.delete(first.name)
            await until(sealed[0].exists)
            assert not sealed[1].exists()

            receiver.kill()
            await rooms.delete(second.name)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(receiver.begin)
            await until(sealed[1].exists)  # LiveKit sends it five times in 15 s.


async def test_nobody_but_livekit_can_nudge_and_a_replay_does_nothing(
    livekit: LiveKitServer, receiver: ReceiverProcess, settings: Settings
) -> None:
    body = event_body(room="weekly", event_id="EV_once")
    signed = authorization(body, livekit.api_key, livekit.api_secret)
    forged = authorization(body, livekit.api_key, "a-secret-of-32-characters-or-more")
    leases = open_leases(settings)

    async with aiohttp.ClientSession() as session:

        async def post(token: str, body: bytes = body) -> int:
            headers = {"authorization": token}
            async with session.post(receiver.url, data=body, headers=headers) as answer:
                return answer.status

        assert await post(forged) == 401
        assert await post(signed, event_body(room="another", event_id="EV_once")) == 401
        assert await leases.nudges(0.0) == []
        assert await post(signed) == 200
        (first,) = await leases.nudges(0.0)
        assert (first.room, first.kind) == ("weekly", "room_finished")
        receiver.kill()
        await asyncio.to_thread(receiver.begin)
        assert await post(signed) == 200
        assert await leases.nudges(0.0) == [first]
    await leases.aclose()


def test_receivers_of_several_hosts_share_what_was_taken_and_say_when_it_can_not_be_kept() -> None:
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server; Debian's package is redis-server")
    key, secret = "key", "a-secret-of-32-characters-or-more"
    body = event_body(room="weekly")
    headers = {"authorization": authorization(body, key, secret)}
    with RedisServer() as redis, ExitStack() as opened:
        settings = Settings(
            livekit_api_key=key,
            livekit_api_secret=SecretStr(secret),
            stores=parse_addresses(redis.url),
        )
        hosts = [opened.enter_context(TestClient(create_app(settings))) for _ in range(2)]
        for host in (*hosts, *hosts):
            assert host.post("/livekit/webhook", content=body, headers=headers).status_code == 200
        assert asyncio.run(nudged(settings)) == ["weekly"]
        redis.kill()
        assert hosts[0].post("/livekit/webhook", content=body, headers=headers).status_code == 503


async def nudged(settings: Settings) -> list[str]:
    leases = open_leases(settings)
    try:
        return [one.room for one in await leases.nudges(0.0)]
    finally:
        await leases.aclose()
