"""People who count aloud, whatever happens to the server: a process.

Everybody joins, counts in their own numbers with short pauses, and joins again when the room is
gone. The log has what was said, when, and when who was out of the room. SIGUSR1 lets them finish
their sentences and be silent::

    python -m bench.soak.people --room standup --log said.jsonl --speakers 3
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import time
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from livekit import rtc
from livekit.rtc.participant import PublishTrackError

from bench.json_lines import JsonLines
from bench.microphone import Microphone
from bench.rooms import Rooms
from bench.soak.counting import LEAD, NUMBER, NUMBERS, Voice
from bench.until_stopped import run_until_stopped

MOST_SPEAKERS: Final = 6
_SHARE: Final = NUMBERS // MOST_SPEAKERS
_SENTENCE: Final = (
    2,
    4,
)  # numbers: with what is around them less than the 3 s at which finals split
_PAUSE: Final = (0.9, 1.5)  # seconds; longer than what ends a span
_QUEUE_MS: Final = 300  # a busy machine's stall shorter than this is not heard
_LATE: Final = 0.03  # seconds: more, and the sentence has a gap
_REJOIN: Final = 0.3  # seconds


class Person:
    """One speaker, from the first join to the end.

    Args:
        number: From 0; decides name, voice and numbers.
        rooms: For tokens.
        room: The room's name.
        log: Takes ``said``, ``here`` and ``away``.
        seed: Of sentences and pauses.
    """

    def __init__(self, number: int, rooms: Rooms, room: str, log: JsonLines, seed: int) -> None:
        self._identity = f"person-{number}"
        self._voice = Voice(number / MOST_SPEAKERS)
        self._next = number * _SHARE
        self._end = self._next + _SHARE
        self._rooms = rooms
        self._room = room
        self._log = log
        self._chance = random.Random(seed * MOST_SPEAKERS + number)

    async def take_part(self, quiet: asyncio.Event) -> None:
        """Be in the room and count until ``quiet``, then be silent until cancelled."""
        while True:
            room, gone = rtc.Room(), asyncio.Event()
            microphone = Microphone(queue_ms=_QUEUE_MS)
            room.on("disconnected", lambda _reason, gone=gone: gone.set())
            room.on("reconnecting", lambda: self._tell("away"))
            room.on("reconnected", lambda: self._tell("here"))
            token = self._rooms.token(self._room, self._identity, name=self._identity.title())
            try:
                # What can't connect is tried again: the server may be away.
                with suppress(rtc.ConnectError, PublishTrackError, TimeoutError):
                    async with asyncio.timeout(10):
                        await room.connect(self._rooms.url, token, _LISTENS_TO_NOBODY)
                        await microphone.publish(room)
                    self._tell("here")
                    await self._until(gone, self._count(microphone, quiet))
                    self._tell("away")
            finally:
                await room.disconnect()
                await microphone.close()
            await asyncio.sleep(_REJOIN)

    @staticmethod
    async def _until(gone: asyncio.Event, counting: Coroutine[Any, Any, None]) -> None:
        async with asyncio.TaskGroup() as tasks:
            speaking = tasks.create_task(counting)
            await gone.wait()
            speaking.cancel()

    async def _count(self, microphone: Microphone, quiet: asyncio.Event) -> None:
        while not quiet.is_set() and self._next < self._end:
            pause = self._chance.uniform(*_PAUSE)
            await microphone.play_silence(time.time() + pause)
            count = min(self._chance.randint(*_SENTENCE), self._end - self._next)
            numbers = range(self._next, self._next + count)
            self._next += count
            await self._say(microphone, numbers)
        while True:
            await microphone.play_silence(time.time() + 1.0)

    async def _say(self, microphone: Microphone, numbers: range) -> None:
        samples = self._voice.say(numbers, rate=Microphone.RATE)
        start = microphone.next_sample_at
        await microphone.play(samples)
        late = microphone.next_sample_at - start - len(samples) / Microphone.RATE
        for place, number in enumerate(numbers):
            at = start + LEAD + place * NUMBER
            self._log.write(
                "said",
                identity=self._identity,
                number=number,
                at=round(at, 3),
                end=round(at + NUMBER, 3),
                whole=abs(late) < _LATE,
            )

    def _tell(self, event: str) -> None:
        self._log.write(event, identity=self._identity, at=time.time())


_LISTENS_TO_NOBODY: Final = rtc.RoomOptions(auto_subscribe=False)


async def count_aloud(rooms: Rooms, room: str, log: JsonLines, speakers: int, seed: int) -> None:
    """Let ``speakers`` people take part until this is cancelled."""
    quiet = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, quiet.set)
    async with asyncio.TaskGroup() as tasks:
        for number in range(speakers):
            person = Person(number, rooms, room, log, seed)
            tasks.create_task(person.take_part(quiet))


def main() -> None:
    """Run the people from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak.people", description=__doc__)
    parser.add_argument("--room", required=True)
    parser.add_argument("--log", type=Path, required=True, help="JSON Lines with the ground truth")
    parser.add_argument("--speakers", type=int, default=3, choices=range(1, MOST_SPEAKERS + 1))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rooms = Rooms.from_environment()
    with JsonLines(options.log) as log:
        run_until_stopped(count_aloud(rooms, options.room, log, options.speakers, options.seed))


if __name__ == "__main__":
    main()
