"""People come and go 500 times in random order: what is left of them, and is the last one heard?

The meeting's job runs in this process, so that its tasks, objects and files can be counted: after
the first speaker has left, and again after the crowd (``bench/crowd.py``) has::

    python -m bench.joins
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import secrets
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psutil
from livekit import rtc
from livekit.agents import stt
from pydantic import SecretStr

from agents.audio import Listener
from agents.ear import Ear
from agents.mailbox import Mailbox
from bench.child_process import ChildProcess
from bench.client_processes import PublisherProcess, SubscriberProcess
from bench.json_lines import read_json_lines
from bench.livekit_server import LiveKitServer
from bench.local_job import local_job
from bench.rooms import Rooms
from bench.script import SCRIPTED_MEETING
from pipelines.settings import Settings

_SETTLE: Final = 30.0  # seconds in which everything of the crowd must be gone
_PER_JOIN: Final = 5.0  # seconds at most
_ALIKE: Final = 0.3  # seconds
_NOT_OURS: Final = ("asyncio_", "Dummy-")
_LIVE: Final = (Listener, Ear, Mailbox, stt.RecognizeStream, rtc.AudioStream)


@dataclass(frozen=True, slots=True)
class Census:
    """What there is in this process.

    Args:
        tasks: Asyncio tasks that are not done.
        objects: Kind -> how many: of listening, of recognition sessions, LiveKit's handles, and
            Python's threads by name, without those that ``asyncio.to_thread`` keeps.
        files: Open file descriptors.
        people: Participants that the meeting knows of.
    """

    tasks: int
    objects: dict[str, int]
    files: int
    people: int

    @classmethod
    def take(cls, room: rtc.Room) -> Census:
        """Count."""
        gc.collect()
        kinds = Counter(
            next(live.__name__ for live in _LIVE if isinstance(one, live))
            if isinstance(one, _LIVE)
            else "FfiHandle"
            for one in gc.get_objects()
            if isinstance(one, _LIVE) or (type(one).__name__ == "FfiHandle" and not one._disposed)  # noqa: SLF001 - no public way to see whether LiveKit's native part still holds it
        )
        # Dummies stand for a thread of LiveKit's own that has logged something, for good.
        names = (one.name for one in threading.enumerate())
        kinds.update(f"thread {name}" for name in names if not name.startswith(_NOT_OURS))
        files = psutil.Process().num_fds()
        people = len(room.remote_participants)
        tasks = len(asyncio.all_tasks())
        return cls(tasks, dict(sorted(kinds.items())), files, people)

    def exceeds(self, before: Census) -> dict[str, tuple[int, int]]:
        """Return what there is more of than ``before``: name -> (before, now)."""
        was, now = before.flat(), self.flat()
        return {name: (was.get(name, 0), n) for name, n in now.items() if n > was.get(name, 0)}

    def flat(self) -> dict[str, int]:
        """Return it as one mapping."""
        fields = asdict(self)
        return {**fields.pop("objects"), **fields}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a crowd left behind.

    Args:
        visits: How many joins there were.
        before: After the first speaker had left, before the crowd came.
        left: What there was more of after the crowd had left: name -> (before, then).
        first: Seconds of each span of the first speaker, as the engine heard it.
        last: The same of the last speaker, who said the same.
    """

    visits: int
    before: Census
    left: dict[str, tuple[int, int]]
    first: list[float]
    last: list[float]

    @property
    def alike(self) -> bool:
        """Whether the last speaker is heard like the first."""
        return len(self.first) == len(self.last) and all(
            abs(first - last) < _ALIKE for first, last in zip(self.first, self.last, strict=True)
        )


