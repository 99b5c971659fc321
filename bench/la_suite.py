"""La Suite Meet, as far as an agent sees it: its dispatches, its bucket, its environment names.

What the backend does is done here as it does it: explicit dispatches by the agent's name, the
recording's id as bare metadata, and a stop by the dispatch's stored id.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from livekit.protocol.models import ParticipantInfo

from bench.child_process import ROOT
from bench.rooms import Rooms
from bench.versitygw import VersityGateway
from bench.worker_process import WorkerProcess

COLLECTOR: Final = "metadata-collector"
TRANSCRIBER: Final = "multi-user-transcriber"
BUCKET: Final = "meet-media-storage"

_SCRIPTS: Final = {COLLECTOR: "metadata_collector.py", TRANSCRIBER: "multi_user_transcriber.py"}
_POLL: Final = 0.02  # seconds


class MeetAgentProcess(WorkerProcess):
    """``python metadata_collector.py start``, or the transcriber's, as La Suite's image is started.

    Args:
        name: The agent's, ``metadata-collector`` or ``multi-user-transcriber``.
        env: LiveKit's three variables, and settings.
        log: File that takes its output.
    """

    def __init__(self, name: str, env: Mapping[str, str], *, log: Path) -> None:
        # A checkout's own modules, wherever the script is.
        super().__init__({"PYTHONPATH": str(ROOT), **env}, log=log, name=name)
        script = ROOT / "deploy/la-suite-meet" / _SCRIPTS[name]
        self.command = [sys.executable, str(script), "start"]


def bucket_env(server: VersityGateway) -> dict[str, str]:
    """Return La Suite's variables for its bucket, as its own development environment has them."""
    return {
        "AWS_S3_ENDPOINT_URL": server.endpoint.removeprefix("http://"),
        "AWS_S3_ACCESS_KEY_ID": server.access_key,
        "AWS_S3_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_S3_SECURE_ACCESS": "False",
        "AWS_STORAGE_BUCKET_NAME": BUCKET,
    }


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that the backend has started: its id, and the dispatch whose id it stored."""

    id: str
    room: str
    dispatch: str


class MeetBackend:
    """What La Suite's backend does.

    Args:
        rooms: The LiveKit server's API.
        server: Where the recordings' bucket is.
        collector: Name by which collectors are dispatched.
    """

    def __init__(self, rooms: Rooms, server: VersityGateway, *, collector: str = COLLECTOR) -> None:
        self._rooms = rooms
        self._server = server
        self._collector = collector

    async def start_recording(self, room: str, *, recording: str = "") -> Recording:
        """Dispatch a collector; LiveKit makes the room if nobody has."""
        recording = recording or str(uuid.uuid4())
        dispatch = await self._rooms.dispatch(room, self._collector, recording)
        return Recording(recording, room, dispatch.id)

    async def stop_recording(self, recording: Recording) -> None:
        """Delete the dispatch whose id was stored."""
        await self._rooms.api.agent_dispatch.delete_dispatch(
            dispatch_id=recording.dispatch, room_name=recording.room
        )

    async def start_subtitle(self, room: str) -> str:
        """Dispatch a transcriber, as every click on the captions' button does; returns its id."""
        return (await self._rooms.dispatch(room, TRANSCRIBER)).id

    async def agents(self, room: str) -> list[ParticipantInfo]:
        """List the agents in a room, hidden ones included."""
        people = await self._rooms.participants(room)
        return [one for one in people if one.kind == ParticipantInfo.AGENT]

    async def wait_for_agent(self, recording: Recording, *, seconds: float = 20.0) -> str:
        """Return the identity of the recording's collector, when it is in the room.

        Raises:
            TimeoutError: It did not come.
        """
        async with asyncio.timeout(seconds):
            while True:
                for agent in await self.agents(recording.room):
                    if agent.metadata == recording.id:
                        return agent.identity
                await asyncio.sleep(0.1)

    def path(self, recording: Recording) -> Path:
        """Return where the recording's metadata file is on the S3 server's disk."""
        return self._server.buckets / BUCKET / f"metadata/{recording.id}-metadata.json"

    async def wait_for_file(self, recording: Recording, *, seconds: float) -> float:
        """Return after how many seconds the file was there.

        Raises:
            TimeoutError: It was not.
        """
        began = time.monotonic()
        async with asyncio.timeout(seconds):
            while not self.path(recording).exists():  # noqa: ASYNC110 - a server's disk
                await asyncio.sleep(_POLL)
        return time.monotonic() - began

    def read(self, recording: Recording) -> dict[str, Any]:
        """Return the content of the file."""
        content: dict[str, Any] = json.loads(self.path(recording).read_bytes())
        return content
