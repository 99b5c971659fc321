"""Is the first word whole in the audio that an engine is given, and the last one?

People unmute, say a word 0, 50 or 200 ms later, and mute at its last sample. The word is coded
(``bench/coded_word.py``): what is missing of it is measured. Then the same with the agent's path to
LiveKit's signalling 100 and 300 ms slower than the media, without and with the setting
``GREFFIER_UNMUTE_BRIDGE_MS``, and what that costs in CPU::

    python -m bench.first_word
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
import tempfile
import time
import wave
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np

from bench.caption_delay import percentile
from bench.client_processes import PublisherProcess
from bench.coded_word import Match, coded_word, find_word
from bench.hearing import Hearing, Span, hearing
from bench.livekit_server import LiveKitServer
from bench.microphone import Microphone
from bench.rooms import Rooms
from bench.slow_path import SlowPath
from pipelines.speech.vad import SAMPLE_RATE

AFTER_UNMUTE: Final = (0.0, 0.05, 0.2)
"""Seconds from unmute to the word."""
SLOWER: Final = (0.0, 0.1, 0.3)
"""Seconds by which the agent's signalling is later than the media, each way."""
BRIDGE: Final = 0.5
"""Seconds that the cure keeps of a muted microphone."""

_PERIOD: Final = 3.0  # seconds between a speaker's words
_ENCODING: Final = 0.10  # seconds from a word's last sample to the mute
_TIMEOUT: Final = 60.0
_AROUND: Final = 1.0  # seconds by which a span may lie beside what the publisher logged


@dataclass(frozen=True, slots=True)
class Trials:
    """What became of the words of one kind.

    Args:
        matches: Of each word, how much of it was heard; None where it was not heard at all.
    """

    matches: tuple[Match | None, ...]

    @property
    def first_whole(self) -> int:
        """How many words have a whole beginning."""
        return sum(match is not None and match.begins_whole for match in self.matches)

    @property
    def last_whole(self) -> int:
        """How many words have a whole end."""
        return sum(match is not None and match.ends_whole for match in self.matches)

    def __str__(self) -> str:
        lost = [match.lost * 1000 for match in self.matches if match]
        worst = f"p50 {percentile(lost, 50):.0f}, max {max(lost):.0f} ms lost" if lost else ""
        return (
            f"n={len(self.matches)} first word whole {self.first_whole}, "
            f"last word whole {self.last_whole}; {worst}"
        )


async def hold_trials(
    server: LiveKitServer,
    directory: Path,
    *,
    words: int,
    speakers: int,
    slower: float = 0.0,
    bridge: float = 0.0,
    after_unmute: Sequence[float] = AFTER_UNMUTE,
) -> dict[float, Trials]:
    """Hold one meeting in which everybody unmutes, says a word and mutes, again and again.

    Args:
        server: Where the room is.
        directory: Takes scripts and logs.
        words: How many words each speaker says.
        speakers: How many there are for each kind of trial.
        slower: Seconds by which the agent's signalling is later, each way.
        bridge: Seconds that are kept of a muted microphone.
        after_unmute: The kinds: seconds from unmute to the word.

    Returns:
        The trials of each kind.
    """
    room = f"words-{secrets.token_hex(3)}"
    rooms = Rooms(server.url, server.api_key, server.api_secret)
    port = urlsplit(server.url).port or 0
    scripts = {
        after: _script(directory, f"{room}-after-{after * 1000:.0f}", speakers, words)
        for after in after_unmute
    }
    async with SlowPath(port, slower) as path:
        agent = hearing(rooms, room, url=path.url if slower else "", bridge=bridge)
        async with agent as heard:
            with ExitStack() as stack:
                people = {
                    after: stack.enter_context(
                        _people(server, directory, room, after=after, script=script)
                    )
                    for after, script in scripts.items()
                }
                limit = _TIMEOUT + words * _PERIOD
                for one in people.values():
                    status = await asyncio.to_thread(one.wait, timeout=limit)
                    # Not the status: livekit 1.1.21 aborts now and then when Python is finalised.
                    if not one.truth("meeting_ended"):
                        raise one.error(f"ended with status {status} in the middle")
    return {after: _trials(one.truth(), heard) for after, one in people.items()}


