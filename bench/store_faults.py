"""Break every store at every named place, and count what became of every line.

A thousand lines of a meeting for each fault; ``bench/store_cell.py`` says what is done with them::

    python -m bench.store_faults --gone 60
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

import stamina
from rich.console import Console
from rich.table import Table

from bench.disk_faults import DISK_FAULTS, FULL_DISK, DiskTarget
from bench.store_cell import Cell, Outcome
from bench.store_servers import SERVERS
from bench.store_targets import FAULTS, FaultName, StoreServer, Target, behind_proxy

STORES: Final = ("files", *SERVERS)


async def try_store(
    store: str,
    directory: Path,
    *,
    faults: Sequence[FaultName] = FAULTS,
    lines: int = 1_000,
    gone: float = 60.0,
    seed: int = 1,
) -> list[Outcome]:
    """Try ``faults`` on one kind of store and return what became of the lines.

    Args:
        store: One of ``STORES``.
        directory: Takes data, journals and logs.
        faults: Those that the store has none of are left out.
        lines: Of each meeting.
        gone: Seconds that the server is away, and that a wrong key is tried.
        seed: Of lines and bursts.
    """

    async def run(target: Target, fault: FaultName) -> Outcome:
        own = directory / fault.replace(" ", "-")
        own.mkdir(exist_ok=True)
        return await Cell(target, own, lines=lines, seed=seed).run(store, fault, gone=gone)

    async def behind(server: StoreServer, fault: FaultName) -> Outcome:
        async with behind_proxy(server) as target:
            return await run(target, fault)

    async def alone(fault: FaultName) -> Outcome:
        async with _running(SERVERS[store](directory / "own-server")) as server:
            return await behind(server, fault)

    if store == "files":
        disks = {
            fault: DiskTarget(directory / "disk" / fault)
            for fault in faults
            if fault in DISK_FAULTS
        }
        full = [await run(disks.pop(fault), fault) for fault in FULL_DISK if fault in disks]
        return full + await asyncio.gather(*(run(disk, fault) for fault, disk in disks.items()))
    async with _running(SERVERS[store](directory / "server")) as server:
        cells = [
            alone(fault) if fault == "gone and back" else behind(server, fault) for fault in faults
        ]
        return await asyncio.gather(*cells)


@asynccontextmanager
async def _running(server: StoreServer) -> AsyncIterator[StoreServer]:
    await asyncio.to_thread(server.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(server.__exit__)


def table(outcomes: Sequence[Outcome]) -> Table:
    """Show the outcomes; what was not kept is marked."""
    shown = ("lines", "lost", "doubled", "misread", "asked", "seconds")
    made = Table("store", "fault", *shown, "kept", title="Stores under faults")
    for one in outcomes:
        figures = (str(getattr(one, name)) for name in shown)
        made.add_row(one.store, one.fault, *figures, "yes" if one.kept else "[bold red]NO")
    return made


def main() -> int:
    """Run the bench from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.store_faults", description=__doc__)
    parser.add_argument("--stores", nargs="+", choices=STORES, default=STORES)
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=FAULTS)
    parser.add_argument("--lines", type=int, default=1_000)
    parser.add_argument("--gone", type=float, default=60.0, help="seconds without the server")
    parser.add_argument("--rounds", type=int, default=1, help="each with a seed of its own")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("out/store-faults.jsonl"))
    options = parser.parse_args()
    # That a store fails is no news here.
    logging.getLogger("pipelines").setLevel(logging.ERROR)
    stamina.instrumentation.set_on_retry_hooks([])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    with options.out.open("a") as log:
        for seed in range(options.seed, options.seed + options.rounds):
            for store in options.stores:
                with tempfile.TemporaryDirectory(prefix="greffier-faults-") as directory:
                    found = asyncio.run(
                        try_store(
                            store,
                            Path(directory),
                            faults=options.faults,
                            lines=options.lines,
                            gone=options.gone,
                            seed=seed,
                        )
                    )
                outcomes += found
                for one in found:
                    log.write(json.dumps({**asdict(one), "kept": one.kept, "seed": seed}) + "\n")
                Console(width=100).print(table(found))
    return 0 if all(one.kept for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
