"""The room's metadata is the switchboard: what it asks for is done, what is wrong with it is told.

Seen from outside: by a subscriber in a process of its own, in the worker's log, in the transcript.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from livekit import rtc

from bench.client_processes import PublisherProcess, SubscriberProcess
from bench.livekit_server import LiveKitServer
from bench.rooms import Rooms, dispatch_to
from bench.script import SCRIPTED_MEETING
from bench.sealed_transcript import find_seals
from bench.worker_process import WorkerProcess

NAME = "switchboard"
SPEAKER = "James Clerk Maxwell"
LIMIT = 524_288  # bytes that livekit-server takes
OFTEN = 50  # rounds: people who go on talking until they are stopped
TIMEOUT = 30.0  # seconds for what takes one or two

Metadata = Mapping[str, Any] | str

TRANSCRIBER = {"agents": {"transcriber": True}}
MEET_AI = {
    "meetingData": {
        "id": "V1StGXR8_Z5jdHi6B-myT",
        "name": "Planning",
        "agentId": "a1",
        "createdByUserId": "james",
        "status": "upcoming",
    },
    "agentData": {"id": "a1", "name": "Ada", "userId": "james", "instructions": "Be brief."},
}
LA_SUITE = {
    "recording_mode": "transcript",
    "recording_status": "started",
    "configuration": {"can_publish_sources": ["microphone"], "everyone_can_mute": False},
    "access_level": "restricted",
}


def as_large_as_can_be() -> str:
    empty = len(json.dumps({**TRANSCRIBER, "filler": ""}))
    return json.dumps({**TRANSCRIBER, "filler": "x" * (LIMIT - empty)})


@dataclass(frozen=True)
class Stage:
    livekit: LiveKitServer
    worker: WorkerProcess
    store: Path
    script: Path


@pytest.fixture(scope="module")
def stage(livekit: LiveKitServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One worker for all of these rooms, and the script of one who says one sentence."""
    directory = tmp_path_factory.mktemp("metadata")
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


@pytest.fixture
def hold(stage: Stage, rooms: Rooms, room: str, tmp_path: Path) -> Hold:
    """Open a room with the metadata, the agent and a reader; everybody leaves at the end."""

    @asynccontextmanager
    async def hold(metadata: Metadata) -> AsyncIterator[Held]:
        with ExitStack() as stack:
            await rooms.create(room, metadata=metadata, agents=[dispatch_to(NAME)])
            yield Held(stage, rooms, room, tmp_path, stack)

    return hold


@pytest.mark.parametrize(
    ("metadata", "meeting", "notes"),
    [
        (TRANSCRIBER, None, set()),
        (MEET_AI, "V1StGXR8_Z5jdHi6B-myT", {"participant_connected", "speech_start"}),
        (LA_SUITE, None, {"participant_connected", "speech_start"}),
        (as_large_as_can_be(), None, set()),
    ],
    ids=["greffier", "meetai", "la-suite-meet", "as-large-as-can-be"],
)
async def test_valid_metadata_of_any_backend_runs_the_agents_it_asks_for(
    hold: Hold,
    metadata: Metadata,
    meeting: str | None,
    notes: set[str],
) -> None:
    async with hold(metadata) as here:
        await here.say_it()
        await here.wait_told("captions", state="started", engine="echo")
        assert len(here.reader.finals()) == 1
        assert here.told("error") == []
        document = await here.end()
    assert here.logged_errors() == []
    assert [one["name"] for one in document["segments"]] == [SPEAKER]
    assert document["meeting"] == meeting or document["meeting"].startswith(f"{here.room}/RM_")
    kinds = {note["kind"] for note in document["notes"] if note["agent"] == "metadata"}
    assert notes <= kinds
    assert bool(notes) == bool(kinds)


async def test_an_empty_agents_object_runs_none(hold: Hold) -> None:
    async with hold({"agents": {}}) as here:
        await here.say_it()
        here.reader.wait_for("came", lambda line: line["identity"] == f"{NAME}-{here.room}")
        told = [json.loads(line["text"])["type"] for line in here.reader.received("status")]
        assert here.reader.received("caption") == []
        assert set(told) <= {"history"}  # That may be asked for in every room.
        document = await here.end()
    assert document["segments"] == document["notes"] == []
    assert here.logged_errors() == []


