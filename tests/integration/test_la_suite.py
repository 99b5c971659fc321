"""Under La Suite Meet's names, as its backend dispatches, stops and starts twice.

A real livekit-server, a real S3 server, our workers started by the commands of La Suite's image.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, Protocol
from uuid import uuid4

import psutil
import pytest
from livekit import rtc

from bench.client_processes import PublisherProcess
from bench.la_suite import (
    BUCKET,
    COLLECTOR,
    TRANSCRIBER,
    MeetAgentProcess,
    MeetBackend,
    Recording,
    bucket_env,
)
from bench.livekit_server import LiveKitServer
from bench.rooms import Rooms
from bench.script import SCRIPTED_MEETING
from bench.versitygw import VersityGateway
from bench.versitygw_binary import VERSITYGW
from bench.voice_activity import measure, script

WRITTEN_WITHIN = 3.0  # seconds after the stop: the server keeps the agent in the room so long
LONG = 30.0  # seconds for what takes a few
CHAT = "the-secret-of-the-chat"


@dataclass(frozen=True)
class Stage:
    livekit: LiveKitServer
    s3: VersityGateway
    env: dict[str, str]
    directory: Path
    collector: MeetAgentProcess


@pytest.fixture(scope="module")
def stage(livekit: LiveKitServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A bucket, and a collector for all tests but those that end it."""
    if VERSITYGW.find() is None:
        pytest.skip("no versitygw; `python -m bench.versitygw_binary` gets one")
    directory = tmp_path_factory.mktemp("la-suite")
    with VersityGateway(directory / "s3") as s3:
        s3.create_bucket(BUCKET)
        env = {**livekit.env(), **bucket_env(s3), "GREFFIER_RECOVER_INTERVAL": "1"}
        own = {**env, "GREFFIER_DATA_DIR": str(directory / "data")}
        with MeetAgentProcess(COLLECTOR, own, log=directory / "collector.log") as collector:
            yield Stage(livekit, s3, env, directory, collector.wait_until_registered())


@pytest.fixture
def backend(rooms: Rooms, stage: Stage) -> MeetBackend:
    return MeetBackend(rooms, stage.s3)


@pytest.fixture
def room() -> str:
    """La Suite's rooms are called by a UUID."""
    return str(uuid4())


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(LONG):
        while not await true():  # noqa: ASYNC110 - it is in other processes
            await asyncio.sleep(0.1)


class Speaker:
    """Somebody who says one sentence again and again until they leave."""

    def __init__(self, stage: Stage, room: str, directory: Path, stack: ExitStack) -> None:
        script = directory / "script.json"
        clip = str(SCRIPTED_MEETING.parent / "05-james.ogg")
        line = {"at": 1.0, "identity": "james", "file": clip, "text": ""}
        speakers = [{"identity": "james", "name": "James Clerk Maxwell"}]
        script.write_text(json.dumps({"speakers": speakers, "utterances": [line]}))
        options = ("--script", str(script), "--rounds", "50", "--queue-ms", "20")
        self._process = PublisherProcess(stage.livekit.env(), room, *options, directory=directory)
        stack.enter_context(self._process)

    async def has_begun(self, sentences: int) -> None:
        """Return in the middle of the sentence of this number."""

        async def has_begun() -> bool:
            return len(self.began()) >= sentences

        await until(has_begun)
        await asyncio.sleep(1.0)

    async def leave(self) -> None:
        await asyncio.to_thread(self._process.stop)

    def began(self) -> list[float]:
        return [line["at"] for line in self._process.truth("speech_started")]


@pytest.fixture
def speak(stage: Stage, room: str, tmp_path: Path, processes: ExitStack) -> Callable[[], Speaker]:
    """Lets the speaker come into the room."""
    return lambda: Speaker(stage, room, tmp_path, processes)


class StartAgent(Protocol):
    """Starts one of La Suite's agents and waits until it is registered."""

    def __call__(self, name: str, log: str, **settings: str) -> MeetAgentProcess: ...


@pytest.fixture
def start_agent(stage: Stage, tmp_path: Path, processes: ExitStack) -> StartAgent:
    """Agents with one data directory of their own."""

    def start(name: str, log: str, **settings: str) -> MeetAgentProcess:
        env = {**stage.env, "GREFFIER_DATA_DIR": str(tmp_path / "data"), **settings}
        agent = MeetAgentProcess(name, env, log=tmp_path / log)
        return processes.enter_context(agent).wait_until_registered()

    return start


