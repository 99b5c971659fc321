"""What a dead store costs a job in memory: the same meeting with it and without it.

Every line goes through ledger, journal and flushers, as in a job; one store is at an address where
nobody listens. Each run is a process of its own::

    python -m bench.store_memory --lines 50000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil
import stamina

from bench.child_process import ROOT
from bench.livekit_server import free_port
from bench.meeting_lines import STARTED, meeting_lines
from pipelines.transcript.early_copy import EarlyCopy
from pipelines.transcript.flusher import ATTEMPTS
from pipelines.transcript.ledger import Ledger
from pipelines.transcript.line import Line
from pipelines.transcript.stores.address import parse_addresses
from pipelines.transcript.stores.bounded import BoundedStore
from pipelines.transcript.stores.files import FilesStore
from pipelines.transcript.stores.redis import RedisStore
from pipelines.transcript.stores.store import Store

LINES: Final = 50_000
"""Some twelve hours of talk without a pause."""

_BURST: Final = 100


@dataclass(frozen=True, slots=True)
class Memory:
    """The resident memory of one run.

    Args:
        lines: How many were journalled.
        journal: Bytes they are.
        before: Bytes resident before the first line.
        after: Bytes resident at the end.
        peak: The most bytes that ever were.
        lag: Lines that the slowest store lacks at the end.
    """

    lines: int
    journal: int
    before: int
    after: int
    peak: int
    lag: int

    def __str__(self) -> str:
        mib = [f"{size / 2**20:.0f}" for size in (self.journal, self.before, self.after, self.peak)]
        return (
            f"{self.lines} lines, {mib[0]} MiB of journal: {mib[1]} MiB before, {mib[2]} after, "
            f"{mib[3]} at most; {self.lag} lines behind"
        )


class _Counted(RedisStore):
    """Nobody listens where it is; it counts how often it was asked."""

    asked = 0

    async def append(self, meeting: str, lines: Sequence[Line]) -> None:
        self.asked += 1
        await super().append(meeting, lines)


async def _hold(directory: Path, lines: int, *, dead: bool) -> Memory:
    meeting = "memory"
    stores: list[Store] = [FilesStore(directory / "store")]
    (address,) = parse_addresses(f"redis://127.0.0.1:{free_port()}/0")
    nobody = _Counted(address)
    if dead:
        stores.append(nobody)
    ledger = await Ledger.open(
        meeting,
        1,
        started_at=STARTED,
        journal_dir=directory / "journal",
        stores=[BoundedStore(store, 10.0) for store in stores],
        early=EarlyCopy(RedisStore(address), meeting) if dead else None,
    )
    before = psutil.Process().memory_info().rss
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ledger.run())
        for line in meeting_lines(meeting, 1, lines=lines, seed=1):
            ledger.append(line.kind, line.data, at=line.at)
            if line.sequence % _BURST == 0:
                await asyncio.sleep(0.001)
        asked = nobody.asked
        while nobody.asked < asked + 2 * ATTEMPTS if dead else ledger.lag:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.1)
        memory = Memory(
            lines=lines,
            journal=_bytes_in(directory / "journal"),
            before=before,
            after=psutil.Process().memory_info().rss,
            peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            lag=ledger.lag,
        )
        ledger.close()
    ledger.release()
    return memory


def _bytes_in(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.glob("*/*.jsonl"))


def measure(lines: int, *, dead: bool) -> Memory:
    """Journal ``lines`` lines in a process whose second store is ``dead``, or that has none."""
    command = [sys.executable, "-m", "bench.store_memory", "--lines", str(lines), "--child"]
    command.append("dead" if dead else "healthy")
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if said.returncode:
        raise RuntimeError(f"a run ended with status {said.returncode}:\n{said.stderr}")
    return Memory(**json.loads(said.stdout.splitlines()[-1]))


def main() -> int:
    """Print both runs."""
    parser = argparse.ArgumentParser(prog="python -m bench.store_memory", description=__doc__)
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--child", choices=("dead", "healthy"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.child:
        for dead in (False, True):
            print(f"{'dead' if dead else 'no'} store: {measure(options.lines, dead=dead)}")
        return 0
    logging.getLogger("pipelines").setLevel(logging.ERROR)
    stamina.instrumentation.set_on_retry_hooks([])
    with tempfile.TemporaryDirectory(prefix="greffier-memory-") as directory:
        dead = options.child == "dead"
        memory = asyncio.run(_hold(Path(directory), options.lines, dead=dead))
        print(json.dumps(asdict(memory)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
