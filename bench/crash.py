"""Kill a process at a named place, let another one go on, and count what became of every final.

A job that dies is replaced by its worker; a worker that dies is started again, as a supervisor
would. The truth is what an independent subscriber logged: every final it saw before and after the
crash must be in the sealed transcript, once::

    python -m bench.crash --trials 5 --out out/crash.jsonl
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue
from typing import Any, Final

from bench.client_processes import PublisherProcess, SubscriberProcess
from bench.livekit_server import LiveKitServer
from bench.rooms import Rooms
from bench.script import load_script
from bench.worker_process import WorkerProcess
from pipelines.transcript.paths import meeting_key

PASSES: Final[Mapping[str, tuple[int, int]]] = {
    "replay": (1, 1),  # the longest one first: it takes a second worker
    "engine_final": (1, 2),
    "journal_write": (4, 14),
    "mid_line": (4, 14),
    "publish": (1, 2),
    "fsync": (2, 10),
    "mid_flush": (1, 3),
    "after_commit": (1, 3),
    "checkpoint": (1, 3),
    "seal": (1, 1),
}
"""Failpoint -> the passes one of which is the fatal one: the meeting is under way, or ends."""

UTTERANCES: Final = 3

WORKERS: Final = 3
"""Meetings at a time."""

_SOON: Final = 90.0  # seconds, on a busy machine


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of the finals of one meeting that was cut by one crash.

    Args:
        failpoint: ``name:n``.
        died: Whether a process of the worker died there.
        seen: Finals the subscriber saw.
        sealed: Finals in the last sealed transcript.
        lost: Segments seen and not sealed, or sealed with another text.
        doubled: Segments sealed more than once.
        seals: How many seals there are.
    """

    failpoint: str
    died: bool
    seen: int
    sealed: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    seals: int

    @property
    def kept(self) -> bool:
        """Whether the crash happened and cost nothing that anybody saw."""
        return self.died and self.seen > 0 and not self.lost and not self.doubled


class CrashRun:
    """One worker; its meetings, one after the other, are each cut by one crash.

    Args:
        server: A running server.
        directory: Takes logs and data.
        name: Of the worker's agent.
    """

    def __init__(self, server: LiveKitServer, directory: Path, name: str) -> None:
        self._server = server
        self._directory = directory
        self._name = name
        self._data = directory / "data"
        self._failpoint = directory / "failpoint"
        self._script = directory / "script.json"
        self._script.write_text(json.dumps(_short_script()))
        env = {
            **server.env(),
            "GREFFIER_AGENT_NAME": name,
            "GREFFIER_ENGINE": "echo",
            "GREFFIER_ENGINE_PLUGINS": "echo=pipelines.testing:EchoSTT",
            "GREFFIER_DATA_DIR": str(self._data),
            "GREFFIER_RECOVER_INTERVAL": "1",
            "GREFFIER_FAILPOINT": f"@{self._failpoint}",
        }
        self.worker = WorkerProcess(env, log=directory / "worker.log", name=name)

    async def trial(self, failpoint: str, *, number: int = 0) -> Trial:
        """Hold one meeting of which a process dies at ``failpoint`` (``name:n``)."""
        name = failpoint.partition(":")[0]
        room = f"crash-{failpoint.replace(':', '-')}-{number}"
        directory = self._directory / room
        directory.mkdir()
        server = self._server
        subscriber = SubscriberProcess(server.env(), room, directory=directory)
        people = self._people(room, directory)
        async with Rooms(server.url, server.api_key, server.api_secret) as rooms:
            made = await rooms.create(room, departure_timeout=60)
            meeting = meeting_key(f"{room}/{made.sid}")
            with subscriber, people:
                subscriber.wait_until_joined()
                self.worker.wait_until_registered()
                self._failpoint.write_text(failpoint)
                await rooms.dispatch(room, self._name)
                if name in {"seal", "replay"}:
                    await _until(_all_seen(subscriber))
                if name == "replay":
                    await self._kill_job_then_worker()
                if name != "seal":
                    await _until(self._has_died)
                    await _until(_all_seen(subscriber))
                await rooms.delete(room)
                await _until(lambda: _is_sealed(self._data, meeting))
        sealed = self._data / "transcripts" / meeting
        return _compare(failpoint, self._has_died(), subscriber.finals(), sealed)

    async def _kill_job_then_worker(self) -> None:
        """Let the worker die as it replays what a job left, and start it again."""
        (job,) = self.worker.job_pids()
        os.kill(job, signal.SIGKILL)
        await _until(lambda: not self.worker.running)
        self.worker.kill()
        self.worker.start()

    def _has_died(self) -> bool:
        return not self._failpoint.exists()

    def _people(self, room: str, directory: Path) -> PublisherProcess:
        """Return people who speak, again and again, once somebody listens."""
        script = ("--script", str(self._script), "--rounds", "50")
        return PublisherProcess(
            self._server.env(), room, *script, "--wait-subscribed", "240", directory=directory
        )


