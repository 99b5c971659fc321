"""One long meeting with many faults: people count, faults strike one after the other, it is sealed.

Each fault has what was measured about it from outside; the meeting has the oracle's verdict.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from bench.child_process import ChildProcess
from bench.client_processes import SubscriberProcess
from bench.json_lines import read_json_lines
from bench.rooms import Rooms, dispatch_to
from bench.soak.counting import numbers_in
from bench.soak.evidence import collect, journals, meetings_of, sealed
from bench.soak.faults import NotThereError, Scene, strike
from bench.soak.oracle import Unheard, Verdict, judge, unheard_after
from bench.soak.schedule import Strike
from bench.soak.stack import AGENT, Stack
from bench.soak.watch import Watch, first_after
from pipelines.transcript.journal import read_journal

RECOVERED: Final = 60.0
"""Seconds after a fault is mended in which everybody must be heard again by one agent."""
SEALED: Final = 60.0
"""Seconds in which a meeting that is over is sealed, and every store has all of it."""

_METADATA: Final = {"agents": {"transcriber": True, "metadata": True}}
_SPEAKERS: Final = 3
_POLL: Final = 0.1
_LAST_WORDS: Final = 5.0  # seconds of silence in which the last captions come


@dataclass(slots=True)
class Struck:
    """What was seen of one fault from outside, seconds from the strike; None: it was not.

    Args:
        strike: The fault.
        at: When it struck, Unix seconds; 0 where it could not.
        detected: Until there was another dispatch.
        joined: Until another agent was in the room.
        captioned: Until a caption was shown of something said after the strike.
        unheard: What was said and nobody heard.
        agents: In the room, when it was got over.
        recovered: Whether it was, in time.
        cause: Why it could not strike.
    """

    strike: Strike
    at: float = 0.0
    detected: float | None = None
    joined: float | None = None
    captioned: float | None = None
    unheard: Unheard = field(default_factory=Unheard)
    agents: int = 0
    recovered: bool = False
    cause: str = ""


@dataclass(slots=True)
class Held:
    """What became of one meeting.

    Args:
        room: Its room.
        struck: Its faults.
        verdict: The oracle's.
        meetings: How many meetings it was taken for; 1 is right.
        journals: How many were left at the end; 0 is right.
        seconds: How long it took.
    """

    room: str
    struck: list[Struck] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    meetings: int = 0
    journals: int = 0
    seconds: float = 0.0

    @property
    def kept(self) -> bool:
        """Whether nothing was lost, and the agent came back each time."""
        back = all(one.recovered or one.cause for one in self.struck)
        return self.verdict.kept and back and self.meetings == 1 and not self.journals


class CountingMeeting:
    """A meeting of a room of its own on a running stack.

    Args:
        stack: Everything; every fault is mended.
        room: The room's name.
        directory: Takes the clients' logs.
        seed: Of what people say.
        say: Takes a line of progress.
    """

    def __init__(
        self, stack: Stack, room: str, directory: Path, *, seed: int, say: Callable[[str], None]
    ) -> None:
        self._stack = stack
        self._room = room
        self._say = say
        self._said = directory / "said.jsonl"
        env = stack.livekit.env()
        self._reader = SubscriberProcess(env, room, "--stay", directory=directory, name="reader")
        people = ["--room", room, "--log", str(self._said), "--speakers", str(_SPEAKERS)]
        self._people = ChildProcess(
            "people",
            [sys.executable, "-m", "bench.soak.people", *people, "--seed", str(seed)],
            log=directory / "people.log",
            env=env,
        )

    async def hold(self, strikes: Sequence[Strike]) -> Held:
        """Hold it and let ``strikes`` strike, one after the other.

        Raises:
            TimeoutError: Nobody is heard although nothing has struck yet.
        """
        began = time.monotonic()
        held = Held(self._room)
        heard_before = len(self._stack.heard_words())
        async with self._stack.rooms() as rooms:
            await rooms.create(
                self._room, metadata=_METADATA, agents=[dispatch_to(AGENT)], departure_timeout=300
            )
            watch = Watch(rooms, self._room)
            watching = asyncio.create_task(watch.run())
            try:
                with self._reader, self._people:
                    self._reader.wait_until_joined()
                    async with asyncio.timeout(RECOVERED):
                        await self._all_heard(since=0.0)
                    for one in strikes:
                        held.struck.append(await self._strike(one, watch))
                        if not (held.struck[-1].recovered or held.struck[-1].cause):
                            break
                    os.kill(self._people.pid, signal.SIGUSR1)
                    await asyncio.sleep(_LAST_WORDS)
                    meetings = meetings_of(self._stack, self._room)
                    lines = [
                        line
                        for path in journals(self._stack, meetings)
                        for line in read_journal(path).lines
                    ]
                    await _delete(rooms, self._room)
            finally:
                watching.cancel()
        await self._until(lambda: self._is_sealed(meetings), SEALED)
        held.meetings = len(meetings)
        held.journals = len(journals(self._stack, meetings))
        evidence = collect(
            self._stack,
            meetings,
            people=self._said,
            seen=self._reader.finals(),
            journalled=lines,
            heard_before=heard_before,
        )
        held.verdict = judge(evidence)
        there = [struck for struck in held.struck if struck.at]
        ends = [*(struck.at for struck in there[1:]), time.time()]
        for struck, end in zip(there, ends, strict=True):
            struck.unheard = unheard_after(evidence, struck.at, end)
        held.seconds = round(time.monotonic() - began, 1)
        return held

    async def _strike(self, one: Strike, watch: Watch) -> Struck:
        await asyncio.sleep(one.calm)
        struck = Struck(one)
        try:
            scene = Scene.now(self._stack, one.seed)
            fault = strike(one.kind, scene)
            struck.at = time.time()
            await asyncio.to_thread(fault.__enter__)
        except (NotThereError, psutil.Error, OSError) as error:
            struck.at, struck.cause = 0.0, str(error)
            self._say(f"{one.number} {one.kind}: can't strike: {error}")
            return struck
        await asyncio.sleep(one.lasts)
        await asyncio.to_thread(fault.__exit__, None, None, None)
        mended = time.time()
        with suppress(TimeoutError):
            async with asyncio.timeout(RECOVERED):
                await self._all_heard(since=mended)
                # Two agents may be there for a moment, while one hands over to the other.
                while len(watch.present) != 1 or watch.looked < mended:  # noqa: ASYNC110 - polled
                    await asyncio.sleep(_POLL)
                struck.recovered = True
        struck.agents = len(watch.present)
        struck.detected = _rounded(first_after(struck.at, watch.dispatched))
        struck.joined = _rounded(first_after(struck.at, watch.came))
        struck.captioned = self._captioned(struck.at)
        self._say(
            f"{one.number} {one.kind} ({one.lasts:g} s): detected {struck.detected}, joined "
            f"{struck.joined}, captioned {struck.captioned}, agents {struck.agents}, "
            f"{'recovered' if struck.recovered else 'NOT RECOVERED'}"
        )
        # The next fault finds everything as it was, however long a worker takes to start.
        await asyncio.to_thread(self._stack.wait_for_workers)
        return struck

    async def _all_heard(self, *, since: float) -> None:
        """Return when a caption was shown of something that each person said after ``since``."""
        while True:
            if not self._people.running:
                raise self._people.error("ended")
            said = {one["number"]: one for one in read_json_lines(self._said, "said")}
            speakers = {
                said[number]["identity"]
                for number in self._shown()
                if number in said and said[number]["at"] > since
            }
            if len(speakers) == _SPEAKERS:
                return
            await asyncio.sleep(_POLL)

    def _captioned(self, at: float) -> float | None:
        said = {one["number"]: one["at"] for one in read_json_lines(self._said, "said")}
        shown = [
            line["at"] - at
            for line in self._reader.finals()
            if any(said.get(number, 0.0) > at for number in numbers_in(line["text"]))
        ]
        return _rounded(min(shown, default=None))

    def _shown(self) -> set[int]:
        return {n for line in self._reader.finals() for n in numbers_in(line["text"])}

    def _is_sealed(self, meetings: Sequence[str]) -> bool:
        return bool(sealed(self._stack, meetings).documents) and not journals(self._stack, meetings)

    @staticmethod
    async def _until(condition: Callable[[], bool], seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():  # noqa: ASYNC110 - files and processes give no event
                    await asyncio.sleep(_POLL)


async def _delete(rooms: Rooms, room: str) -> None:
    """Close the room; one that is gone already is as good."""
    with suppress(Exception):
        await rooms.delete(room)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
