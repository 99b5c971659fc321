"""What a burst of RPC calls costs the captions: 1,000 calls at once, or none, round by round.

People speak in rounds. In every other round, ten participants make 100 calls each as fast as
they can; which of the two rounds of a pair has the burst changes from pair to pair. Of both rounds
the same seconds count: those in which everybody speaks::

    python -m bench.rpc_burst --pairs 10
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.caption_delay import percentile
from bench.child_process import ChildProcess
from bench.client_processes import PublisherProcess, SubscriberProcess
from bench.json_lines import read_json_lines
from bench.livekit_server import LiveKitServer
from bench.plugins import Turns
from bench.rooms import Rooms, dispatch_to
from bench.rpc_callers import CALLERS, FROM, QUIET, ROOM
from bench.stamped_stt import SETTING, stamp_of
from bench.worker_process import WorkerProcess

RATIO: Final = 2.0
"""How much later captions may be in a burst, at p95."""

_SPEAKERS: Final = 4
_PERIOD: Final = 20.0
"""Seconds of a round: everybody speaks for 3, one a little after the other; then it is quiet, until
the last call is answered and after."""

_LISTEN_TIMEOUT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Burst:
    """What became of the calls.

    Args:
        seconds: Until the last was answered.
        answers: How often each: ``ok``, or the name of an error.
    """

    seconds: float
    answers: Counter[str]


class CallersProcess(ChildProcess):
    """``python -m bench.rpc_callers``.

    Args:
        env: LiveKit's three variables.
        people: Who speak.
        has_burst: Of each round, whether there are calls in it.
        directory: Takes ``callers.log`` and ``callers.jsonl``.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        people: PublisherProcess,
        has_burst: Sequence[bool],
        *,
        directory: Path,
    ) -> None:
        self.log_lines = (directory / "callers.jsonl").resolve()
        bursts = [str(index) for index, burst in enumerate(has_burst) if burst]
        files = ["--follow", str(people.log_lines), "--log", str(self.log_lines)]
        options = [*files, "--speakers", str(_SPEAKERS), "--bursts", *bursts]
        command = [sys.executable, "-m", "bench.rpc_callers", *options]
        super().__init__("callers", command, log=directory / "callers.log", env=env)

    def bursts(self) -> list[Burst]:
        """Return what became of the calls."""
        return [
            Burst(line["seconds"], Counter(line["answers"]))
            for line in read_json_lines(self.log_lines, "burst")
        ]


@dataclass(slots=True)
class Pair:
    """Two rounds next to each other: the delays of their captions, in seconds."""

    idle: Sequence[float]
    burst: Sequence[float]

    @property
    def ratio(self) -> float:
        """How much later captions were in the burst, at p95."""
        return percentile(self.burst, 95) / percentile(self.idle, 95)


@dataclass(slots=True)
class Measured:
    """A whole run."""

    pairs: list[Pair] = field(default_factory=list)
    bursts: list[Burst] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """The median of the pairs."""
        return statistics.median(pair.ratio for pair in self.pairs)


def measure(server: LiveKitServer, directory: Path, *, pairs: int) -> Measured:
    """Hold one meeting of ``pairs`` pairs of rounds.

    Args:
        server: Where the room is.
        directory: Takes data and logs.
        pairs: At least 1.
    """
    turns = Turns(speakers=_SPEAKERS, step=0.25, period=_PERIOD, rounds=2 * pairs)
    script = turns.write(directory / "script.json")
    options = ("--wait-subscribed", str(_LISTEN_TIMEOUT), "--script", str(script))
    settings = {
        **server.env(),
        "GREFFIER_AGENT_NAME": ROOM,
        "GREFFIER_APPROVAL_TIMEOUT": "3600",
        "GREFFIER_DATA_DIR": str(directory / "data"),
        "GREFFIER_DEPARTURE_TIMEOUT": "1",
        "GREFFIER_ENGINE": "stamped",
        "GREFFIER_ENGINE_PLUGINS": SETTING,
    }
    with ExitStack() as stack:
        worker = stack.enter_context(WorkerProcess(settings, log=directory / "worker.log"))
        worker.wait_until_registered()
        asyncio.run(_open(server))
        reader = SubscriberProcess(server.env(), ROOM, directory=directory)
        stack.enter_context(reader).wait_until_joined()
        people = PublisherProcess(server.env(), ROOM, *options, directory=directory)
        stack.enter_context(people)
        has_burst = [index % 4 in {1, 2} for index in range(2 * pairs)]
        callers = CallersProcess(server.env(), people, has_burst, directory=directory)
        stack.enter_context(callers)
        people.wait(timeout=2 * pairs * _PERIOD + 2 * _LISTEN_TIMEOUT)
        callers.wait(timeout=2 * _LISTEN_TIMEOUT)
        if not people.truth("meeting_ended"):
            raise people.error("ended in the middle")
        delays = [_delays(reader, people, index) for index in range(2 * pairs)]
        measured = Measured(bursts=callers.bursts())
    rounds = list(zip(has_burst, delays, strict=True))
    for one, other in zip(rounds[::2], rounds[1::2], strict=True):
        (_, idle), (_, burst) = sorted((one, other), key=lambda round_: round_[0])
        measured.pairs.append(Pair(idle, burst))
    return measured


def _delays(reader: SubscriberProcess, people: PublisherProcess, index: int) -> list[float]:
    """Return how long the captions of a round took, from the engine to the reader."""
    said = people.truth("speech_started")[index * _SPEAKERS :][:_SPEAKERS]
    start = min(one["at"] for one in said)
    stamped = [(stamp_of(line["text"]), line["at"]) for line in reader.finals()]
    return [at - stamp for stamp, at in stamped if start + FROM <= stamp < start + QUIET]


async def _open(server: LiveKitServer) -> None:
    owners = {f"caller-{number}": "owner" for number in range(CALLERS)}
    metadata = {"agents": {"transcriber": True}, "roles": owners}
    async with Rooms(server.url, server.api_key, server.api_secret) as rooms:
        await rooms.create(ROOM, metadata=metadata, agents=[dispatch_to(ROOM)])


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.rpc_burst", description=__doc__)
    parser.add_argument("--pairs", type=int, default=10, help="of rounds, one with a burst")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="greffier-rpc-burst-") as directory,
        LiveKitServer(Path(directory) / "livekit") as server,
    ):
        measured = measure(server, Path(directory), pairs=options.pairs)
    for pair, burst in zip(measured.pairs, measured.bursts, strict=True):
        idle, busy = (percentile(one, 95) * 1000 for one in (pair.idle, pair.burst))
        print(
            f"idle p95 {idle:.1f} ms (n={len(pair.idle)}), burst p95 {busy:.1f} ms "
            f"(n={len(pair.burst)}), ratio {pair.ratio:.2f}; {burst.seconds:.1f} s, "
            f"{dict(burst.answers)}"
        )
    print(f"median ratio {measured.ratio:.2f}, load {os.getloadavg()[0]:.1f}")
    return 0 if measured.ratio <= RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
