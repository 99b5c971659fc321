"""Each room has one agent and keeps it.

While Redis restarts; when it is asked for twice at the same moment; and beside a room whose agent
kills its process again and again. Two workers and Redis; who is in a room is what LiveKit's API
says::

    python -m bench.one_agent --out out/one_agent.jsonl
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from livekit import rtc
from livekit.protocol.models import ParticipantInfo

from bench.child_process import ROOT
from bench.installed_worker import InstalledWorker, make_environment
from bench.livekit_server import LiveKitServer
from bench.redis_server import RedisServer
from bench.rooms import Rooms

AGENT: Final = "greffier"
DIES: Final = {"agents": {"dies": True}}
"""Metadata of a room whose agent kills its process at the start."""
AWAY: Final = (0.2, 2.0, 5.0)
"""Seconds that Redis is away: less than the life of a lease, nearly, and more."""
SETTLED: Final = 12.0
"""Seconds in which who wrongly comes, or goes, has done so."""
LOOP: Final = 75.0
"""Seconds that a room's agent dies."""

_COMES: Final = 180.0  # seconds; twenty processes start at a time on a busy machine
_POLL: Final = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found.

    Args:
        redis_restarts: How often Redis was killed and came back.
        replaced: Agents of the rooms meanwhile that were replaced; 0 is right.
        pairs: Rooms whose agent was asked for twice at the same moment.
        not_one: Of them, those that had not one agent; 0 is right.
        dispatches: When the agent that dies was dispatched, seconds from the first.
        told: States that people in its room were told.
        touched: Agents of other rooms that were replaced meanwhile; 0 is right.
    """

    redis_restarts: int
    replaced: int
    pairs: int
    not_one: int
    dispatches: Sequence[float]
    told: Sequence[str]
    touched: int

    @property
    def good(self) -> bool:
        """Whether each room kept its one agent, and the one that dies was told and put off."""
        wrong = self.replaced or self.not_one or self.touched
        return not wrong and "interrupted" in self.told and 1 < len(self.dispatches) <= 8


class Crowd:
    """Rooms with a guest in each.

    Args:
        rooms: LiveKit's API, entered.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    @asynccontextmanager
    async def guests(self, names: Iterable[str]) -> AsyncIterator[Mapping[str, rtc.Room]]:
        """Have a guest in each room; they leave, and the rooms are deleted, on exit."""
        async with AsyncExitStack() as stack:
            inside: dict[str, rtc.Room] = {}
            for name in names:
                room = inside[name] = rtc.Room()
                options = rtc.RoomOptions(auto_subscribe=False)
                await room.connect(self._rooms.url, self._rooms.token(name, "guest"), options)
                stack.push_async_callback(self._rooms.delete, name)
                stack.push_async_callback(room.disconnect)
            yield inside

    async def agents(self, name: str) -> list[str]:
        """Return the SIDs of the agents in a room: who joins again has another one."""
        inside = await self._rooms.participants(name)
        return [one.sid for one in inside if one.kind == ParticipantInfo.AGENT]

    async def one_in_each(self, names: Iterable[str]) -> dict[str, str]:
        """Return room -> SID of its agent, when each room has one.

        Raises:
            TimeoutError: One has none, or several.
        """
        async with asyncio.timeout(_COMES):
            found = {}
            for name in names:
                while len(agents := await self.agents(name)) != 1:  # noqa: ASYNC110 - an API's answer
                    await asyncio.sleep(_POLL)
                found[name] = agents[0]
            return found

    async def changed(self, before: Mapping[str, str]) -> int:
        """Return in how many rooms there is not just the agent of ``before``."""
        return sum([await self.agents(name) != [sid] for name, sid in before.items()])


async def restart_redis(rooms: Rooms, redis: RedisServer, *, count: int) -> int:
    """Restart Redis under ``count`` rooms; return how many agents were replaced."""
    crowd, names = Crowd(rooms), [f"kept-{number}" for number in range(count)]
    async with crowd.guests(names):
        await asyncio.gather(*(rooms.dispatch(name, AGENT) for name in names))
        before = await crowd.one_in_each(names)
        for away in AWAY:
            await asyncio.to_thread(redis.kill)
            await asyncio.sleep(away)
            await asyncio.to_thread(redis.start)
            await asyncio.sleep(SETTLED)
        return await crowd.changed(before)


