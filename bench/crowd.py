"""People who come and go in random order, from a seed, as clients of one process.

::

    python -m bench.crowd --room standup --joins 500 --seed 1 --log crowd.jsonl

They come back under the same identity, publish no microphone, one or two, muted or not, replace
their track, share a screen's sound, take another name, speak a little, and leave at any moment,
some before they are quite there.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from livekit import rtc

from bench.audio_file import Samples, read_samples
from bench.json_lines import JsonLines
from bench.microphone import Microphone
from bench.rooms import Rooms
from bench.script import SCRIPTED_MEETING
from bench.until_stopped import run_until_stopped

_CLIP = SCRIPTED_MEETING.parent / "10-james.ogg"
_STAY = 2.0  # seconds at most
_ODD: Final = 0.1  # how often somebody leaves before they are quite there


class Guest:
    """One visit of one person, from join to leave."""

    def __init__(self, chance: random.Random, clip: Samples) -> None:
        self._chance = chance
        self._clip = clip
        self._room = rtc.Room()
        self._microphones: list[tuple[Microphone, rtc.LocalTrackPublication]] = []

    async def visit(self, rooms: Rooms, room_name: str, identity: str) -> None:
        """Join, do something, leave."""
        token = rooms.token(room_name, identity, name=identity, can_update_own_metadata=True)
        try:
            await self._room.connect(rooms.url, token, rtc.RoomOptions(auto_subscribe=False))
            acts = self._chance.choices(self._acts, k=self._chance.randrange(4))
            async with asyncio.timeout(self._chance.uniform(0.1, _STAY)):
                for act in acts:
                    await act()
                await asyncio.sleep(_STAY)
        except TimeoutError:
            pass  # Their time is over.
        finally:
            await self._room.disconnect()
            for microphone, _ in self._microphones:
                await microphone.close()

    @property
    def _acts(self) -> list[Callable[[], Awaitable[None]]]:
        return [self._publish, self._publish, self._speak, self._mute, self._replace, self._rename]

    async def _publish(self) -> None:
        microphone = Microphone()
        screen = self._chance.random() < _ODD
        publication = await microphone.publish(self._room, screen=screen)
        self._microphones.append((microphone, publication))
        if self._chance.random() < 0.3:
            microphone.mute()

    async def _speak(self) -> None:
        if self._microphones:
            microphone, _ = self._chance.choice(self._microphones)
            microphone.unmute()
            await microphone.play(self._clip)

    async def _mute(self) -> None:
        if self._microphones:
            self._chance.choice(self._microphones)[0].mute()

    async def _replace(self) -> None:
        if self._microphones:
            microphone, publication = self._microphones.pop(0)
            await self._publish()
            await self._room.local_participant.unpublish_track(publication.sid)
            await microphone.close()

    async def _rename(self) -> None:
        await self._room.local_participant.set_name(f"name {self._chance.randrange(100)}")


async def come_and_go(
    rooms: Rooms, room_name: str, *, joins: int, at_once: int, seed: int, log: JsonLines
) -> None:
    """Let ``joins`` visits happen, at most ``at_once`` at the same time."""
    chance = random.Random(seed)
    clip = read_samples(_CLIP, Microphone.RATE)
    places = asyncio.Semaphore(at_once)

    async def visit(number: int, own: random.Random) -> None:
        async with places:
            # Fewer names than places: some come again while they are still there.
            identity = f"guest-{own.randrange(at_once)}"
            log.write("visit", number=number, identity=identity)
            with suppress(Exception):  # rtc raises bare exceptions where a client is put out.
                await Guest(own, clip).visit(rooms, room_name, identity)

    async with asyncio.TaskGroup() as tasks:
        for number in range(joins):
            tasks.create_task(visit(number, random.Random(chance.random())))
    log.write("over")


def main() -> int:
    """Run the crowd from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.crowd", description=__doc__)
    parser.add_argument("--room", required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--joins", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with JsonLines(options.log) as log:
        run_until_stopped(
            come_and_go(
                Rooms.from_environment(),
                options.room,
                joins=options.joins,
                at_once=options.at_once,
                seed=options.seed,
                log=log,
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
