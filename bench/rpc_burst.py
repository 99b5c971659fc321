"""What a burst of RPC calls costs the captions: 1,000 calls at once, or none, round by round.

People speak in rounds. In every other round, ten participants make 100 calls each as fast as
they can; which of the two rounds of a pair has the burst changes from pair to pair. Of both rounds
the same seconds count: those in which everybody speaks::

    python -m bench.rpc_burst --pairs 10
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from livekit import rtc

from agents.rpc.errors import Code
from agents.rpc.messages import ShowReply
from agents.rpc.methods import SHOW
from bench.caption_delay import percentile
from bench.client_processes import PublisherProcess, SubscriberProcess
from bench.livekit_server import LiveKitServer
from bench.plugins import Turns
from bench.rooms import Rooms, dispatch_to
from bench.stamped_stt import SETTING, stamp_of
from bench.worker_process import WorkerProcess

RATIO: Final = 2.0
"""How much later captions may be in a burst, at p95."""

CALLERS: Final = 10
CALLS: Final = (
    *["agent.status"] * 50,
    *["tools.list"] * 10,
    *["transcript.history"] * 20,
    *["approval.list"] * 10,
    *["tools.call"] * 10,
)
"""Of each caller; the last ten of the first method are one too many, and refused if they come
before the caller's rate allows more."""

ANSWERED: Final = CALLERS * (len(CALLS) - 10)
"""Of all calls of a burst, those that are answered at least."""

ASKED: Final = 2
"""Approvals that each caller has open, so that a list holds those of all: every caller is an owner.
"""

IN_FLIGHT: Final = 100
"""Calls of all callers that wait for an answer at the same time. Python's client offers every event
to every call that waits: with all 1,000 the callers would be busy, not the agent."""

_AGENT: Final = "burst"
_SPEAKERS: Final = 4
_PERIOD: Final = 7.0
"""Seconds of a round: everybody speaks for 3, one a little after the other, then it is quiet."""

_FROM: Final = 0.8
_UNTIL: Final = 3.8
"""Seconds of a round that count."""

_SEARCH: Final = {"tool": "search_transcript", "arguments": {"words": "one"}}
"""What the calls of a tool are."""

_LISTEN_TIMEOUT: Final = 30.0
_CALL_TIMEOUT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Burst:
    """What became of the calls.

    Args:
        seconds: Until the last was answered.
        answers: How often each: ``ok``, or the name of an error.
    """

    seconds: float
    answers: Counter[str]


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
        "GREFFIER_AGENT_NAME": _AGENT,
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
        reader = SubscriberProcess(server.env(), _AGENT, directory=directory)
        stack.enter_context(reader).wait_until_joined()
        people = PublisherProcess(server.env(), _AGENT, *options, directory=directory)
        stack.enter_context(people)
        has_burst = [index % 4 in {1, 2} for index in range(2 * pairs)]
        starts, bursts = asyncio.run(_call_by_turns(server, people, has_burst))
        people.wait(timeout=_PERIOD + 2 * _LISTEN_TIMEOUT)
        if not people.truth("meeting_ended"):
            raise people.error("ended in the middle")
        delays = [_delays(reader, start) for start in starts]
    rounds = list(zip(has_burst, delays, strict=True))
    measured = Measured(bursts=bursts)
    for one, other in zip(rounds[::2], rounds[1::2], strict=True):
        (_, idle), (_, burst) = sorted((one, other), key=lambda round_: round_[0])
        measured.pairs.append(Pair(idle, burst))
    return measured


def _delays(reader: SubscriberProcess, start: float) -> list[float]:
    """Return how long the captions of a round took, from the engine to the reader."""
    stamped = [(stamp_of(line["text"]), line["at"]) for line in reader.finals()]
    return [at - stamp for stamp, at in stamped if start + _FROM <= stamp < start + _UNTIL]


async def _open(server: LiveKitServer) -> None:
    owners = {f"caller-{number}": "owner" for number in range(CALLERS)}
    metadata = {"agents": {"transcriber": True}, "roles": owners}
    async with Rooms(server.url, server.api_key, server.api_secret) as rooms:
        await rooms.create(_AGENT, metadata=metadata, agents=[dispatch_to(_AGENT)])


async def _call_by_turns(
    server: LiveKitServer, people: PublisherProcess, has_burst: Sequence[bool]
) -> tuple[list[float], list[Burst]]:
    """Return when each round began, Unix seconds, and what became of the bursts."""
    starts: list[float] = []
    bursts: list[Burst] = []
    async with _callers(server) as callers:
        # The agent is there by then, and nobody speaks.
        await asyncio.sleep(max(0.0, await _start_of(people, 0) + _UNTIL - time.time()))
        await asyncio.gather(*(_ask(caller) for caller in callers))
        for index, burst in enumerate(has_burst):
            start = await _start_of(people, index)
            starts.append(start)
            if burst:
                await asyncio.sleep(max(0.0, start + _FROM - time.time()))
                bursts.append(await _call_at_once(callers))
    return starts, bursts


async def _start_of(people: PublisherProcess, index: int) -> float:
    """Return when a round begins, Unix seconds, once that is known."""
    deadline = time.monotonic() + _PERIOD + _LISTEN_TIMEOUT
    while True:
        said = people.truth("speech_started")
        if len(said) > index * _SPEAKERS:
            return float(min(one["at"] for one in said[index * _SPEAKERS :]))
        if time.monotonic() > deadline:
            raise people.error("nobody speaks")
        await asyncio.sleep(0.05)


@asynccontextmanager
async def _callers(server: LiveKitServer) -> AsyncIterator[list[rtc.Room]]:
    rooms = Rooms(server.url, server.api_key, server.api_secret)
    async with AsyncExitStack() as stack:
        callers = []
        for number in range(CALLERS):
            room = rtc.Room()
            token = rooms.token(_AGENT, f"caller-{number}")
            await room.connect(rooms.url, token, rtc.RoomOptions(auto_subscribe=False))
            stack.push_async_callback(room.disconnect)
            room.local_participant.register_rpc_method(SHOW, _seen)
            callers.append(room)
        yield callers


async def _call_at_once(callers: Sequence[rtc.Room]) -> Burst:
    began = time.monotonic()
    free = asyncio.Semaphore(IN_FLIGHT)
    calls = [_call(caller, method, free) for method in CALLS for caller in callers]
    answers = Counter(await asyncio.gather(*calls))
    return Burst(time.monotonic() - began, answers)


async def _seen(_: rtc.RpcInvocationData) -> str:
    return ShowReply().model_dump_json()


async def _ask(caller: rtc.Room) -> None:
    """Have a caller asked for approvals that wait until the end."""
    for number in range(ASKED):
        event = {
            "title": f"Event {number}",
            "startISO": "2030-01-05T10:00:00Z",
            "endISO": "2030-01-05T11:00:00Z",
        }
        call = {"tool": "create_calendar_event", "arguments": event}
        await _answer(caller, "tools.call", call)


async def _answer(caller: rtc.Room, method: str, payload: Mapping[str, Any]) -> None:
    await caller.local_participant.perform_rpc(
        destination_identity=f"{_AGENT}-{_AGENT}",
        method=method,
        payload=json.dumps(payload),
        response_timeout=_CALL_TIMEOUT,
    )


async def _call(caller: rtc.Room, method: str, free: asyncio.Semaphore) -> str:
    try:
        async with free:
            await _answer(caller, method, _SEARCH if method == "tools.call" else {})
    except rtc.RpcError as error:
        return Code(error.code).name.lower() if error.code in set(Code) else str(error.code)
    return "ok"


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