async def hold(
    server: LiveKitServer, directory: Path, *, joins: int, seed: int, at_once: int = 6
) -> Outcome:
    """Hold the meeting.

    Args:
        server: Where the room is.
        directory: Takes data and logs.
        joins: How many visits.
        seed: Of their order.
        at_once: How many are there at the same time, at most.
    """
    room = f"joins-{secrets.token_hex(3)}"
    settings = Settings(
        livekit_url=server.url,
        livekit_api_key=server.api_key,
        livekit_api_secret=SecretStr(server.api_secret),
        data_dir=directory / "data",
        engine="echo",
        allowed_engines=("echo",),
        engine_plugins=("echo=pipelines.testing:EchoSTT",),
    )
    crowd = ["--joins", str(joins), "--seed", str(seed), "--at-once", str(at_once)]
    async with (
        Rooms(server.url, server.api_key, server.api_secret) as rooms,
        local_job(rooms, room, settings) as job,
    ):
        with SubscriberProcess(server.env(), room, directory=directory) as reader:
            await asyncio.to_thread(reader.wait_until_joined)
            first = await _speak(server, directory, room, "first", reader)
            before = await _settled(job.room, lambda found: found.people == 1)
            visits = await _crowd(server, directory, room, crowd, joins * _PER_JOIN)
            after = await _settled(job.room, lambda found: not found.exceeds(before))
            last = await _speak(server, directory, room, "last", reader)
    return Outcome(visits, before, after.exceeds(before), first, last)


async def _speak(
    server: LiveKitServer, directory: Path, room: str, who: str, reader: SubscriberProcess
) -> list[float]:
    """Have somebody say one clip; return the seconds of each span of it."""
    script = directory / f"{who}.json"
    clip = str(SCRIPTED_MEETING.parent / "05-james.ogg")
    utterance = {"at": 0.0, "identity": who, "file": clip, "text": ""}
    speaker = {"identity": who, "name": who}
    script.write_text(json.dumps({"speakers": [speaker], "utterances": [utterance]}))
    options = ["--script", str(script), "--wait-subscribed", "30", "--linger", "2"]
    with PublisherProcess(server.env(), room, *options, directory=directory, name=who) as one:
        await asyncio.to_thread(one.wait, timeout=60)
    finals = [line["text"] for line in reader.finals() if line["sender"] == who]
    return [float(text.split()[3]) for text in finals]  # span 3 has 1.85 seconds


async def _crowd(
    server: LiveKitServer, directory: Path, room: str, options: list[str], seconds: float
) -> int:
    log = (directory / "crowd.jsonl").resolve()
    command = [sys.executable, "-m", "bench.crowd", "--room", room, "--log", str(log), *options]
    crowd = ChildProcess("crowd", command, log=directory / "crowd.log", env=server.env())
    with crowd:
        status = await asyncio.to_thread(crowd.wait, timeout=60 + seconds)
        # Not the status: livekit 1.1.21 aborts now and then when Python is finalised.
        if not read_json_lines(log, "over"):
            raise crowd.error(f"ended with status {status} in the middle")
    return len(read_json_lines(log, "visit"))


async def _settled(room: rtc.Room, accept: Callable[[Census], bool]) -> Census:
    """Return a census that is accepted, or the last one when time is over."""
    deadline = time.monotonic() + _SETTLE
    while not accept(found := Census.take(room)) and time.monotonic() < deadline:  # noqa: ASYNC110 - a census is taken, not told
        await asyncio.sleep(0.5)
    return found


def main() -> int:
    """Print what is left."""
    parser = argparse.ArgumentParser(prog="python -m bench.joins", description=__doc__)
    parser.add_argument("--joins", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="greffier-joins-") as directory,
        LiveKitServer(Path(directory)) as server,
    ):
        outcome = asyncio.run(hold(server, Path(directory), joins=options.joins, seed=options.seed))
    found: dict[str, Any] = {**asdict(outcome), "before": outcome.before.flat()}
    for name, value in found.items():
        print(f"{name}: {value}")
    return 0 if outcome.alike and not outcome.left else 1


if __name__ == "__main__":
    sys.exit(main())
