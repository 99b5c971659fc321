"""Real parts for the tests: livekit-server, our worker, people who speak, a reader of captions."""

from __future__ import annotations

import fcntl
import re
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from bench.client_processes import PublisherProcess, SubscriberProcess
from bench.livekit_binary import LIVEKIT_SERVER
from bench.livekit_server import LiveKitServer
from bench.redis_server import RedisServer
from bench.rooms import Rooms
from bench.worker_process import WorkerProcess
from tests.integration.switchboard_rooms import Hold, Stage, holding, open_stage

_HERE = Path(__file__).parent
_NODE = _HERE.parent / "node"
_LOCK = "package-lock.json"
_CLIENT = _HERE.parents[1] / "clients/js"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")

REDIS_PASSWORD = "a-pass-word"
"""Of ``redis_server``: nothing may show it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this directory ``integration``."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker("integration")


@pytest.fixture(scope="session")
def livekit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitServer]:
    """One livekit-server for all tests; a test that stops it starts one of its own."""
    if LIVEKIT_SERVER.find() is None:
        pytest.skip("no livekit-server; `python -m bench.livekit_binary` gets one")
    with LiveKitServer(tmp_path_factory.mktemp("livekit")) as server:
        yield server


@pytest.fixture
async def rooms(livekit: LiveKitServer) -> AsyncIterator[Rooms]:
    """The server's API."""
    async with Rooms(livekit.url, livekit.api_key, livekit.api_secret) as rooms:
        yield rooms


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    """One Redis for all tests of a module; they leave it alone."""
    with RedisServer(password=REDIS_PASSWORD) as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis to stop and to pause."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def room(request: pytest.FixtureRequest) -> str:
    """Name of a room that no other test has; nobody has made it."""
    test = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:40].strip("-")
    return f"{test}-{secrets.token_hex(3)}"


@pytest.fixture
def agent_name() -> str:
    """Name of an agent that no worker of another test has."""
    return f"agent-{secrets.token_hex(3)}"


class StartWorker(Protocol):
    """Starts a worker and waits until it is registered.

    ``settings`` are more variables of its environment; they win over those of the fixture.
    """

    def __call__(self, name: str = "worker", **settings: str) -> WorkerProcess: ...


class StartSubscriber(Protocol):
    """Starts a reader of captions and waits until it is in the room."""

    def __call__(self, room: str, name: str = "subscriber") -> SubscriberProcess: ...


class StartPublisher(Protocol):
    """Starts people who speak; ``options`` are of the publisher's command line."""

    def __call__(self, room: str, *options: str, name: str = "publisher") -> PublisherProcess: ...


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    """Stops, last started first, what the test started."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def start_worker(
    livekit: LiveKitServer, agent_name: str, tmp_path: Path, processes: ExitStack
) -> StartWorker:
    """Workers of ``agent_name`` that share one data directory, ``tmp_path / "data"``."""

    def start(name: str = "worker", **settings: str) -> WorkerProcess:
        env = {
            **livekit.env(),
            "GREFFIER_AGENT_NAME": agent_name,
            "GREFFIER_DATA_DIR": str(tmp_path / "data"),
            "GREFFIER_DEPARTURE_TIMEOUT": "2",
            **settings,
        }
        worker = WorkerProcess(env, log=tmp_path / f"{name}.log", name=name)
        return processes.enter_context(worker).wait_until_registered()

    return start


@pytest.fixture
def start_subscriber(
    livekit: LiveKitServer, tmp_path: Path, processes: ExitStack
) -> StartSubscriber:
    """Readers of captions."""

    def start(room: str, name: str = "subscriber") -> SubscriberProcess:
        reader = SubscriberProcess(livekit.env(), room, directory=tmp_path, name=name)
        return processes.enter_context(reader).wait_until_joined()

    return start


@pytest.fixture
def start_publisher(livekit: LiveKitServer, tmp_path: Path, processes: ExitStack) -> StartPublisher:
    """People who speak; by default the scripted meeting of ``bench/speech``."""

    def start(room: str, *options: str, name: str = "publisher") -> PublisherProcess:
        people = PublisherProcess(livekit.env(), room, *options, directory=tmp_path, name=name)
        return processes.enter_context(people)

    return start


@pytest.fixture(scope="session")
def node() -> str:
    """Node.js with the packages of tests/node installed."""
    found, _ = _node_and_npm()
    _install_packages(_NODE)
    return found


@pytest.fixture(scope="session")
def client_module() -> Path:
    """Our module for browsers, built: its directory."""
    _, npm = _node_and_npm()
    _install_packages(_CLIENT)
    with _locked(_CLIENT):
        subprocess.run([npm, "run", "--silent", "build"], cwd=_CLIENT, check=True)
    return _CLIENT


def _node_and_npm() -> tuple[str, str]:
    found, npm = shutil.which("node"), shutil.which("npm")
    if not found or not npm:
        pytest.skip("needs Node.js 20 or newer with npm on PATH")
    return found, npm


def _install_packages(directory: Path) -> None:
    _, npm = _node_and_npm()
    installed, wanted = directory / "node_modules/.package-lock.json", directory / _LOCK
    with _locked(directory):
        if installed.exists() and installed.stat().st_mtime >= wanted.stat().st_mtime:
            return
        install = subprocess.run(
            [npm, "ci"], cwd=directory, capture_output=True, text=True, check=False
        )
    if install.returncode:
        pytest.skip(f"needs `npm ci` in {directory}, which failed: {install.stderr[-300:]}")


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep the tests of other processes from the directory meanwhile."""
    with (directory / _LOCK).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def browser() -> str:
    """The path of a Chromium."""
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if not found:
        pytest.skip(f"needs a browser on PATH, one of {_BROWSERS}: apt-get install chromium")
    return found


@pytest.fixture(scope="module")
def switchboard(
    livekit: LiveKitServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """One worker for all rooms of a module whose metadata asks for this or that."""
    with open_stage(livekit, tmp_path_factory.mktemp("metadata")) as stage:
        yield stage


@pytest.fixture
def hold_room(switchboard: Stage, rooms: Rooms, room: str, tmp_path: Path) -> Hold:
    """Opens a room with the metadata, the agent and a reader; everybody leaves at the end."""
    return holding(switchboard, rooms, room, tmp_path)
