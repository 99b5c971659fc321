"""How soon the agent is back: from the death of its job, or of its worker, to its first audio.

A room of its own for each trial; after each, an independent client looks for ghosts. Every third
time before one of ours a bare agent is killed and dispatched again by hand, which is the least that
LiveKit takes::

    python -m bench.comeback --trials 60 --out out/comeback.jsonl
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, Final, Literal

import psutil
from livekit import rtc

from bench.bare_agent import NAME as BARE
from bench.caption_delay import percentile
from bench.child_process import ROOT, ChildError
from bench.installed_worker import InstalledWorker, make_environment
from bench.json_lines import read_json_lines
from bench.livekit_server import LiveKitServer
from bench.microphone import Microphone
from bench.redis_server import RedisServer
from bench.rooms import Rooms
from bench.worker_process import WorkerProcess

Case = Literal["bare", "job", "worker", "job, no redis", "worker, no redis"]

AGENT: Final = "greffier"
STOPWATCH: Final = ROOT / "bench" / "stopwatch"
COMES: Final = 60.0
"""Seconds after which an agent is taken not to come at all."""
GHOST: Final = 3.0
"""Seconds after which who is dead must be gone from the room; by itself it goes after 20."""

READY: Final = 6.0
"""Seconds in which a worker starts the process of its next job; it takes 2 on an idle machine."""

BARE_EVERY: Final = 3
"""Trials of ours to one of the bare agent."""

_POLL: Final = 0.01


@dataclass(frozen=True, slots=True)
class Trial:
    """One death.

    Args:
        case: What died.
        seconds: From the SIGKILL to the first audio of who came after; None: nobody came.
        agents: Who was in the room ``GHOST`` seconds later; 1 is right.
        load: Average of the machine's last minute.
    """

    case: Case
    seconds: float | None
    agents: int
    load: float


class BareWorker(WorkerProcess):
    """``python -m bench.bare_agent start``."""

    def __init__(self, env: Mapping[str, str], *, log: Path) -> None:
        super().__init__(env, log=log, name="bare worker")
        self.command = [sys.executable, "-m", "bench.bare_agent", "start"]


class Trials:
    """Trials on one livekit-server with the workers that are there.

    Args:
        livekit: Runs.
        environment: Has Greffier and the stopwatch installed.
        directory: Takes logs.
        redis: Where leases are; without it, in files.
        workers: How many of ours.
    """

    def __init__(
        self,
        livekit: LiveKitServer,
        environment: Path,
        directory: Path,
        *,
        redis: RedisServer | None,
        workers: int,
    ) -> None:
        self._livekit = livekit
        self._environment = environment
        self._directory = directory
        self._redis = redis
        self._count = workers
        self._first_audio = directory / "first-audio.jsonl"
        self._number = count(1)
        self.workers: list[WorkerProcess] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start the workers; stop them on exit."""
        env = {**self._livekit.env(), "STOPWATCH_LOG": str(self._first_audio)}
        with ExitStack() as stack:
            starting: list[WorkerProcess] = [BareWorker(env, log=self._directory / "bare.log")]
            for number in range(self._count):
                name = f"worker-{number}"
                settings = {
                    **env,
                    "GREFFIER_AGENT_NAME": AGENT,
                    "GREFFIER_DEFAULT_AGENTS": "metadata,stopwatch",
                    "GREFFIER_DATA_DIR": str(self._directory / name),
                    **({"GREFFIER_STORES": self._redis.url} if self._redis else {}),
                }
                log = self._directory / f"{name}.log"
                starting.append(InstalledWorker(self._environment, settings, log=log, name=name))
            for worker in starting:
                stack.enter_context(worker)
            for worker in starting:
                worker.wait_until_registered(timeout=180)
            self.workers = starting[1:]
            yield

    async def trial(self, case: Case) -> Trial:
        """Have one agent die, and wait for the next."""
        room = f"comeback-{next(self._number)}"
        agent = BARE if case == "bare" else AGENT
        livekit = self._livekit
        async with AsyncExitStack() as stack:
            rooms = Rooms(livekit.url, livekit.api_key, livekit.api_secret)
            await stack.enter_async_context(rooms)
            guest = await stack.enter_async_context(_guest_in(rooms, room))
            await rooms.dispatch(room, agent)
            first = await self._audio_in(room, 1)
            if first is None:
                raise ChildError(f"{agent} was dispatched to {room} and did not come")
            # A meeting has gone on for a while: its worker has the next process ready.
            await asyncio.sleep(READY)
            at = time.time()
            dead = self._kill(case, first["pid"])
            if case == "bare":
                await rooms.dispatch(room, agent)
            if dead and len(self.workers) == 1:
                dead.start()
            second = await self._audio_in(room, 2)
            await asyncio.sleep(GHOST)
            # A bare one leaves its ghost; nobody is there who would put it out.
            agents = sum(
                one.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
                for one in guest.remote_participants.values()
            )
            await rooms.delete(room)
        if dead:
            if not dead.running:
                dead.start()
            await asyncio.to_thread(dead.wait_until_registered, timeout=180)
        seconds = round(second["at"] - at, 3) if second else None
        return Trial(case, seconds, agents, round(os.getloadavg()[0], 1))

    def _kill(self, case: Case, pid: int) -> WorkerProcess | None:
        """Kill the job, or its worker with all its processes; returns the worker."""
        if not case.startswith("worker"):
            os.kill(pid, signal.SIGKILL)
            return None
        parents = {parent.pid for parent in psutil.Process(pid).parents()}
        worker = next(one for one in self.workers if one.pid in parents)
        worker.kill()
        return worker

    async def _audio_in(self, room: str, number: int) -> dict[str, Any] | None:
        """Return the line of the ``number``-th agent in the room that had audio."""
        deadline = time.monotonic() + COMES
        while time.monotonic() < deadline:
            lines = [one for one in read_json_lines(self._first_audio) if one["room"] == room]
            if len(lines) >= number:
                return lines[number - 1]
            await asyncio.sleep(_POLL)
        return None


