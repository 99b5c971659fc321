"""Kill the job at a named place, let a new job take over, and count what became of every final.

The truth is what an independent subscriber logged: every final it saw before and after the crash
must be in the sealed transcript, once::

    python -m bench.crash --trials 5 --out out/crash.jsonl
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.client_processes import PublisherProcess, SubscriberProcess
from bench.livekit_server import LiveKitServer
from bench.rooms import Rooms
from bench.script import load_script
from bench.worker_process import WorkerProcess

PASSES: Final[Mapping[str, tuple[int, int]]] = {
    "engine_final": (1, 2),
    "journal_write": (4, 14),
    "mid_line": (4, 14),
    "publish": (1, 2),
    "fsync": (2, 10),
    "mid_flush": (1, 3),
    "after_commit": (1, 3),
    "checkpoint": (1, 3),
    "seal": (1, 1),
    "replay": (1, 1),
}
"""Failpoint -> the passes one of which is the fatal one: the meeting is under way, or ends."""

UTTERANCES: Final = 3

AT_THE_END: Final = frozenset({"seal", "replay"})
"""Failpoints that are passed only when the meeting ends."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of the finals of one meeting that was cut by one crash.

    Args:
        failpoint: ``name:n`` as given to the first worker.
        died: Whether a process of the first worker died by SIGKILL.
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
    """Meetings on one livekit-server, each cut by one crash.

    Args:
        server: A running server.
        directory: Takes logs and data.
    """

    def __init__(self, server: LiveKitServer, directory: Path) -> None:
        self._server = server
        self._directory = directory
        self._script = directory / "script.json"
        self._script.write_text(json.dumps(_short_script()))

    async def trial(self, failpoint: str, *, number: int = 0) -> Trial:
        """Hold one meeting whose first job dies at ``failpoint`` (``name:n``)."""
        room = f"crash-{failpoint.replace(':', '-')}-{number}"
        directory = self._directory / room
        directory.mkdir()
        server = self._server
        env = {
            **server.env(),
            "GREFFIER_AGENT_NAME": room,  # two meetings at a time: each has workers of its own
            "GREFFIER_ENGINE": "pocketsphinx/en-us",
            "GREFFIER_DATA_DIR": str(directory / "data"),
            "GREFFIER_RECOVER_INTERVAL": "1",
        }
        at_the_end = failpoint.partition(":")[0] in AT_THE_END
        async with Rooms(server.url, server.api_key, server.api_secret) as rooms:
            await rooms.create(room, departure_timeout=60)
            with SubscriberProcess(server.env(), room, directory=directory) as subscriber:
                subscriber.wait_until_joined()
                armed = {**env, "GREFFIER_FAILPOINT": failpoint}
                first = WorkerProcess(armed, log=directory / "first.log", name="first worker")
                with first:
                    first.wait_until_registered()
                    await rooms.dispatch(room, room)
                    fatal = _all_seen(subscriber) if at_the_end else lambda: _has_died(first)
                    self._speak(room, directory, "before", until=fatal)
                    if at_the_end:
                        await rooms.delete(room)
                        await _until(lambda: _has_died(first), seconds=30)
                    died = _has_died(first)
                    first.kill()
                second = WorkerProcess(env, log=directory / "second.log", name="second worker")
                with second:
                    second.wait_until_registered()
                    if not at_the_end:
                        await rooms.dispatch(room, room)
                        self._speak(room, directory, "after", until=_all_seen(subscriber))
                        await rooms.delete(room)
                    data = directory / "data"
                    await _until(lambda: _is_sealed(data), seconds=60)
        return _compare(failpoint, died, subscriber.finals(), data)

    def _speak(self, room: str, directory: Path, name: str, *, until: Callable[[], bool]) -> None:
        """Let people speak to the end, or until ``until``."""
        publisher = PublisherProcess(
            self._server.env(),
            room,
            *("--script", str(self._script), "--linger", "30"),
            directory=directory,
            name=name,
        )
        with publisher:
            deadline = time.monotonic() + 90
            while publisher.running and not until() and time.monotonic() < deadline:
                time.sleep(0.1)


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


def _has_died(worker: WorkerProcess) -> bool:
    """Tell whether a job of the worker, or the worker itself, was killed."""
    return worker.returncode is not None or "non-zero exit code -9" in worker.output()


def _is_sealed(data: Path) -> bool:
    """Tell whether there is a seal and nothing is left to seal."""
    journals = (data / "journal").glob("*/*.jsonl")
    return any(data.glob("transcripts/*/seal-*/seal.json")) and not any(journals)


async def _until(condition: Callable[[], bool], *, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - files and processes give no event
                await asyncio.sleep(0.1)


def _compare(failpoint: str, died: bool, seen: Sequence[Mapping[str, Any]], data: Path) -> Trial:
    """Hold the last seal against what the subscriber logged."""
    seals = sorted(
        data.glob("transcripts/*/seal-*/transcript.json"),
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
    """Hold a meeting for each failpoint, three at a time, and yield what became of each."""
    crashes = CrashRun(server, directory)

    def hold(number: int, failpoint: str) -> Trial:
        return asyncio.run(crashes.trial(failpoint, number=number))

    with ThreadPoolExecutor(max_workers=3) as pool:
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
