"""People who speak: a process that joins a room as the speakers of a script and plays their files.

It logs the wall time of the first and last sample of every utterance's speech: the ground truth of
every figure. The server's address and key come from LiveKit's three environment variables::

    python -m bench.publisher --room standup --log truth.jsonl
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from bench.audio_file import Clip, read_clip
from bench.client_processes import NOBODY_LISTENS
from bench.json_lines import JsonLines
from bench.microphone import Microphone
from bench.rooms import Rooms
from bench.script import (
    SCRIPTED_MEETING,
    Script,
    ScriptError,
    Utterance,
    load_script,
    script_of_directory,
)
from bench.talker import Delivery, Talker, talker
from bench.until_stopped import run_until_stopped

_LEAD_IN = 0.5  # seconds from "everybody is there" to second 0 of the script
_BETWEEN_ROUNDS = 1.0  # seconds


class NobodyListensError(TimeoutError):
    """Nobody subscribed to a microphone in time."""


async def play(rooms: Rooms, room: str, script: Script, log: JsonLines, delivery: Delivery) -> None:
    """Play ``script`` in ``room`` in real time; everybody is in the room from its start to its end.

    Raises:
        NobodyListensError: A track had no subscriber for ``delivery.wait_subscribed`` seconds.
    """
    clips = {line.file: read_clip(line.file, Microphone.RATE) for line in script.utterances}
    length = max(line.at + clips[line.file].seconds for line in script.utterances)
    async with rooms, AsyncExitStack() as stack:
        talkers = {
            speaker.identity: await stack.enter_async_context(
                talker(rooms, room, speaker, log, delivery)
            )
            for speaker in script.speakers
        }
        if delivery.wait_subscribed:
            await _wait_subscribed(talkers.values(), delivery.wait_subscribed)
        start = time.time() + _LEAD_IN
        starts = [start + n * (length + _BETWEEN_ROUNDS) for n in range(delivery.rounds)]
        end = starts[-1] + length + delivery.linger
        log.write("meeting_started", at=start, seconds=end - start)
        async with asyncio.TaskGroup() as group:
            for identity, one in talkers.items():
                group.create_task(_take_part(one, script.of(identity), clips, starts, end))
        log.write("meeting_ended", at=time.time())


async def _wait_subscribed(talkers: Iterable[Talker], seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            for one in talkers:
                await one.wait_subscribed()
    except TimeoutError:
        raise NobodyListensError(f"nobody subscribed to the microphones in {seconds:g} s") from None


async def _take_part(
    one: Talker,
    utterances: Sequence[Utterance],
    clips: Mapping[Path, Clip],
    starts: Sequence[float],
    end: float,
) -> None:
    for start in starts:
        for utterance in utterances:
            await one.say(utterance, clips[utterance.file], start)
    await one.be_silent(end)


def main() -> int:
    """Run the publisher from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.publisher", description=__doc__)
    parser.add_argument("--room", required=True)
    parser.add_argument("--log", type=Path, required=True, help="JSON Lines with the ground truth")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--script", type=Path, default=SCRIPTED_MEETING, help="a script.json")
    source.add_argument("--audio", type=Path, help="directory of audio files, one speaker each")
    default = Delivery()
    parser.add_argument("--mute-between", action="store_true", help="mute who does not speak")
    parser.add_argument("--wait-subscribed", type=float, default=default.wait_subscribed)
    parser.add_argument("--linger", type=float, default=default.linger)
    parser.add_argument("--rounds", type=int, default=default.rounds)
    parser.add_argument("--queue-ms", type=int, default=default.queue_ms)
    parser.add_argument("--unmute-before", type=float, default=default.unmute_before)
    parser.add_argument("--key", default=default.key, help="of end-to-end encryption")
    options = parser.parse_args()
    try:
        script = (
            script_of_directory(options.audio) if options.audio else load_script(options.script)
        )
    except ScriptError as error:
        parser.error(str(error))
    delivery = Delivery(
        mute_between=options.mute_between,
        wait_subscribed=options.wait_subscribed,
        linger=options.linger,
        rounds=options.rounds,
        queue_ms=options.queue_ms,
        unmute_before=options.unmute_before,
        key=options.key,
    )
    with JsonLines(options.log) as log:
        try:
            run_until_stopped(play(Rooms.from_environment(), options.room, script, log, delivery))
        except NobodyListensError as error:
            print(error, file=sys.stderr)
            return NOBODY_LISTENS
    return 0


if __name__ == "__main__":
    sys.exit(main())