@asynccontextmanager
async def _guest_in(rooms: Rooms, name: str) -> AsyncIterator[rtc.Room]:
    """Somebody whose microphone is on and who says nothing."""
    room, microphone = rtc.Room(), Microphone()
    await room.connect(rooms.url, rooms.token(name, "guest"), rtc.RoomOptions(auto_subscribe=False))
    try:
        await microphone.publish(room)
        async with asyncio.TaskGroup() as tasks:
            silence = tasks.create_task(microphone.play_silence(float("inf")))
            yield room
            silence.cancel()
    finally:
        await room.disconnect()
        await microphone.close()


def table(trials: Sequence[Trial]) -> list[str]:
    """Return the figures, line by line."""
    lines = ["| died | n | p50, s | p95, s | longest, s | did not come | ghosts | load |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for case in dict.fromkeys(trial.case for trial in trials):
        own = [trial for trial in trials if trial.case == case]
        times = [trial.seconds for trial in own if trial.seconds is not None]
        ghosts = sum(max(0, trial.agents - 1) for trial in own)
        row = (
            case,
            len(own),
            f"{median(times):.2f}" if times else "-",
            f"{percentile(times, 95):.2f}" if times else "-",
            f"{max(times):.2f}" if times else "-",
            len(own) - len(times),
            ghosts,
            f"{median(trial.load for trial in own):.1f}",
        )
        lines.append(f"| {' | '.join(map(str, row))} |")
    return lines


def run(cases: Mapping[Case, int], directory: Path) -> Iterator[Trial]:
    """Hold trials: for each case how many; every third of a job after a bare one."""
    environment = make_environment(directory / "environment", STOPWATCH)
    for with_redis in (True, False):
        own: dict[Case, int] = {
            case: n for case, n in cases.items() if ("no redis" in case) != with_redis and n
        }
        if not own:
            continue
        logs = directory / ("redis" if with_redis else "files")
        logs.mkdir()
        with ExitStack() as stack:
            livekit = stack.enter_context(LiveKitServer())
            redis = stack.enter_context(RedisServer()) if with_redis else None
            trials = Trials(livekit, environment, logs, redis=redis, workers=2 if with_redis else 1)
            stack.enter_context(trials.running())
            for case, times in own.items():
                for number in range(times):
                    if case.startswith("job") and number % BARE_EVERY == 0:
                        yield asyncio.run(trials.trial("bare"))
                    yield asyncio.run(trials.trial(case))


def main() -> int:
    """Run the bench from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.comeback", description=__doc__)
    parser.add_argument("--trials", type=int, default=60, help="of a job's death, each")
    parser.add_argument("--worker-trials", type=int, default=60, help="of a worker's death")
    parser.add_argument("--restarts", type=int, default=10, help="of the only worker")
    parser.add_argument("--out", type=Path, default=Path("out/comeback.jsonl"))
    parser.add_argument("--keep", type=Path, help="directory of logs that stays")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    cases: dict[Case, int] = {
        "job": options.trials,
        "worker": options.worker_trials,
        "job, no redis": options.trials,
        "worker, no redis": options.restarts,
    }
    trials: list[Trial] = []
    with (
        tempfile.TemporaryDirectory(prefix="greffier-comeback-") as temporary,
        options.out.open("a") as log,
    ):
        directory = (options.keep or Path(temporary)).resolve()
        directory.mkdir(parents=True, exist_ok=True)
        for trial in run(cases, directory):
            trials.append(trial)
            log.write(json.dumps(asdict(trial)) + "\n")
            log.flush()
            print(trial, flush=True)
    print("\n".join(table(trials)))
    ours = [trial for trial in trials if trial.case != "bare"]
    return 0 if all(trial.seconds is not None and trial.agents == 1 for trial in ours) else 1


if __name__ == "__main__":
    sys.exit(main())