def spans(metadata: dict[str, Any], who: str = "james") -> list[tuple[float, float]]:
    """Return who spoke from when to when, in Unix seconds; each start has its end."""
    events = [one for one in metadata["events"] if one["participant_id"] == who]
    said = [one for one in events if one["type"].startswith("speech")]
    assert [one["type"] for one in said] == ["speech_start", "speech_end"] * (len(said) // 2)
    at = [datetime.fromisoformat(one["timestamp"]).timestamp() for one in said]
    return list(zip(at[::2], at[1::2], strict=True))


@pytest.fixture
async def guest(rooms: Rooms, room: str) -> AsyncIterator[rtc.Room]:
    """Somebody who says nothing, but writes and raises a hand."""
    guest = rtc.Room()
    attributes = {"room_role": "member"}
    token = rooms.token(room, "guest", name="", attributes=attributes, can_update_own_metadata=True)
    await guest.connect(rooms.url, token)
    yield guest
    await guest.disconnect()


async def test_a_recording_from_its_start_to_its_file(
    stage: Stage, backend: MeetBackend, room: str, guest: rtc.Room, speak: Callable[[], Speaker]
) -> None:
    recording = await backend.start_recording(room)
    assert await backend.wait_for_agent(recording) == f"{COLLECTOR}-{room}"
    (agent,) = await backend.agents(room)
    assert agent.metadata == recording.id
    allowed = agent.permission
    assert (allowed.hidden, allowed.can_subscribe) == (True, True)
    assert (allowed.can_publish, allowed.can_publish_data) == (False, False)

    speaker = speak()
    await guest.local_participant.send_text(CHAT, topic="lk.chat")
    legacy = json.dumps({"id": "1", "message": f"{CHAT} of old", "timestamp": 1})
    await guest.local_participant.publish_data(legacy.encode(), topic="lk-chat-topic")
    await guest.local_participant.set_attributes({"handRaisedAt": "2026-11-21T10:00:00Z"})
    await speaker.has_begun(2)
    await speaker.leave()
    await asyncio.sleep(1.0)
    await backend.stop_recording(recording)
    await backend.wait_for_file(recording, seconds=WRITTEN_WITHIN)

    metadata = backend.read(recording)
    people = {one["participantId"]: one["name"] for one in metadata["participants"]}
    assert people == {"guest": "guest", "james": "James Clerk Maxwell"}
    chats = [one["data"] for one in metadata["events"] if one["type"] == "chat_received"]
    assert sorted(chats) == [CHAT, f"{CHAT} of old"]
    said = spans(metadata)
    assert len(said) == len(speaker.began()) == 2
    (left,) = (one for one in metadata["events"] if one["type"] == "participant_disconnected")
    assert said[-1][1] <= datetime.fromisoformat(left["timestamp"]).timestamp()
    assert CHAT not in stage.collector.output()
    lines = (stage.directory / "data/transcripts").glob(f"recording-{recording.id}-*/lines/*")
    kinds = [
        json.loads(raw)["data"].get("kind")
        for path in lines
        for raw in path.read_text().splitlines()
    ]
    assert {"hand_raised", "role"} <= set(kinds)


async def test_speech_of_people_who_talk_at_once_is_found_when_it_was(
    stage: Stage, backend: MeetBackend, tmp_path: Path
) -> None:
    errors = await measure(stage.livekit, backend, script(3, 6, seed=2), tmp_path)
    assert (errors.missed, errors.false) == (0, 0)
    # A tenth of it where the machine is idle: `python -m bench.voice_activity`.
    assert max(abs(median(errors.onsets)), abs(median(errors.ends))) < 0.3


async def test_a_dispatch_without_a_recording_id_is_refused_with_an_error(
    stage: Stage, rooms: Rooms, backend: MeetBackend, room: str
) -> None:
    for metadata in ("", "../../somewhere", "{}"):
        await rooms.dispatch(room, COLLECTOR, metadata)
    await asyncio.sleep(2.0)
    assert await backend.agents(room) == []
    lines = [json.loads(one) for one in stage.collector.output().splitlines() if room in one]
    refused = [one for one in lines if one["message"] == "dispatch refused"]
    assert [one["level"] for one in refused] == ["ERROR"] * 3
    assert all("bare UUID" in one["cause"] and "somewhere" not in str(one) for one in refused)


async def test_two_recordings_back_to_back_have_two_collectors_and_two_right_files(
    backend: MeetBackend, room: str, speak: Callable[[], Speaker]
) -> None:
    first = await backend.start_recording(room)
    await backend.wait_for_agent(first)
    await backend.start_recording(room, recording=first.id)  # once more, by mistake
    speaker = speak()
    await speaker.has_begun(2)
    second = await backend.start_recording(room)
    await backend.wait_for_agent(second)
    assert sorted(one.metadata for one in await backend.agents(room)) == sorted(
        (first.id, second.id)
    )
    await backend.stop_recording(first)
    await backend.wait_for_file(first, seconds=WRITTEN_WITHIN)
    await speaker.has_begun(len(speaker.began()) + 1)
    await backend.stop_recording(second)
    await backend.wait_for_file(second, seconds=WRITTEN_WITHIN)
    before, after = spans(backend.read(first)), spans(backend.read(second))
    assert len(before) >= 2
    assert before[-1][0] <= after[-1][0]
    assert len(after) >= 1
    names = [{"participantId": "james", "name": "James Clerk Maxwell"}]
    assert backend.read(first)["participants"] == backend.read(second)["participants"] == names


def job_pid(stage: Stage, recording: Recording) -> int:
    """Return the process that has a file of the recording's journal open."""
    for one in stage.collector.processes():
        for fd in Path(f"/proc/{one.pid}/fd").iterdir():
            # Not psutil.open_files: a journal is linked to its name and unlinked from the first.
            if f"recording-{recording.id}" in str(fd.readlink()):
                return one.pid
    raise AssertionError("no job has the journal open")


async def test_after_a_kill_the_next_dispatch_goes_on_and_the_first_ones_end_stops_it(
    stage: Stage, backend: MeetBackend, room: str, speak: Callable[[], Speaker]
) -> None:
    recording = await backend.start_recording(room)
    await backend.wait_for_agent(recording)
    speaker = speak()
    await speaker.has_begun(2)
    os.kill(job_pid(stage, recording), signal.SIGKILL)
    again = await backend.start_recording(room, recording=recording.id)

    async def is_back() -> bool:
        return any(re.search(r"-e\d+$", one.identity) for one in await backend.agents(room))

    await until(is_back)
    await speaker.has_begun(len(speaker.began()) + 1)
    assert again.dispatch != recording.dispatch
    await backend.stop_recording(recording)
    await backend.wait_for_file(recording, seconds=WRITTEN_WITHIN)
    said = spans(backend.read(recording))
    assert len(said) >= len(speaker.began()) - 1  # One may have fallen into the gap.
    assert said[0][0] < speaker.began()[1] < said[-1][0]


async def test_a_file_whose_server_is_away_during_the_stop_is_written_when_it_is_back(
    stage: Stage, backend: MeetBackend, room: str, speak: Callable[[], Speaker]
) -> None:
    recording = await backend.start_recording(room)
    await backend.wait_for_agent(recording)
    await speak().has_begun(1)
    stage.s3.stop()
    try:
        await backend.stop_recording(recording)
        await asyncio.sleep(2.0)
    finally:
        stage.s3.start()
    await backend.wait_for_file(recording, seconds=LONG)
    assert len(spans(backend.read(recording))) == 1


async def test_the_file_of_a_worker_that_died_is_written_by_the_next_start(
    backend: MeetBackend,
    rooms: Rooms,
    room: str,
    speak: Callable[[], Speaker],
    start_agent: StartAgent,
) -> None:
    name = f"collector-{room[:8]}"
    first = start_agent(COLLECTOR, "first.log", METADATA_COLLECTOR_AGENT_NAME=name)
    recording_id = str(uuid4())
    dispatch = await rooms.dispatch(room, name, recording_id)
    recording = Recording(recording_id, room, dispatch.id)
    assert await backend.wait_for_agent(recording) == f"{name}-{room}"
    await speak().has_begun(2)
    children = [one.pid for one in first.processes()]
    first.kill()
    for child in children:
        if psutil.pid_exists(child):
            os.kill(child, signal.SIGKILL)
    await backend.stop_recording(recording)
    start_agent(COLLECTOR, "second.log", METADATA_COLLECTOR_AGENT_NAME=name)
    await backend.wait_for_file(recording, seconds=LONG)
    assert len(spans(backend.read(recording))) == 2


async def test_captions_start_once_however_often_they_are_asked_for_and_stop_with_their_dispatch(
    backend: MeetBackend,
    room: str,
    guest: rtc.Room,
    speak: Callable[[], Speaker],
    start_agent: StartAgent,
) -> None:
    echo = "echo=pipelines.testing:EchoSTT"
    start_agent(TRANSCRIBER, "captions.log", GREFFIER_ENGINE="echo", GREFFIER_ENGINE_PLUGINS=echo)
    legacy: list[tuple[str, str]] = []
    streams: list[str] = []
    guest.on(
        "transcription_received",
        lambda segments, who, _: legacy.extend((who.identity, one.text) for one in segments),
    )
    guest.register_text_stream_handler("lk.transcription", lambda _, who: streams.append(who))
    speak()
    first = await backend.start_subtitle(room)
    await backend.start_subtitle(room)

    async def has_come() -> bool:
        return bool(await backend.agents(room))

    async def has_gone() -> bool:
        return not await has_come()

    async def is_captioned() -> bool:
        return bool(legacy and streams)

    await until(has_come)
    await backend.start_subtitle(room)
    await until(is_captioned)
    (agent,) = await backend.agents(room)
    assert (agent.identity, agent.permission.hidden) == (f"{TRANSCRIBER}-{room}", True)
    assert agent.permission.can_publish_data
    assert {who for who, _ in legacy} | set(streams) == {"james"}
    await backend.stop_recording(Recording("", room, first))
    await until(has_gone)
