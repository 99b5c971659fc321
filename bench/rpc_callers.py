"""Participants who call: each makes 100 RPC calls at once, whenever a round has a burst.

They follow the log of who speaks, and log what became of their calls::

    python -m bench.rpc_callers --follow publisher.jsonl --speakers 4 \
        --bursts 1 2 --log callers.jsonl
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from livekit import rtc

from agents.rpc.errors import Code
from agents.rpc.messages import ShowReply
from agents.rpc.methods import SHOW
from bench.json_lines import JsonLines, read_json_lines
from bench.rooms import Rooms

ROOM: Final = "burst"
"""Name of the room, and of the agent in it."""

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

FROM: Final = 0.8
"""Seconds of a round at which the calls begin: everybody speaks."""

QUIET: Final = 3.8
"""Seconds of a round from which nobody speaks any more."""

_SEARCH: Final = {"tool": "search_transcript", "arguments": {"words": "one"}}
"""What the calls of a tool are."""

_SPEAKS: Final = 60.0
"""Seconds until somebody speaks again, at most."""

_CALL_TIMEOUT: Final = 30.0


async def call_by_turns(rooms: Rooms, options: argparse.Namespace, log: JsonLines) -> None:
    """Join, have approvals asked for, and make the calls of each burst."""
    async with _callers(rooms) as callers:
        # The agent is there by then, and nobody speaks.
        await asyncio.sleep(max(0.0, await _start_of(options, 0) + QUIET - time.time()))
        await asyncio.gather(*(_ask(caller) for caller in callers))
        for index in options.bursts:
            await asyncio.sleep(max(0.0, await _start_of(options, index) + FROM - time.time()))
            began = time.monotonic()
            answers = await _call_at_once(callers)
            log.write("burst", seconds=time.monotonic() - began, answers=answers)


async def _start_of(options: argparse.Namespace, index: int) -> float:
    """Return when a round begins, Unix seconds, once that is known."""
    async with asyncio.timeout(_SPEAKS):
        while True:
            said = read_json_lines(options.follow, "speech_started")
            if this_round := said[index * options.speakers :]:
                return float(min(one["at"] for one in this_round))
            await asyncio.sleep(0.05)


@asynccontextmanager
async def _callers(rooms: Rooms) -> AsyncIterator[list[rtc.Room]]:
    async with AsyncExitStack() as stack:
        callers = []
        for number in range(CALLERS):
            room = rtc.Room()
            token = rooms.token(ROOM, f"caller-{number}")
            await room.connect(rooms.url, token, rtc.RoomOptions(auto_subscribe=False))
            stack.push_async_callback(room.disconnect)
            room.local_participant.register_rpc_method(SHOW, _seen)
            callers.append(room)
        yield callers


async def _call_at_once(callers: Sequence[rtc.Room]) -> Counter[str]:
    free = asyncio.Semaphore(IN_FLIGHT)
    calls = [_call(caller, method, free) for method in CALLS for caller in callers]
    return Counter(await asyncio.gather(*calls))


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
        destination_identity=f"{ROOM}-{ROOM}",
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


async def _main(options: argparse.Namespace) -> None:
    with JsonLines(options.log) as log:
        await call_by_turns(Rooms.from_environment(), options, log)


def main() -> None:
    """Call until the last burst is answered."""
    parser = argparse.ArgumentParser(prog="python -m bench.rpc_callers", description=__doc__)
    parser.add_argument("--follow", type=Path, required=True, help="the publisher's log")
    parser.add_argument("--speakers", type=int, required=True, help="who speak in each round")
    parser.add_argument("--bursts", type=int, nargs="+", required=True, help="rounds, from 0")
    parser.add_argument("--log", type=Path, required=True)
    # What the callers take of this machine would be other machines' processor time.
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
