"""A host dies: what another one makes of its journals, or of what Redis has of them.

What people saw is what an independent subscriber logged.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from bench.client_processes import SubscriberProcess
from bench.redis_server import RedisServer
from bench.rooms import Rooms
from bench.sealed_transcript import find_seals, wait_for_seal
from pipelines.transcript.line import Line

if TYPE_CHECKING:
    from tests.integration.conftest import StartPublisher, StartSubscriber, StartWorker

FINALS = 2
TIMEOUT = 60.0

Captions = set[tuple[str, str]]
"""(segment, text) of each."""


@pytest.fixture
def redis(tmp_path: Path, processes: ExitStack) -> RedisServer:
    return processes.enter_context(RedisServer(tmp_path / "redis"))


@dataclass(frozen=True)
class Meeting:
    """A room in which people speak and one reads."""

    rooms: Rooms
    room: str
    agent: str
    subscriber: SubscriberProcess
    start_worker: StartWorker
    start_publisher: StartPublisher

    def seen(self) -> Captions:
        finals = self.subscriber.finals()
        return {(one["attributes"]["lk.segment_id"], one["text"]) for one in finals}

    async def on_a_host_that_is_killed(self, **settings: str) -> None:
        """Hold the meeting on a first host until some finals were seen, then kill all of it."""
        first = self.start_worker("first", GREFFIER_ENGINE="pocketsphinx", **settings)
        await self.rooms.dispatch(self.room, self.agent)
        people = self.start_publisher(self.room)
        await until(lambda: len(self.subscriber.finals()) >= FINALS)
        first.kill()
        people.kill()


@pytest.fixture
async def meeting(  # noqa: PLR0917 - pytest gives fixtures by position
    rooms: Rooms,
    room: str,
    agent_name: str,
    start_worker: StartWorker,
    start_subscriber: StartSubscriber,
    start_publisher: StartPublisher,
) -> Meeting:
    await rooms.create(room, departure_timeout=60)
    return Meeting(rooms, room, agent_name, start_subscriber(room), start_worker, start_publisher)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not true():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.05)


def sealed(store: Path) -> Captions:
    document = wait_for_seal(store, timeout=TIMEOUT).document()
    captions = [(segment["id"], segment["text"]) for segment in document["segments"]]
    assert len(captions) == len(set(captions))
    return set(captions)


async def test_the_journal_of_a_host_that_is_gone_is_replayed_by_another_on_its_volume(
    meeting: Meeting, start_worker: StartWorker, tmp_path: Path
) -> None:
    await meeting.on_a_host_that_is_killed()
    await meeting.rooms.delete(meeting.room)
    start_worker("second", GREFFIER_RECOVER_INTERVAL="1", GREFFIER_CONTINUE_WITHIN="1")
    assert meeting.seen() <= sealed(tmp_path / "data" / "transcripts")


async def test_of_a_host_that_vanished_with_its_files_redis_has_what_people_saw(
    meeting: Meeting, start_worker: StartWorker, redis: RedisServer, tmp_path: Path
) -> None:
    vanished = tmp_path / "vanished"
    await meeting.on_a_host_that_is_killed(
        GREFFIER_STORES=redis.url, GREFFIER_DATA_DIR=str(vanished)
    )
    shutil.rmtree(vanished)
    in_redis = finals_in(redis)
    assert meeting.seen() <= in_redis  # Redis was well: nothing was shown before it had it.
    start_worker(
        "second",
        GREFFIER_STORES=redis.url,
        GREFFIER_RECOVER_INTERVAL="1",
        GREFFIER_CONTINUE_WITHIN="1",
        GREFFIER_VANISHED_AFTER="1",
        GREFFIER_LEASE_TTL="30",  # It takes the room over later than it is deleted.
    )
    transcripts = tmp_path / "data" / "transcripts"
    await asyncio.sleep(3)
    assert find_seals(transcripts) == []  # Its room is open: a job may take it over.
    await meeting.rooms.delete(meeting.room)
    assert sealed(transcripts) == in_redis


def finals_in(redis: RedisServer) -> Captions:
    with Redis.from_url(redis.url) as client:
        (stream,) = client.keys("greffier:*:lines")
        lines = [Line.decode(fields[b"line"]) for _, fields in client.xrange(stream)]
    return {(line.data["segment"], line.data["text"]) for line in lines if line.kind == "final"}
