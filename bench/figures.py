"""Figures of the main job on this machine: how long captions take, and what the worker costs.

`make bench` runs it. Each figure is of one run with the load noted beside it; tests assert three
times a figure, or a ratio, never a figure itself.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from bench.caption_delay import caption_delays, percentile
from bench.child_process import ChildError
from bench.content_words import recall
from bench.go_program import ProgramMissingError
from bench.script import load_script
from bench.sealed_transcript import wait_for_seal
from bench.stage import set_up
from bench.worker_process import WorkerProcess

_SEAL_TIMEOUT = 60.0  # seconds
_LINGER = 5.0  # seconds


def cpu_seconds(worker: WorkerProcess) -> float:
    """Return the CPU time that the worker and all its living children have used so far."""
    total = 0.0
    for process in (psutil.Process(worker.pid), *worker.processes()):
        try:
            times = process.cpu_times()
        except psutil.Error:  # it has just ended
            continue
        total += times.user + times.system
    return total


def resident_bytes(worker: WorkerProcess) -> int:
    """Return the memory that the worker and its children have to themselves."""
    total = 0
    for process in (psutil.Process(worker.pid), *worker.processes()):
        try:
            total += process.memory_full_info().uss
        except psutil.Error:  # it has just ended
            continue
    return total


def measure(logs: Path, options: Sequence[str], console: Console) -> dict[str, Any]:
    """Hold the scripted meeting and return its figures; times are in seconds.

    Args:
        logs: Directory for the logs of all processes.
        options: More of the publisher's command line.
        console: Takes progress.

    Raises:
        ChildError: A process failed.
        TimeoutError: The meeting was not sealed.
    """
    with set_up(logs, room="bench", say=console.print) as stage:
        before, began = cpu_seconds(stage.worker), time.monotonic()
        with stage.people("--linger", str(_LINGER), *options) as people:
            console.print("The meeting is held")
            load: list[float] = []
            while people.running:
                load.append(os.getloadavg()[0])
                time.sleep(1)
            seconds = time.monotonic() - began
            cpu = (cpu_seconds(stage.worker) - before) / seconds
            memory = resident_bytes(stage.worker)
            if people.returncode != 0:
                raise people.error(f"ended with status {people.returncode}")
        stage.reader.stop()
        left = time.monotonic()
        sealed = wait_for_seal(stage.transcripts, timeout=_SEAL_TIMEOUT)
        seal_seconds = time.monotonic() - left
        delays = caption_delays(people.truth(), stage.reader.received())
        spoken = people.truth("speech_started")
        found = recall(((one["name"], one["text"]) for one in spoken), sealed.said())
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": round(max(load, default=0.0), 2),
        "utterances": len(delays),
        "without_final": sum(one.final is None for one in delays),
        "words_found": round(found.share, 3),
        **_spread("first_caption", [one.first for one in delays]),
        **_spread("final_after_speech", [one.final for one in delays]),
        "seal_after_leaving": round(seal_seconds, 3),
        "worker_cores": round(cpu, 3),
        "worker_mb": round(memory / 1e6),
    }


def _spread(name: str, values: Sequence[float | None]) -> dict[str, float]:
    there = [value for value in values if value is not None]
    if not there:
        return {}
    return {f"{name}_p{p}": round(percentile(there, p), 3) for p in (50, 95, 100)}


def figures(
    *,
    rounds: Annotated[int, typer.Option(help="How often the meeting is played.")] = 1,
    mute_between: Annotated[
        bool, typer.Option("--mute-between", help="Mute who does not speak.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Directory for figures and logs.")] = Path("out/bench"),
) -> None:
    """Measure the scripted meeting with the offline engine, as the demo runs it."""
    console = Console()
    options = ["--rounds", str(rounds), *(["--mute-between"] if mute_between else [])]
    try:
        found = measure(out / "logs", options, console)
    except (ChildError, ProgramMissingError, TimeoutError) as error:
        print(f"bench: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    file = out / "figures.json"
    file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    table = Table(
        "figure", "value", title=f"{len(load_script().speakers)} speakers, s where a time"
    )
    for name, value in found.items():
        table.add_row(name, str(value))
    console.print(table)
    console.print(str(file), soft_wrap=True)


if __name__ == "__main__":
    typer.run(figures)
