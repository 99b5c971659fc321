"""A meeting's job in this process: where a census of tasks and objects can be taken."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

from livekit import rtc
from livekit.agents import JobContext
from livekit.protocol.agent import Job

from agents.identity import EPOCH, JOB_KEY
from agents.job import MeetingJob
from agents.registry import load_specs
from bench.rooms import Rooms
from pipelines.settings import Settings
from pipelines.transcript.stores.open_stores import open_stores

IDENTITY = "greffier-local"


class LocalContext:
    """What the platform uses of LiveKit's ``JobContext``, without a worker around it."""

    def __init__(self, rooms: Rooms, job: Job) -> None:
        self.job = job
        self.api = rooms.api
        self.room = rtc.Room()
        self.local_participant_identity = IDENTITY
        attributes = {EPOCH: str(round(time.time() * 1000)), JOB_KEY: ""}
        accepted = SimpleNamespace(attributes=attributes)
        self._info = SimpleNamespace(accept_arguments=accepted)
        self._url = rooms.url
        self._token = rooms.token(job.room.name, IDENTITY, kind="agent", attributes=attributes)

    async def connect(self, *, encryption: rtc.E2EEOptions | None = None, **_: Any) -> None:
        """Join the room; every track is subscribed."""
        await self.room.connect(self._url, self._token, rtc.RoomOptions(encryption=encryption))

    def shutdown(self, reason: str = "") -> None:
        """Not needed: whoever made it stops it."""


@asynccontextmanager
async def local_job(
    rooms: Rooms, room_name: str, settings: Settings, *, metadata: str = ""
) -> AsyncIterator[LocalContext]:
    """Hold the meeting of ``room_name``, which is made if it is not there, until the exit.

    Args:
        rooms: Inside its own context.
        room_name: The room.
        settings: The worker's.
        metadata: The job's.
    """
    room = await rooms.create(room_name)
    context = LocalContext(rooms, Job(id="local", room=room, metadata=metadata))
    job = MeetingJob(cast("JobContext", context), settings, load_specs(), open_stores(settings))
    await job.start()
    try:
        yield context
    finally:
        await job.stop()
        await context.room.disconnect()
