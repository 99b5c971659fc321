"""Rooms whose metadata is the switchboard, seen from outside.

By a subscriber in a process of its own, in the worker's log, in the transcript.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.client_processes import PublisherProcess, SubscriberProcess
from bench.livekit_server import LiveKitServer
from bench.rooms import Rooms, dispatch_to
from bench.script import SCRIPTED_MEETING
from bench.sealed_transcript import find_seals
from bench.worker_process import WorkerProcess

NAME = "switchboard"
SPEAKER = "James Clerk Maxwell"
TIMEOUT = 30.0  # seconds for what takes one or two

Metadata = Mapping[str, Any] | str

TRANSCRIBER = {"agents": {"transcriber": True}}


@dataclass(frozen=True)
class Stage:
    livekit: LiveKitServer
    worker: WorkerProcess
    store: Path
    script: Path


@contextmanager
def open_stage(livekit: LiveKitServer, directory: Path) -> Iterator[Stage]:
    """Yield one worker for many rooms, and the script of one who says one sentence."""
    script = directory / "script.json"
    clip = str(SCRIPTED_MEETING.parent / "05-james.ogg")
    line = {"at": 0.0, "identity": "james", "file": clip, "text": ""}
    speakers = [{"identity": "james", "name": SPEAKER}]
    script.write_text(json.dumps({"speakers": speakers, "utterances": [line]}))
    env = {
        **livekit.env(),
        "GREFFIER_AGENT_NAME": NAME,
        "GREFFIER_DATA_DIR": str(directory / "data"),
        "GREFFIER_DEPARTURE_TIMEOUT": "0.5",
        "GREFFIER_ENGINE": "echo",
        "GREFFIER_ENGINE_PLUGINS": "echo=pipelines.testing:EchoSTT",
        "GREFFIER_ALLOWED_ENGINES": "pocketsphinx",
    }
    with WorkerProcess(env, log=directory / "worker.log") as worker:
        worker.wait_until_registered()
        yield Stage(livekit, worker, directory / "data" / "transcripts", script)


class Held:
    """A room with the agent and a reader in it."""

    def __init__(
        self, stage: Stage, rooms: Rooms, room: str, directory: Path, stack: ExitStack
    ) -> None:
        self.room = room
        self.rooms = rooms
        self._stage = stage
        self._directory = directory
        self._stack = stack
        self.reader = self.join("reader")

    def join(self, name: str) -> SubscriberProcess:
        directory, env = self._directory, self._stage.livekit.env()
        reader = SubscriberProcess(env, self.room, directory=directory, name=name)
        return self._stack.enter_context(reader)

    def speak(self, rounds: int = 1) -> PublisherProcess:
        options = ("--script", str(self._stage.script), "--rounds", str(rounds), "--linger", "0.8")
        wait = ("--wait-subscribed", str(TIMEOUT))
        env = self._stage.livekit.env()
        people = PublisherProcess(env, self.room, *options, *wait, directory=self._directory)
        return self._stack.enter_context(people)

    async def say_it(self) -> None:
        """Say the sentence and stay for what becomes of it."""
        people = self.speak()
        await asyncio.to_thread(people.wait, timeout=TIMEOUT)
        assert people.truth("meeting_ended")

    async def set_metadata(self, metadata: Metadata) -> None:
        await self.rooms.set_metadata(self.room, metadata)

    def told(self, kind: str) -> list[dict[str, Any]]:
        """Return what the reader was told on ``greffier.status``, without the type."""
        return notices(self.reader, kind)

    async def wait_told(self, kind: str, **fields: str) -> None:
        await asyncio.to_thread(
            self.reader.wait_for,
            "status",
            lambda line: {"type": kind, **fields}.items() <= json.loads(line["text"]).items(),
        )

    async def wait_captions(self, more: int = 1) -> None:
        """Return when the reader has ``more`` finals than now."""
        wanted = len(self.reader.finals()) + more
        await until(lambda: len(self.reader.finals()) >= wanted)

    async def end(self) -> dict[str, Any]:
        """Have everybody leave; return the sealed document."""
        await asyncio.to_thread(self._stack.close)
        await until(lambda: self._sealed() != [])
        (document,) = self._sealed()
        return document

    def _sealed(self) -> list[dict[str, Any]]:
        documents = [seal.document() for seal in find_seals(self._stage.store)]
        return [document for document in documents if document["room"] == self.room]

    def log(self) -> str:
        """Return the worker's whole log, of every room so far."""
        return self._stage.worker.output()

    def logged_errors(self) -> list[dict[str, Any]]:
        """Return what the worker logged of this room as an error."""
        lines = [line for line in self.log().splitlines() if self.room in line]
        logged = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in logged if line["level"] in ("ERROR", "CRITICAL")]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not true():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.1)


def notices(reader: SubscriberProcess, kind: str) -> list[dict[str, Any]]:
    all_of_them = [json.loads(line["text"]) for line in reader.received("status")]
    return [notice for notice in all_of_them if notice.pop("type") == kind]


Hold = Callable[[Metadata], AbstractAsyncContextManager[Held]]


def holding(stage: Stage, rooms: Rooms, room: str, directory: Path) -> Hold:
    """Return what opens a room with the metadata, the agent and a reader; all leave at the end."""

    @asynccontextmanager
    async def hold(metadata: Metadata) -> AsyncIterator[Held]:
        with ExitStack() as stack:
            await rooms.create(room, metadata=metadata, agents=[dispatch_to(NAME)])
            yield Held(stage, rooms, room, directory, stack)

    return hold
