"""Plugins as a user has them: installed by pip into a fresh environment, in a real room."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import psutil
import pytest
from livekit import rtc

from bench.child_process import ROOT
from bench.client_processes import PublisherProcess, SubscriberProcess
from bench.livekit_server import LiveKitServer
from bench.plugins import HOSTILE, HOSTILE_PACKAGE, PluginMeetings, Turns
from bench.rooms import Rooms
from bench.sealed_transcript import find_seals

EXAMPLE = ROOT / "examples" / "greffier-wordcount"
TIMEOUT = 30.0  # seconds for what takes a few

THREE = Turns(speakers=3, step=1.5, period=4.5, rounds=3)
ONCE = Turns(speakers=2, step=1.0, period=4.0, rounds=1)


@pytest.fixture(scope="module")
def meetings(
    livekit: LiveKitServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PluginMeetings]:
    pytest.importorskip("hatchling", reason="builds the packages: requirements-build.txt")
    directory = tmp_path_factory.mktemp("plugins")
    with PluginMeetings(livekit, directory, HOSTILE_PACKAGE, EXAMPLE) as meetings:
        yield meetings


Ask = Callable[[str], Awaitable[dict[str, int]]]


@pytest.fixture
def ask(rooms: Rooms, room: str) -> Ask:
    """Join the room, call a method of the agent, leave."""

    async def ask(method: str) -> dict[str, int]:
        guest = rtc.Room()
        await guest.connect(rooms.url, rooms.token(room, "guest"))
        try:
            answer = await guest.local_participant.perform_rpc(
                destination_identity=f"{PluginMeetings.AGENT}-{room}", method=method, payload=""
            )
        finally:
            await guest.disconnect()
        counted: dict[str, int] = json.loads(answer)
        return counted

    return ask


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not true():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.1)


async def sealed(meetings: PluginMeetings, room: str, *, count: int = 1) -> list[dict[str, Any]]:
    def documents() -> list[dict[str, Any]]:
        found = [seal.document() for seal in find_seals(meetings.data / "transcripts")]
        ours = [document for document in found if document["room"] == room]
        return sorted(ours, key=lambda document: str(document["started_at"]))

    await until(lambda: len(documents()) == count)
    return documents()


def failures(reader: SubscriberProcess) -> list[tuple[str, str]]:
    notices = [json.loads(line["text"]) for line in reader.received("status")]
    failed = [one for one in notices if one["type"] == "agent" and one["state"] == "failed"]
    return sorted((one["agent"], one["reason"]) for one in failed)


@asynccontextmanager
async def held(
    meetings: PluginMeetings, room: str, turns: Turns, *plugins: str, engine: str = "echo"
) -> AsyncIterator[tuple[SubscriberProcess, PublisherProcess]]:
    with ExitStack() as stack:
        meeting = meetings.hold(room, turns, engine, plugins)
        yield await asyncio.to_thread(stack.enter_context, meeting)


async def test_an_installed_plugin_answers_calls_and_its_note_is_in_the_transcript(
    meetings: PluginMeetings, rooms: Rooms, room: str, ask: Ask
) -> None:
    async with held(meetings, room, ONCE, "wordcount", engine="pocketsphinx") as (reader, people):
        await until(lambda: bool(reader.finals()))
        counted = await ask("wordcount.get")
        first = reader.finals()[0]
        assert counted[first["sender"].title()] == len(first["text"].split())
        await until(lambda: len(people.truth("speech_ended")) == ONCE.utterances)
        await rooms.delete(room)  # In the middle of the last words.
    (document,) = await sealed(meetings, room)
    said: Counter[str] = Counter()
    for segment in document["segments"]:
        said[segment["name"]] += len(segment["text"].split())
    (note,) = [note for note in document["notes"] if note["agent"] == "wordcount"]
    assert (note["kind"], note["data"]) == ("wordcount", said)


async def test_hostile_plugins_are_told_failed_and_captions_and_other_plugins_go_on(
    meetings: PluginMeetings, rooms: Rooms, room: str, ask: Ask
) -> None:
    hostile = (*HOSTILE, "spins-late")
    async with held(meetings, room, THREE, *hostile, "wordcount") as (reader, people):
        await until(lambda: len(failures(reader)) == len(hostile))
        # Something else of the metadata changes: none of them is started again.
        agents = {"transcriber": {"engine": "echo"}, "metadata": True, "wordcount": True}
        agents |= dict.fromkeys(hostile, True)
        await rooms.set_metadata(room, {"agents": agents, "title": "Weekly"})
        await until(lambda: not people.running)
        await until(lambda: len(reader.finals()) == THREE.utterances)
        assert sum((await ask("wordcount.get")).values()) == 5 * THREE.utterances
        assert failures(reader) == [
            ("raises", "RuntimeError"),
            ("sleeps", "TimeoutError"),
            ("spins", "TimeoutError"),
            ("spins-late", "TimeoutError"),
        ]
        (job,) = [psutil.Process(pid) for pid in meetings.worker.job_pids()]
    (document,) = await sealed(meetings, room)
    assert len(document["segments"]) == THREE.utterances
    await until(lambda: not job.is_running())  # A thread that spins ends with it.


@pytest.mark.alone
def test_hostile_plugins_do_not_make_captions_late(meetings: PluginMeetings, room: str) -> None:
    without = meetings.delays(f"{room}-1", THREE, "echo")
    hostile = meetings.delays(f"{room}-2", THREE, "echo", HOSTILE)
    assert hostile.percentile(95) <= 2 * without.percentile(95), f"{without}; with: {hostile}"


async def test_a_second_meeting_under_one_name_has_nothing_of_the_first(
    meetings: PluginMeetings, rooms: Rooms, room: str, ask: Ask
) -> None:
    for speakers in (2, 1):
        turns = Turns(speakers=speakers, step=0.5, period=4.0, rounds=1)
        async with held(meetings, room, turns, "wordcount") as (reader, people):
            await until(lambda: not people.running)
            await until(lambda: len(reader.finals()) == speakers)  # noqa: B023 - awaited here
            assert set(await ask("wordcount.get")) == {f"Speaker-{n + 1}" for n in range(speakers)}
        await rooms.delete(room)
    first, second = await sealed(meetings, room, count=2)
    assert first["meeting"] != second["meeting"]
    assert [one["name"] for one in first["speakers"]] == ["Speaker-1", "Speaker-2"]
    assert [one["name"] for one in second["speakers"]] == ["Speaker-1"]
    assert len(second["segments"]) == 1
    assert "speaker-2" not in json.dumps(second)