ELSEWHERE = "https://elsewhere.example"
REFUSED = {
    "broken-json": ('{"agents": {"transcriber"', "not valid JSON at line 1 column 26"),
    "wrong-type": ({"agents": {"transcriber": {"language": 7}}}, "agents.transcriber.language"),
    "unknown-agent": ({"agents": {"transcribr": {}}}, "agents.transcribr: no such agent"),
    "destination": (
        {"agents": {"metadata": {"deliver": ELSEWHERE}}},
        "agents.metadata.deliver: unknown key",
    ),
    "base-url": (
        {"agents": {"transcriber": {"engine": "openai", "base_url": ELSEWHERE}}},
        "agents.transcriber.base_url: unknown key",
    ),
    "import-path": (
        {"agents": {"transcriber": {"engine": "pipelines.testing:EchoSTT"}}},
        "agents.transcriber.engine",
    ),
}


@pytest.mark.parametrize(("metadata", "problem"), REFUSED.values(), ids=REFUSED.keys())
async def test_wrong_metadata_is_one_error_that_names_the_field_and_the_default_agents_run(
    hold: Hold,
    metadata: Metadata,
    problem: str,
) -> None:
    async with hold(metadata) as here:
        await here.wait_told("error", source="metadata")
        await here.wait_told("captions", state="started", engine="echo")
        (error,) = here.told("error")
        assert error["message"].startswith(f"room metadata: {problem}")
    (logged,) = here.logged_errors()
    assert (logged["message"], logged["cause"]) == ("metadata refused", error["message"])


async def test_captions_come_though_metadata_is_broken(hold: Hold) -> None:
    async with hold("[") as here:
        await here.say_it()
        await here.wait_told("error", source="metadata")
        assert len(here.reader.finals()) == 1


async def test_an_engine_that_the_operator_does_not_allow_is_refused_by_name(hold: Hold) -> None:
    metadata = {"agents": {"transcriber": {"engine": "elsewhere/large"}}}
    async with hold(metadata) as here:
        await here.say_it()
        await here.wait_told("captions", state="failed")
        (failed,) = here.told("captions")
        assert failed["reason"].startswith("engine 'elsewhere/large' is not allowed here")
        assert here.reader.received("caption") == []
    assert len(here.logged_errors()) == 1


async def test_an_agent_is_started_in_the_running_room(hold: Hold) -> None:
    async with hold({"agents": {}}) as here:
        here.speak(OFTEN)
        here.reader.wait_for("came", lambda line: line["name"] == SPEAKER)
        await here.set_metadata(TRANSCRIBER)
        await here.wait_told("captions", state="started", engine="echo")
        await here.wait_captions()


async def test_an_agent_is_stopped_in_the_running_room(hold: Hold) -> None:
    async with hold(TRANSCRIBER) as here:
        people = here.speak(OFTEN)
        await here.wait_captions()
        switched = time.time()
        await here.set_metadata({"agents": {"metadata": True}})
        await here.wait_told("captions", state="stopped")
        stopped = time.time()
        assert stopped - switched < 10  # seconds; what was being said is settled first
        said = len(people.truth("speech_ended"))
        await until(lambda: len(people.truth("speech_ended")) >= said + 2)
        captions = here.reader.received("caption")
        assert [line for line in captions if line["at"] > stopped + 1.0] == []


async def test_an_agent_takes_new_settings_in_the_running_room(hold: Hold) -> None:
    async with hold(TRANSCRIBER) as here:
        here.speak(OFTEN)
        await here.wait_captions()
        await here.set_metadata({"agents": {"transcriber": {"engine": "pocketsphinx"}}})
        await asyncio.to_thread(
            here.reader.wait_for, "caption", lambda line: "government" in line["text"]
        )
        document = await here.end()
    engines = [one["engine"].partition("/")[0] for one in document["segments"]]
    assert set(engines) == {"echo", "pocketsphinx"}
    assert engines == sorted(engines)  # First one, then the other.


