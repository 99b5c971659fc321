"""Hold meetings under faults until there were enough; results and seeds are appended to a file.

A run that was cut off goes on where it was: the same seed gives the same schedule, and strikes that
are in the file are not held again. Networks, disks and clocks that can be broken need root, which
gets a network namespace of its own; without it those kinds are left out, and said so::

    python -m bench.soak --faults 200 --seed 1 --out out/soak.jsonl
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Final

from bench.json_lines import read_json_lines
from bench.soak import network
from bench.soak.faults import possible
from bench.soak.meeting import CountingMeeting, Held
from bench.soak.schedule import KINDS, Kind, Strike, schedule
from bench.soak.stack import Stack
from bench.soak.table import print_tables

PER_MEETING: Final = 10
"""Faults in one meeting."""
_NAMESPACE: Final = "GREFFIER_SOAK_NAMESPACE"  # set in the process that has one of its own


def run(seed: int, strikes: Sequence[Strike], directory: Path, *, whole: bool) -> Iterator[Held]:
    """Hold a meeting for every ``PER_MEETING`` strikes on one set of servers."""
    left = list(strikes)
    with Stack(directory, whole=whole) as stack:
        there = possible(stack)
        number = 0
        while left:
            number += 1
            now, left = left[:PER_MEETING], left[PER_MEETING:]
            now = [one for one in now if one.kind in there]
            room = f"soak-{seed}-{now[0].number}-{number}"
            own = directory / room
            own.mkdir()
            meeting = CountingMeeting(stack, room, own, seed=seed, say=_say)
            held = asyncio.run(meeting.hold(now))
            yield held
            struck = {one.strike.number for one in held.struck}
            left = [one for one in now if one.number not in struck] + left


def rows(held: Held, seed: int) -> Iterator[dict[str, Any]]:
    """Return what is written of a meeting: its faults, then the meeting itself."""
    for one in held.struck:
        fields = asdict(one)
        fault = fields.pop("strike")
        own = fault.pop("seed")
        start = {"event": "fault", "seed": seed, "room": held.room, "strike": own}
        yield {**start, **fault, **fields}
    yield {
        "event": "meeting",
        "seed": seed,
        "room": held.room,
        "faults": len(held.struck),
        "kept": held.kept,
        "meetings": held.meetings,
        "journals": held.journals,
        "seconds": held.seconds,
        **asdict(held.verdict),
    }


def left_of(strikes: Iterable[Strike], seed: int, out: Path) -> list[Strike]:
    """Return the strikes of ``seed`` that are not in the file yet."""
    done = {one["number"] for one in read_json_lines(out, "fault") if one["seed"] == seed}
    return [one for one in strikes if one.number not in done]


def main() -> int:
    """Run the soak from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--faults", type=int, default=200, help="in the whole file, of this seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--out", type=Path, default=Path("out/soak.jsonl"))
    parser.add_argument("--keep", type=Path, help="directory of logs that stays")
    options = parser.parse_args()
    if network.there() and not os.environ.get(_NAMESPACE):
        command = ["unshare", "--net", "--mount", sys.executable, "-m", "bench.soak", *sys.argv[1:]]
        os.execvpe("unshare", command, {**os.environ, _NAMESPACE: "1"})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # So that everything is taken down.
    kept = _hold(options.seed, options.faults, options.kinds, options.out, options.keep)
    print_tables(read_json_lines(options.out))
    return 0 if kept else 1


def _hold(seed: int, faults: int, kinds: Sequence[Kind], out: Path, keep: Path | None) -> bool:
    out.parent.mkdir(parents=True, exist_ok=True)
    strikes = left_of(islice(schedule(seed, kinds=kinds), faults), seed, out)
    if not strikes:
        return True
    whole = network.there()
    if not whole:
        _say("not root, or no iproute2: faults of networks, disks and clocks are left out")
    kept = True
    with tempfile.TemporaryDirectory(prefix="greffier-soak-") as temporary:
        directory = (keep or Path(temporary)).resolve()
        directory.mkdir(parents=True, exist_ok=True)
        with out.open("a") as log:
            for held in run(seed, strikes, directory, whole=whole):
                log.writelines(json.dumps(row) + "\n" for row in rows(held, seed))
                log.flush()
                _say(f"{held.room}: {held.verdict}")
                kept &= held.kept
    return kept


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
