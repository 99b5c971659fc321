"""What a dead store costs the captions, and the other stores: the same meetings with and without.

Each worker has three stores: files, one of our own contract, and Redis, to which finals go before
they are published. One Redis is alive, at another's address is nobody, and a third takes
connections and never answers. All meetings are open at the same time and people speak in one after
the other, so that what else the machine does weighs on all of them::

    python -m bench.dead_store --rounds 12
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self, get_args

from bench.caption_delay import percentile
from bench.client_processes import PublisherProcess, SubscriberProcess
from bench.livekit_server import LiveKitServer, free_port
from bench.plugins import Turns
from bench.redis_server import RedisServer
from bench.rooms import Rooms, dispatch_to
from bench.stamped_stt import SETTING, stamp_of
from bench.store_server_process import StoreServerProcess
from bench.worker_process import WorkerProcess
from pipelines.transcript.line import Line
from pipelines.transcript.paths import meeting_key

Redis = Literal["alive", "refused", "silent"]
"""How the Redis store of a worker is."""

REDIS: Final[Sequence[Redis]] = get_args(Redis)

SPEAKERS: Final = 2

RATIO: Final = 1.5
"""How much later captions may be with a dead store, at p95."""

_TURN: Final = 4.0
"""Seconds until people speak in the next room; two who follow each other speak for 3.5."""

_LISTEN_TIMEOUT: Final = 30.0
_KEPT_TIMEOUT: Final = 30.0
"""Seconds after a meeting until the healthy stores must have all of it; they need three."""


@dataclass(frozen=True, slots=True)
class Held:
    """What became of one meeting.

    Args:
        delays: Seconds from the engine's final to the reader who has it.
        lacking: Finals seen by the reader that a healthy store lacks, or has more than once.
    """

    delays: tuple[float, ...] = ()
    lacking: tuple[str, ...] = ()

    @property
    def p95(self) -> float:
        """The delay that 95 % do not exceed."""
        return percentile(self.delays, 95)

    def __str__(self) -> str:
        p50 = percentile(self.delays, 50)
        figures = f"n={len(self.delays)} p50 {p50 * 1000:.1f} ms, p95 {self.p95 * 1000:.1f} ms"
        return f"{figures}, {len(self.lacking)} lacking"


class DeadStoreMeetings:
    """A worker for each state of Redis, on one livekit-server; a context manager.

    Args:
        server: Where the rooms are.
        directory: Takes data and logs.
        states: Which workers there are.
    """

    def __init__(
        self, server: LiveKitServer, directory: Path, states: Sequence[Redis] = REDIS
    ) -> None:
        self._server = server
        self._directory = directory
        self._http = StoreServerProcess(directory / "http")
        self._states = states
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._http)
            workers = [
                stack.enter_context(self._worker(state, self._redis(state, stack)))
                for state in self._states
            ]
            for worker in workers:
                worker.wait_until_registered()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def hold(self, rounds: int) -> dict[Redis, Held]:
        """Hold one meeting of each worker to its end; everybody speaks once a round."""
        period = _TURN * len(self._states)
        turns = Turns(speakers=SPEAKERS, step=0.6, period=period, rounds=rounds)
        script = turns.write(self._directory / "script.json")
        options = ("--wait-subscribed", str(_LISTEN_TIMEOUT), "--script", str(script))
        server = self._server.env()
        with ExitStack() as stack:
            clients: dict[Redis, tuple[SubscriberProcess, PublisherProcess]] = {}
            for state in self._states:
                directory = self._directory / f"clients-{state}"
                asyncio.run(self._open(state))
                reader = SubscriberProcess(server, state, directory=directory)
                people = PublisherProcess(server, state, *options, directory=directory)
                clients[state] = stack.enter_context(reader).wait_until_joined(), people
            for _, people in clients.values():
                stack.enter_context(people)
                time.sleep(_TURN)
            for _, people in clients.values():
                status = people.wait(timeout=rounds * period + 2 * _LISTEN_TIMEOUT)
                # Not the status: livekit 1.1.21 aborts now and then when Python is finalised.
                if not people.truth("meeting_ended"):
                    raise people.error(f"ended with status {status} in the middle")
            return {state: self._held(state, reader) for state, (reader, _) in clients.items()}

    def _held(self, state: Redis, reader: SubscriberProcess) -> Held:
        seen = reader.finals()
        delays = tuple(line["at"] - stamp_of(line["text"]) for line in seen)
        return Held(delays, tuple(self._lacking(state, [line["text"] for line in seen])))

    async def _open(self, state: Redis) -> None:
        metadata = {"meetingData": {"id": state}, "agents": {"transcriber": True, "metadata": True}}
        server = self._server
        async with Rooms(server.url, server.api_key, server.api_secret) as rooms:
            await rooms.create(state, metadata=metadata, agents=[dispatch_to(state)])

    def _worker(self, state: Redis, redis: str) -> WorkerProcess:
        settings = {
            **self._server.env(),
            "GREFFIER_AGENT_NAME": state,
            "GREFFIER_DATA_DIR": str(self._directory / f"data-{state}"),
            "GREFFIER_DEPARTURE_TIMEOUT": "1",
            "GREFFIER_ENGINE": "stamped",
            "GREFFIER_ENGINE_PLUGINS": SETTING,
            "GREFFIER_STORES": f"{self._http.address},{redis}",
            "GREFFIER_STORE_SECRET": self._http.secret,
        }
        return WorkerProcess(settings, log=self._directory / f"{state}.log", name=state)

    def _redis(self, state: Redis, stack: ExitStack) -> str:
        match state:
            case "alive":
                return stack.enter_context(RedisServer(self._directory / "redis")).url
            case "refused":
                return f"redis://127.0.0.1:{free_port()}/0"
            case "silent":  # The kernel takes connections and bytes; nobody ever reads them.
                listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
                return f"redis://127.0.0.1:{listening.getsockname()[1]}/0"

    def _lacking(self, state: Redis, seen: Sequence[str]) -> list[str]:
        """Return those of ``seen`` that files or HTTP lack, or have more than once, in the end."""
        healthy = (
            self._directory / f"data-{state}" / "transcripts" / meeting_key(state),
            self._directory / "http" / "lines" / meeting_key(state),
        )
        deadline = time.monotonic() + _KEPT_TIMEOUT
        while True:
            kept = [_finals_in(directory) for directory in healthy]
            lacking = [text for text in seen if any(texts[text] != 1 for texts in kept)]
            if not lacking or time.monotonic() > deadline:
                return lacking
            time.sleep(0.2)


def _finals_in(directory: Path) -> Counter[str]:
    """Count the finals in raw files of lines, doubles included."""
    raw = [path.read_bytes() for path in directory.glob("lines/*.jsonl")]
    whole = [piece for one in raw for piece in one.splitlines(keepends=True) if piece[-1:] == b"\n"]
    lines = map(Line.decode, whole)
    return Counter(line.data["text"] for line in lines if line.kind == "final")


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.dead_store", description=__doc__)
    parser.add_argument("--rounds", type=int, default=12, help="in which everybody speaks once")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="greffier-dead-store-") as directory,
        LiveKitServer(Path(directory) / "livekit") as server,
        DeadStoreMeetings(server, Path(directory)) as meetings,
    ):
        found = meetings.hold(options.rounds)
    alive = found["alive"].p95
    for state, held in found.items():
        print(f"redis {state}: {held}; p95 / alive: {held.p95 / alive:.2f}")
    print(f"load {os.getloadavg()[0]:.1f}")
    late = [state for state, held in found.items() if held.p95 > RATIO * alive]
    return 1 if late or any(held.lacking for held in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