async def muted_cost(
    server: LiveKitServer, directory: Path, *, muted: int, seconds: float, bridge: float
) -> float:
    """Return the share of a core that an agent takes in a room where ``muted`` people are muted."""
    room = f"muted-{secrets.token_hex(3)}"
    rooms = Rooms(server.url, server.api_key, server.api_secret)
    async with hearing(rooms, room, bridge=bridge):
        script = _script(directory, room, muted, 1, begin=seconds + 8.0)
        options = ["--script", str(script), "--mute-between", "--wait-subscribed", "30"]
        with PublisherProcess(server.env(), room, *options, directory=directory, name=room) as one:
            while not one.truth("meeting_started"):  # noqa: ASYNC110 - in another process
                await asyncio.sleep(0.1)
            await asyncio.sleep(2.0)
            began, cpu = time.monotonic(), time.process_time()
            await asyncio.sleep(seconds)
            return (time.process_time() - cpu) / (time.monotonic() - began)


def _people(
    server: LiveKitServer, directory: Path, room: str, *, after: float, script: Path
) -> PublisherProcess:
    options = ["--script", str(script), "--mute-between", "--unmute-before", str(after)]
    wait = ["--wait-subscribed", "30", "--linger", "1"]
    return PublisherProcess(
        server.env(), room, *options, *wait, directory=directory, name=script.stem
    )


def _script(directory: Path, name: str, speakers: int, words: int, *, begin: float = 1.0) -> Path:
    path = directory / f"{name}.json"
    sound = path.with_name("word.wav")
    if not sound.exists():
        with wave.open(str(sound), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(Microphone.RATE)
            # What is in its encoder when somebody mutes is lost to the sender: one frame of Opus.
            encoding = np.zeros(round(Microphone.RATE * _ENCODING), np.int16)
            word = np.concatenate([coded_word(Microphone.RATE), encoding])
            file.writeframes(word.tobytes())
    identities = [f"{name}-{number}" for number in range(speakers)]
    script = {
        "speakers": [{"identity": one, "name": one} for one in identities],
        "utterances": [
            {
                "at": begin + turn * _PERIOD + index * _PERIOD / speakers,
                "identity": one,
                "file": sound.name,
                "text": "",
            }
            for turn in range(words)
            for index, one in enumerate(identities)
        ],
    }
    path.write_text(json.dumps(script), encoding="utf-8")
    return path


def _trials(truth: Iterable[dict[str, Any]], heard: Hearing) -> Trials:
    lines = list(truth)
    starts = [line for line in lines if line["event"] == "speech_started"]
    ends = [line["at"] for line in lines if line["event"] == "speech_ended"]
    assert len(starts) == len(ends)
    return Trials(tuple(_match(line, heard.spans[line["identity"]]) for line in starts))


def _match(said: dict[str, Any], spans: Iterable[Span]) -> Match | None:
    end = said["at"] + len(coded_word(SAMPLE_RATE)) / SAMPLE_RATE
    near = (
        find_word(span.samples, SAMPLE_RATE)
        for span in spans
        if span.at < end + _AROUND and span.end > said["at"] - _AROUND
    )
    return next((match for match in near if match), None)


async def _measure(server: LiveKitServer, directory: Path, words: int, speakers: int) -> None:
    for slower, bridge in product(SLOWER, (0.0, BRIDGE)):
        if bridge and not slower:
            continue
        results = await hold_trials(
            server, directory, words=words, speakers=speakers, slower=slower, bridge=bridge
        )
        print(f"signalling {slower * 1000:.0f} ms slower, bridge {bridge * 1000:.0f} ms:")
        for after, trials in results.items():
            print(f"  {after * 1000:3.0f} ms after unmute: {trials}")
        print(f"  load {os.getloadavg()[0]:.1f}", flush=True)
    for bridge in (0.0, BRIDGE, 0.0, BRIDGE):
        share = await muted_cost(server, directory, muted=20, seconds=20.0, bridge=bridge)
        load = f"load {os.getloadavg()[0]:.1f}"
        print(f"20 muted, bridge {bridge * 1000:.0f} ms: {share:.1%} of a core; {load}", flush=True)


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.first_word", description=__doc__)
    parser.add_argument("--trials", type=int, default=100, help="of each kind")
    parser.add_argument("--speakers", type=int, default=2, help="of each kind")
    options = parser.parse_args()
    words = -(-options.trials // options.speakers)
    with tempfile.TemporaryDirectory(prefix="greffier-words-") as directory:
        logs = Path(directory)
        with LiveKitServer(logs) as server:
            asyncio.run(_measure(server, logs, words, options.speakers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
