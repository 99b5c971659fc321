"""End-to-end encrypted rooms: a browser that speaks, the agent with its key, another one, or none.

A second browser without the key keeps every byte that LiveKit sends it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import time
import wave
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any, Self

import numpy as np
import pytest

from bench.audio_file import read_samples
from bench.livekit_server import LiveKitServer
from bench.rooms import Rooms, dispatch_to
from bench.script import SCRIPTED_MEETING
from bench.worker_process import WorkerProcess
from pipelines.events import CaptionState

NODE = Path(__file__).parents[1] / "node"
KEY = "a passphrase that people share"
EVENTS = ("joined", "caption", "status", "attributes", "packet")
AGENT = "encrypted"
SETTINGS = {
    "GREFFIER_AGENT_NAME": AGENT,
    "GREFFIER_DEPARTURE_TIMEOUT": "2",
    "GREFFIER_ENGINE": "echo",
    "GREFFIER_ENGINE_PLUGINS": "echo=pipelines.testing:EchoSTT",
}
SPEECH = 4.0  # seconds, in which somebody speaks for sure
SAID = b"seconds"  # EchoSTT's captions: "span 1 has 2.10 seconds"
TIMEOUT = 40.0  # seconds for what takes a few


class Browser:
    """People in pages of one browser (``tests/node/join_encrypted.mjs``); a context manager."""

    def __init__(self, node: str, browser: str, wav: Path, log: Path) -> None:
        config = json.dumps({"browser": browser, "wav": str(wav)})
        self._command = [node, "join_encrypted.mjs", config]
        self._log = log
        self._new: Queue[dict[str, Any]] = Queue()
        self._lines: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        with self._log.open("wb") as errors:
            self._process = subprocess.Popen(
                self._command,
                cwd=NODE,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self._reader = Thread(target=self._read)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            self._process.stdout.close()

    def bring(self, people: list[dict[str, Any]]) -> None:
        """Have those who are there leave, and others join."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(people).encode() + b"\n")
        self._process.stdin.flush()

    def wait(self, who: str, event: str, accept: Callable[[dict[str, Any]], bool]) -> None:
        """Return when ``who`` has received an ``event`` that ``accept`` takes."""
        deadline = time.monotonic() + TIMEOUT
        while not any(accept(line) for line in self.of(who, event)):
            try:
                self._new.get(timeout=max(0.01, deadline - time.monotonic()))
            except Empty:
                there = {event: len(self.of(who, event)) for event in EVENTS}
                problem = f"{who} has no such {event}, but {there}; {self._log.read_text()}"
                raise AssertionError(problem) from None

    def of(self, who: str, event: str) -> list[dict[str, Any]]:
        """Return what ``who`` has received."""
        return [line for line in self._lines if (line["who"], line["event"]) == (who, event)]

    def raw(self, who: str) -> bytes:
        """Return every byte of ``who``'s data channels so far."""
        packets = [one["packet"] for one in self.of(who, "packet")]
        return b"\n".join(base64.b64decode(packet) for packet in packets)

    def _read(self) -> None:
        assert self._process.stdout
        for raw in self._process.stdout:
            line = json.loads(raw)
            self._lines.append(line)
            self._new.put(line)


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of speech and two of silence, played again and again."""
    rate = 48_000
    speech = read_samples(SCRIPTED_MEETING.parent / "05-james.ogg", rate)
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.concatenate([speech, np.zeros(2 * rate, np.int16)]).tobytes())
    return path


class Meeting:
    """A room with the agent and two browsers: ``ada`` speaks, ``spy`` has no key."""

    def __init__(self, browser: Browser, room: str, data: Path) -> None:
        self._browser = browser
        self._room = room
        self._data = data

    def wait(self, who: str, event: str, accept: Callable[[dict[str, Any]], bool]) -> None:
        """Return when ``ada`` or ``spy`` has received an ``event`` that ``accept`` takes."""
        self._browser.wait(f"{who} {self._room}", event, accept)

    def wait_told(self, who: str, state: CaptionState) -> dict[str, Any]:
        """Return the notice of a state of the captions, when ``who`` has received it."""
        self.wait(who, "status", lambda line: json.loads(line["text"]).get("state") == state)
        return next(one for one in self.told(who) if one.get("state") == state)

    def told(self, who: str) -> list[dict[str, Any]]:
        """Return what ``who`` was told on ``greffier.status``."""
        return [json.loads(line["text"]) for line in self._of(who, "status")]

    def captions(self, who: str) -> list[str]:
        """Return the texts that ``who`` was shown."""
        return [line["text"] for line in self._of(who, "caption")]

    def raw(self, who: str) -> bytes:
        """Return every byte that LiveKit sent to ``who``'s data channels so far."""
        return b"\n".join(base64.b64decode(line["packet"]) for line in self._of(who, "packet"))

    def on_disk(self) -> bytes:
        """Return every byte that the worker has written of the meeting."""
        files = (path for path in self._data.rglob(f"{self._room}*/**/*") if path.is_file())
        return b"\n".join(path.read_bytes() for path in files)

    def _of(self, who: str, event: str) -> list[dict[str, Any]]:
        return self._browser.of(f"{who} {self._room}", event)