def _short_script() -> dict[str, Any]:
    """Make a meeting of 6 s from the scripted one: three people, partly at once."""
    script = load_script()
    utterances = [
        {"at": at, "identity": line.identity, "file": str(line.file), "text": line.text}
        for at, line in zip((0.0, 1.5, 3.0), script.utterances[1 : 1 + UTTERANCES], strict=True)
    ]
    speakers = [{"identity": one.identity, "name": one.name} for one in script.speakers]
    return {"speakers": speakers, "utterances": utterances}


def _all_seen(subscriber: SubscriberProcess) -> Callable[[], bool]:
    """Return what tells whether every utterance from now on was seen."""
    enough = len(subscriber.finals()) + UTTERANCES
    return lambda: len(subscriber.finals()) >= enough


def _is_sealed(data: Path, meeting: str) -> bool:
    """Tell whether there is a seal and nothing is left to seal."""
    journals = data.glob(f"journal/{meeting}/*.jsonl")
    return any(data.glob(f"transcripts/{meeting}/seal-*/seal.json")) and not any(journals)


async def _until(condition: Callable[[], bool]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_SOON):
            while not condition():  # noqa: ASYNC110 - files and processes give no event
                await asyncio.sleep(0.1)


def _compare(
    failpoint: str, died: bool, seen: Sequence[Mapping[str, Any]], directory: Path
) -> Trial:
    """Hold the last seal against what the subscriber logged."""
    seals = sorted(
        directory.glob("seal-*/transcript.json"),
        key=lambda path: int(path.parent.name.removeprefix("seal-")),
    )
    segments = json.loads(seals[-1].read_text())["segments"] if seals else []
    sealed = {(segment["id"], segment["text"]) for segment in segments}
    published = {(line["attributes"]["lk.segment_id"], line["text"]) for line in seen}
    times = Counter(segment["id"] for segment in segments)
    return Trial(
        failpoint=failpoint,
        died=died,
        seen=len(published),
        sealed=len(segments),
        lost=tuple(sorted(segment for segment, _ in published - sealed)),
        doubled=tuple(sorted(segment for segment, n in times.items() if n > 1)),
        seals=len(seals),
    )


def schedule(trials: int, seed: int) -> list[str]:
    """Choose the fatal pass of each failpoint in each of ``trials`` rounds."""
    chance = random.Random(seed)
    return [f"{name}:{chance.randint(*PASSES[name])}" for _ in range(trials) for name in PASSES]


def run(failpoints: Sequence[str], directory: Path, server: LiveKitServer) -> Iterator[Trial]:
    """Hold a meeting for each failpoint, some at a time, and yield what became of each."""
    free: Queue[CrashRun] = Queue()

    def hold(number: int, failpoint: str) -> Trial:
        crashes = free.get()
        try:
            return asyncio.run(crashes.trial(failpoint, number=number))
        finally:
            free.put(crashes)

    with ExitStack() as stack:
        for number in range(WORKERS):
            own = directory / f"crash-{number}"
            own.mkdir()
            crashes = CrashRun(server, own, own.name)
            stack.enter_context(crashes.worker)
            free.put(crashes)
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=WORKERS))
        yield from pool.map(hold, range(len(failpoints)), failpoints)


def main() -> int:
    """Run the crash bench from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.crash", description=__doc__)
    parser.add_argument("--trials", type=int, default=5, help="of each failpoint")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("out/crash.jsonl"))
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    kept = True
    with (
        tempfile.TemporaryDirectory(prefix="greffier-crash-") as directory,
        LiveKitServer() as server,
        options.out.open("a") as log,
    ):
        for trial in run(schedule(options.trials, options.seed), Path(directory), server):
            line = json.dumps({**asdict(trial), "kept": trial.kept, "seed": options.seed})
            print(line, flush=True)
            log.write(f"{line}\n")
            kept &= trial.kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
