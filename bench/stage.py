"""Everything a meeting needs on this machine, set up in order and taken down in reverse."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.client_processes import PublisherProcess, SubscriberProcess
from bench.livekit_binary import LIVEKIT_SERVER
from bench.livekit_server import LiveKitServer
from bench.rooms import Rooms, dispatch_to
from bench.worker_process import WorkerProcess

AGENT = "greffier"
LISTEN_TIMEOUT = 30.0
"""Seconds for the agent to come and subscribe to every microphone."""

_DEPARTURE = 2.0  # seconds without people after which the agent leaves and seals
_METADATA: Mapping[str, Any] = {"agents": {"transcriber": True, "metadata": True}}


@dataclass(frozen=True, slots=True)
class Stage:
    """A room with the agent dispatched to it and a reader in it; nobody speaks yet.

    Args:
        server: The running livekit-server.
        rooms: Its API, for tokens; `async with` it for more.
        worker: The registered worker.
        reader: The reader of captions.
        room: The room's name.
        logs: Directory of all logs.
        transcripts: The worker's files store; gone when the stage is.
    """

    server: LiveKitServer
    rooms: Rooms
    worker: WorkerProcess
    reader: SubscriberProcess
    room: str
    logs: Path
    transcripts: Path

    def people(self, *options: str) -> PublisherProcess:
        """Return the people who speak, not started; they wait until the agent listens."""
        wait = ("--wait-subscribed", str(LISTEN_TIMEOUT))
        return PublisherProcess(
            self.server.env(), self.room, *wait, *options, directory=self.logs, name="people"
        )


@contextmanager
def set_up(logs: Path, *, room: str, say: Callable[[str], None]) -> Iterator[Stage]:
    """Start livekit-server and worker, open the room, let the reader join; stop all on exit.

    Logs of an earlier run in ``logs`` are removed.

    Raises:
        ChildError: A process did not become ready.
        ProgramMissingError: There is no livekit-server and it can't be built.
    """
    for old in (*logs.glob("*.log"), *logs.glob("*.jsonl")):
        old.unlink()
    binary = LIVEKIT_SERVER.ensure(say)
    say("Starting livekit-server and the worker")
    with ExitStack() as stack:
        data = stack.enter_context(tempfile.TemporaryDirectory(prefix="greffier-"))
        server = stack.enter_context(LiveKitServer(logs, binary=binary))
        rooms = Rooms(server.url, server.api_key, server.api_secret)
        # Where LiveKit is, and where to keep what it hears: nothing of what will be said.
        settings = {
            "GREFFIER_AGENT_NAME": AGENT,
            "GREFFIER_DATA_DIR": data,
            "GREFFIER_DEPARTURE_TIMEOUT": str(_DEPARTURE),
        }
        worker = WorkerProcess({**server.env(), **settings}, log=logs / "worker.log")
        stack.enter_context(worker).wait_until_registered()
        asyncio.run(_open(rooms, room))
        reader = SubscriberProcess(server.env(), room, directory=logs, name="reader")
        stack.enter_context(reader).wait_until_joined()
        yield Stage(server, rooms, worker, reader, room, logs, Path(data) / "transcripts")


async def _open(rooms: Rooms, room: str) -> None:
    async with rooms:
        await rooms.create(room, metadata=_METADATA, agents=[dispatch_to(AGENT)])