@pytest.fixture(scope="module")
def data(livekit: LiveKitServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of a worker, which has no key of its own."""
    directory = tmp_path_factory.mktemp("encryption")
    env = {**livekit.env(), **SETTINGS, "GREFFIER_DATA_DIR": str(directory / "data")}
    with WorkerProcess(env, log=directory / "worker.log") as worker:
        worker.wait_until_registered()
        yield directory / "data"
        worker.kill()  # What it would still settle and seal is not asked for here.


@pytest.fixture(scope="module")
def people(node: str, browser: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    directory = tmp_path_factory.mktemp("browser")
    wav = write_wav(directory / "speech.wav")
    with Browser(node, browser, wav, directory / "browser.log") as people:
        yield people


Hold = Callable[[str, str], Awaitable[Meeting]]


@pytest.fixture
def hold(rooms: Rooms, room: str, data: Path, people: Browser) -> Hold:
    """Open the room with the key of the people in it, and the agent's in its job's metadata."""

    async def hold(key: str, agent_key: str) -> Meeting:
        metadata = {"agents": {"transcriber": {}, "metadata": True}}
        job = json.dumps({"e2eeKey": agent_key}) if agent_key else ""
        await rooms.create(room, metadata=metadata, agents=[dispatch_to(AGENT, job)])
        people.bring(
            [
                {
                    "name": f"{who} {room}",
                    "url": rooms.url,
                    "token": rooms.token(room, who),
                    "key": key if who == "ada" else "",
                    "speaks": who == "ada",
                }
                for who in ("spy", "ada")
            ]
        )
        return Meeting(people, room, data)

    return hold


def write_wav(path: Path) -> Path:
    """Write two seconds of speech and two of silence; the browser plays it again and again."""
    rate = 48_000
    speech = read_samples(SCRIPTED_MEETING.parent / "05-james.ogg", rate)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.concatenate([speech, np.zeros(2 * rate, np.int16)]).tobytes())
    return path


async def test_what_is_not_encrypted_is_in_the_bytes_of_everybody_and_on_the_disk(
    hold: Hold,
) -> None:
    meeting = await hold("", "")
    meeting.wait("spy", "caption", is_final)
    assert SAID in meeting.raw("spy")
    assert b"lk.transcription" in meeting.raw("spy")
    assert SAID in meeting.on_disk()


async def test_with_the_shared_key_captions_are_for_those_who_have_it_and_for_no_disk(
    hold: Hold,
) -> None:
    meeting = await hold(KEY, KEY)
    meeting.wait("ada", "caption", is_final)
    meeting.wait_told("ada", CaptionState.NOT_KEPT)
    assert len(meeting.raw("spy")) > 500, "it was sent what others are sent"
    assert not meeting.captions("spy")
    assert not meeting.told("spy")
    for plain in (SAID, b"lk.transcription", b"greffier.status", b"not kept"):
        assert plain not in meeting.raw("spy")
    assert not meeting.on_disk()


async def test_without_a_key_the_room_is_told_and_no_engine_is_asked(hold: Hold) -> None:
    meeting = await hold(KEY, "")
    notice = meeting.wait_told("ada", CaptionState.ENCRYPTED)
    assert notice["reason"] == "the agent has no key"
    await asyncio.sleep(SPEECH)
    assert not meeting.captions("ada") + meeting.captions("spy")
    assert SAID not in meeting.raw("spy") + meeting.on_disk()


async def test_with_another_key_it_is_told_and_nothing_comes_of_the_noise(hold: Hold) -> None:
    meeting = await hold(KEY, "another key")

    def told(line: dict[str, Any]) -> bool:
        why = line["attributes"].get("greffier.captions", "")
        return bool(why == "unavailable: end-to-end encrypted: the agent's key is not theirs")

    meeting.wait("ada", "attributes", told)
    await asyncio.sleep(SPEECH)
    assert not meeting.captions("ada") + meeting.captions("spy")
    assert SAID not in meeting.raw("spy") + meeting.on_disk()


def is_final(line: dict[str, Any]) -> bool:
    return bool(line["attributes"]["lk.transcription_final"] == "true")