async def dispatch_pairs(rooms: Rooms, *, count: int) -> int:
    """Ask twice at the same moment in ``count`` rooms; return how many have not one agent."""
    crowd, names = Crowd(rooms), [f"pair-{number}" for number in range(count)]
    async with crowd.guests(names):
        await asyncio.gather(*(rooms.dispatch(name, AGENT) for name in names * 2))
        before = await crowd.one_in_each(names)
        await asyncio.sleep(SETTLED)
        return await crowd.changed(before)


async def die_again(rooms: Rooms, *, others: int) -> tuple[list[float], list[str], int]:
    """Let a room's agent die at each start.

    Returns:
        When it was dispatched; what people were told; how many agents elsewhere were replaced.
    """
    crowd, names = Crowd(rooms), [f"other-{number}" for number in range(others)]
    async with crowd.guests([*names, "dies"]) as guests:
        told: list[str] = []

        def take(packet: rtc.DataPacket) -> None:
            told.append(json.loads(packet.data).get("state", ""))

        guests["dies"].on("data_received", take)
        await rooms.set_metadata("dies", DIES)
        await asyncio.gather(*(rooms.dispatch(name, AGENT) for name in names))
        before = await crowd.one_in_each(names)
        began = time.monotonic()
        await rooms.dispatch("dies", AGENT)
        seen: dict[str, float] = {}
        while time.monotonic() < began + LOOP:
            for dispatch in await rooms.api.agent_dispatch.list_dispatch("dies"):
                if dispatch.agent_name:  # LiveKit lists one without a name, too.
                    seen.setdefault(dispatch.id, round(time.monotonic() - began, 1))
            await asyncio.sleep(_POLL)
        return sorted(seen.values()), told, await crowd.changed(before)


@contextmanager
def _workers(livekit: LiveKitServer, redis: RedisServer, directory: Path) -> Iterator[None]:
    environment = make_environment(directory / "environment", ROOT / "bench" / "stopwatch")
    with ExitStack() as stack:
        workers = []
        for name in ("worker-1", "worker-2"):
            env = {
                **livekit.env(),
                "GREFFIER_AGENT_NAME": AGENT,
                "GREFFIER_DEFAULT_AGENTS": "metadata",
                "GREFFIER_DATA_DIR": str(directory / name),
                "GREFFIER_STORES": redis.url,
            }
            worker = InstalledWorker(environment, env, log=directory / f"{name}.log", name=name)
            workers.append(stack.enter_context(worker))
        for worker in workers:
            worker.wait_until_registered(timeout=_COMES)
        yield


async def run(directory: Path, *, kept: int = 10, pairs: int = 20, others: int = 3) -> Outcome:
    """Try all three on one set of servers.

    Args:
        directory: Takes logs and data.
        kept: Rooms under which Redis restarts.
        pairs: Rooms that are asked for twice.
        others: Rooms beside the one whose agent dies.
    """
    with ExitStack() as stack:
        livekit = stack.enter_context(LiveKitServer(directory / "livekit"))
        redis = stack.enter_context(RedisServer(directory / "redis"))
        stack.enter_context(_workers(livekit, redis, directory))
        async with Rooms(livekit.url, livekit.api_key, livekit.api_secret) as rooms:
            replaced = await restart_redis(rooms, redis, count=kept)
            not_one = await dispatch_pairs(rooms, count=pairs)
            dispatches, told, touched = await die_again(rooms, others=others)
    return Outcome(len(AWAY), replaced, pairs, not_one, dispatches, told, touched)


def table(outcome: Outcome) -> list[str]:
    """Return what was found, line by line."""
    found = asdict(outcome).items()
    return [
        "| found | |",
        "|---|---|",
        *(f"| {name.replace('_', ' ')} | {value} |" for name, value in found),
    ]


def main() -> int:
    """Run the bench from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.one_agent", description=__doc__)
    parser.add_argument("--kept", type=int, default=10, help="rooms under which Redis restarts")
    parser.add_argument("--pairs", type=int, default=20, help="rooms that are asked for twice")
    parser.add_argument("--others", type=int, default=3, help="rooms beside the one that dies")
    parser.add_argument("--out", type=Path, default=Path("out/one_agent.jsonl"))
    parser.add_argument("--keep", type=Path, help="directory of logs that stays")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="greffier-one-agent-") as temporary:
        directory = (options.keep or Path(temporary)).resolve()
        directory.mkdir(parents=True, exist_ok=True)
        load = os.getloadavg()[0]
        outcome = asyncio.run(
            run(directory, kept=options.kept, pairs=options.pairs, others=options.others)
        )
    print("\n".join(table(outcome)))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("a") as log:
        log.write(json.dumps({"load": load, "good": outcome.good, **asdict(outcome)}) + "\n")
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