async def test_what_is_wanted_of_the_summary_changes_in_the_running_room(
    hold: Hold, stage: Stage
) -> None:
    async with hold({"agents": {}, "summary": {"template": "decisions"}}) as here:
        await here.set_metadata({**TRANSCRIBER, "summary": {"deliver": ["team-mail"]}})
        await here.wait_told("captions", state="started")
        await here.end()
    (seal,) = [one for one in find_seals(stage.store) if one.document()["room"] == here.room]
    wanted = json.loads((seal.directory / "wanted.json").read_text())
    assert wanted == {"deliver": ["team-mail"]}


async def test_the_language_of_the_room_changes_in_the_running_room(hold: Hold) -> None:
    english = {"agents": {"transcriber": {"engine": "pocketsphinx"}}}
    async with hold(english) as here:
        await here.wait_told("captions", state="started")
        await here.set_metadata({**english, "language": "fr"})
        await here.wait_told("captions", state="failed")
        (failed,) = [one for one in here.told("captions") if one["state"] == "failed"]
        assert "understands English only, not 'fr'" in failed["reason"]


async def test_metadata_that_breaks_later_leaves_the_last_valid_settings(hold: Hold) -> None:
    async with hold(TRANSCRIBER) as here:
        here.speak(OFTEN)
        await here.wait_captions()
        await here.set_metadata('{"agents": {')
        await here.wait_told("error", source="metadata")
        await here.wait_captions(2)
        assert len(here.told("error")) == len(here.logged_errors()) == 1
        assert here.told("captions") == [{"state": "started", "engine": "echo"}]
        document = await here.end()
    # The default agents would have written some.
    assert {note["agent"] for note in document["notes"]} == {"transcriber"}


async def test_who_comes_after_metadata_is_mended_is_told_of_no_error(hold: Hold) -> None:
    async with hold({"agents": {"transcribr": {}}}) as here:
        await here.wait_told("error", source="metadata")
        early = here.join("early")
        await asyncio.to_thread(early.wait_for, "status", lambda line: "transcribr" in line["text"])
        await here.set_metadata({"agents": {"metadata": True}})
        await here.wait_told("captions", state="stopped")
        late = here.join("late")
        await asyncio.to_thread(late.wait_for, "status")
        assert notices(late, "error") == []


async def send_chat(here: Held, *texts: str) -> None:
    guest = rtc.Room()
    await guest.connect(here.rooms.url, here.rooms.token(here.room, "guest", name="Mary Shelley"))
    for text in texts:
        await guest.local_participant.send_text(text, topic="lk.chat")
    await asyncio.sleep(1.0)
    await guest.disconnect()


async def test_chat_is_kept_from_when_metadata_asks_for_it(hold: Hold) -> None:
    async with hold({"agents": {"metadata": True}}) as here:
        here.reader.wait_for("came", lambda line: line["identity"] == f"{NAME}-{here.room}")
        await send_chat(here, "not for the record")
        await here.set_metadata({"agents": {"metadata": {"chat": True}, "transcriber": True}})
        await here.wait_told("captions", state="started")
        await send_chat(here, "for the record")
        document = await here.end()
    kept = [note for note in document["notes"] if note["kind"] == "chat_received"]
    assert [note["data"]["text"] for note in kept] == ["for the record"]
    assert "not for the record" not in json.dumps(document)


async def test_no_log_tells_what_was_said_or_written_or_by_whom(hold: Hold) -> None:
    metadata = {"agents": {"metadata": {"chat": True}, "transcriber": {"engine": "pocketsphinx"}}}
    async with hold(metadata) as here:
        await here.wait_told("captions", state="started")
        await asyncio.gather(here.say_it(), send_chat(here, "a word in confidence"))
        document = await here.end()
    (said,) = [segment["text"] for segment in document["segments"]]
    assert "a word in confidence" in json.dumps(document)
    log = here.log()
    assert "meeting sealed" in log
    for private in (said, "government", "a word in confidence", SPEAKER, "Mary Shelley"):
        assert private not in log
