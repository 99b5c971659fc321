"""One contract for every store: whatever fails at whatever place, each line is kept once."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.child_process import ChildProcess
from bench.disk_faults import DISK_FAULTS
from bench.json_lines import read_json_lines
from bench.store_faults import STORES
from bench.store_memory import LINES, measure
from bench.store_targets import FAULTS, FaultName
from bench.versitygw_binary import VERSITYGW

CELLS = [
    (store, fault) for store in STORES for fault in (DISK_FAULTS if store == "files" else FAULTS)
]
GONE = 3  # seconds
GROWTH = 24 << 20  # bytes; about none on a quiet machine, and the journal has 19 MiB
LATEST = 280  # seconds for what takes some 40 on two cores


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stores")


@pytest.fixture(scope="module")
def tried(directory: Path) -> Iterator[dict[str, ChildProcess]]:
    """Every store under all its faults, at the same time: they wait more than they work.

    Each kind is a process of its own, because a full disk is made by a limit of the process.
    """
    needed = {"redis": shutil.which("redis-server"), "s3": VERSITYGW.find()}
    with ExitStack() as stack:
        processes = {}
        for store in STORES:
            if needed.get(store, "nothing"):
                options = ("--stores", store, "--gone", str(GONE), "--out", str(directory / store))
                command = [sys.executable, "-m", "bench.store_faults", *options]
                process = ChildProcess(
                    f"faults of {store}", command, log=directory / f"{store}.log"
                )
                processes[store] = stack.enter_context(process)
        yield processes


@pytest.mark.parametrize(("store", "fault"), CELLS, ids=["-".join(cell) for cell in CELLS])
def test_every_line_is_kept_once_whatever_fails(
    tried: dict[str, ChildProcess], directory: Path, store: str, fault: FaultName
) -> None:
    if store not in tried:
        pytest.skip(f"no server for {store}: redis-server, or `python -m bench.versitygw_binary`")
    tried[store].wait(timeout=LATEST)
    found = [line for line in read_json_lines(directory / store) if line["fault"] == fault]
    assert found, tried[store].error("told nothing of it")
    assert found[0]["kept"], found[0]


def test_a_dead_store_does_not_make_a_job_grow_with_what_waits_for_it() -> None:
    with ThreadPoolExecutor() as both:
        runs = both.map(lambda dead: measure(LINES, dead=dead), (False, True))
    healthy, dead = runs
    assert dead.lag == dead.lines
    growth = dead.peak - dead.before - (healthy.peak - healthy.before)
    assert growth < GROWTH, f"with a dead store: {dead}; without: {healthy}"
