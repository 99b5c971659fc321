"""What each trouble of a speech engine costs: words lost, delay added, what the room is told.

One speaker says 60 words, without a pause and in real time, through LiveKit's Deepgram plugin
(streaming) or its OpenAI plugin (batch) to a double of the service that has the trouble. Either the
service comes back, or it stays away and the other one is the fallback::

    python -m bench.engine_faults --json out/engine_faults.json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from bench.scripted_meeting import ScriptedMeeting, lost_and_doubled, spoken
from pipelines.settings import Settings
from pipelines.speech.engines import Engines
from pipelines.speech.heard import RATE
from pipelines.testing import SpeechServer, coded_speech, faults
from pipelines.testing.faults import Fault

KEY: Final = "the-key"
WORDS: Final = 60
AT_ONCE: Final = 8
"""Cases that run at the same time."""
LONGEST: Final = 60.0
"""Seconds after the end of the speech in which captions count."""

Engine = Literal["deepgram", "openai"]
Cure = Literal["comes back", "fallback", "none"]
OTHER: Final[dict[Engine, Engine]] = {"deepgram": "openai", "openai": "deepgram"}

TROUBLES: Final[dict[str, Fault]] = {
    "connect error": faults.REFUSE,
    "hang": faults.HANG,
    "429, Retry-After 3 s": faults.busy(3.0),
    "503": faults.UNAVAILABLE,
    "wrong key": faults.WRONG_KEY,
    "cut in mid-sentence": faults.cut(after=2),
    "garbage": faults.GARBAGE,
    "3 s late": faults.slow(3.0),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table.

    Args:
        trouble: Name in ``TROUBLES``; empty for none.
        engine: The engine that has it: ``deepgram`` streams, ``openai`` takes pieces.
        cure: ``comes back`` after ``times`` requests, ``fallback``: it stays away and the other
            engine takes over, ``none``: it stays away and there is no other.
        times: Requests that fail where it comes back.
    """

    trouble: str
    engine: Engine
    cure: Cure
    times: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case.

    Args:
        lost: Words that no final has.
        doubled: Words that finals have too often.
        latest: Longest time from the end of a word to its final, seconds; None where none came.
        told: What the room was told.
        holes: Seconds of speech that are marked as lost.
        refused: Requests to the engine with the trouble that failed.
        sockets_left: Streaming connections that were open at the end.
        usage: Engine -> seconds, as the transcriber keeps them.
    """

    case: Case
    lost: int
    doubled: int
    latest: float | None
    told: list[str]
    holes: int
    refused: int
    sockets_left: int
    usage: object


def cases() -> list[Case]:
    """Return every trouble x engine x cure; a wrong key does not come back by itself."""
    table: list[Case] = []
    for engine in OTHER:
        table.append(Case("", engine, "comes back", 0))
        for trouble in TROUBLES:
            if trouble == "3 s late":
                table.append(Case(trouble, engine, "comes back"))
                continue
            if trouble != "wrong key":
                table.append(Case(trouble, engine, "comes back", 2 if trouble == "503" else 1))
            table.append(Case(trouble, engine, "fallback"))
        table += [Case(trouble, engine, "none") for trouble in ("503", "wrong key")]
    return table


async def run_case(case: Case, *, words: int = WORDS, faster: float = 1.0) -> Outcome:
    """Hold one meeting; ``faster`` than real time only where the delay is not looked at."""
    said = coded_speech.words(words)
    samples = coded_speech.say(said)
    ended, over = asyncio.Event(), asyncio.Event()
    async with AsyncExitStack() as stack:
        servers = {
            name: await stack.enter_async_context(
                SpeechServer(key=KEY, interims=True, settles=True)
            )
            for name in OTHER
        }
        troubled = servers[case.engine]
        if case.trouble and case.cure == "comes back":
            troubled.faults.add(case.times, TROUBLES[case.trouble])
        elif case.trouble:
            troubled.faults.always(TROUBLES[case.trouble])
        engines = Engines(
            Settings(
                deepgram_api_key=KEY,
                openai_api_key=KEY,
                deepgram_base_url=servers["deepgram"].deepgram_url,
                openai_base_url=servers["openai"].openai_url,
                fallback_engine=OTHER[case.engine] if case.cure == "fallback" else "",
            )
        )
        stack.push_async_callback(engines.aclose)
        speech = spoken(samples, faster=faster, ended=ended)
        meeting = ScriptedMeeting(engines, {"speaker": speech})
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(meeting.hold(until=over, engine=case.engine))
            await ended.wait()
            ended_at = meeting.seconds
            with suppress(TimeoutError):
                async with asyncio.timeout(2.0 if case.cure == "none" else LONGEST):
                    while len(meeting.words) < words:  # noqa: ASYNC110 - captions come by polling
                        await asyncio.sleep(0.05)
            over.set()
        lost, doubled = lost_and_doubled(said, meeting.words)
        usage = dict(meeting.notes)["engine_seconds"]
        finals = {word: at for at, final in meeting.finals for word in final.text.split()}
        began = ended_at - len(samples) / RATE / faster
        delays = [
            finals[word] - began - (number + 1) * coded_speech.WORD / faster
            for number, word in enumerate(said)
            if word in finals
        ]
        return Outcome(
            case,
            lost,
            doubled,
            max(delays, default=None),
            meeting.told,
            len(meeting.holes),
            troubled.counts.refused,
            sum(server.counts.open_sockets for server in servers.values()),
            usage,
        )


async def run(table: Sequence[Case], *, words: int = WORDS, faster: float = 1.0) -> list[Outcome]:
    """Run the cases, some at a time."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(case: Case) -> Outcome:
        async with slots:
            return await run_case(case, words=words, faster=faster)

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one(case)) for case in table]
    return [task.result() for task in running]


def main() -> int:
    """Print the table; fail where words are lost although there was a cure."""
    parser = argparse.ArgumentParser(prog="python -m bench.engine_faults")
    parser.add_argument("--json", type=Path, help="file that takes the outcomes")
    options = parser.parse_args()
    outcomes = asyncio.run(run(cases()))
    without = {one.case.engine: one.latest or 0.0 for one in outcomes if not one.case.trouble}
    print("| engine | trouble | then | words lost | doubled | delay added, s | the room was told |")
    print("|---|---|---|---|---|---|---|")
    for one in outcomes:
        case = one.case
        late = "" if one.latest is None else f"{one.latest - without[case.engine]:.1f}"
        told = "; ".join(one.told[:-1]) or "nothing"
        kind = "streaming" if case.engine == "deepgram" else "batch"
        trouble = case.trouble or "none"
        row = (kind, trouble, case.cure, f"{one.lost} of {WORDS}", one.doubled, late, told)
        print("|", " | ".join(str(cell) for cell in row), "|")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1))
    bad = [one for one in outcomes if one.doubled or (one.lost and one.case.cure != "none")]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
