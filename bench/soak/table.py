"""The tables of a soak: what each kind of fault cost, and what became of what was said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench.caption_delay import percentile

_TIMES: Final[Mapping[str, Callable[[Mapping[str, Any]], float | None]]] = {
    "detected": lambda row: row["detected"],
    "joined": lambda row: row["joined"],
    "captioned": lambda row: row["captioned"],
    "unheard until": lambda row: row["unheard"]["until"],
    "longest gap": lambda row: row["unheard"]["gap"],
}


def print_tables(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print both tables of the rows that a soak has written."""
    rows = list(rows)
    console = Console(width=140)
    console.print(faults_table([row for row in rows if row["event"] == "fault"]))
    console.print(kept_table([row for row in rows if row["event"] == "meeting"]))


def faults_table(faults: Sequence[Mapping[str, Any]]) -> Table:
    """Return one line for each kind: seconds from the strike, p50 and p95."""
    made = Table("fault", "struck", "replaced", *_TIMES, "recovered", title="Faults: p50 / p95, s")
    kinds = sorted({row["kind"] for row in faults})
    for kind in [*kinds, "all"]:
        own = [row for row in faults if kind in (row["kind"], "all") and row["at"]]
        if not own:
            continue
        times = (_spread(map(time, own)) for time in _TIMES.values())
        replaced = sum(row["joined"] is not None for row in own)
        recovered = sum(row["recovered"] for row in own)
        made.add_row(kind, f"{len(own)}", f"{replaced}", *times, f"{recovered}")
    return made


def kept_table(meetings: Sequence[Mapping[str, Any]]) -> Table:
    """Return one line for each thing that is counted."""

    def total(name: str, count: Callable[[Any], int] = int) -> str:
        return str(sum(count(row[name]) for row in meetings))

    def in_stores(name: str) -> str:
        return str(sum(len(segments) for row in meetings for segments in row[name].values()))

    made = Table("counted", "", title=f"{len(meetings)} meetings")
    for name in ("said", "heard", "journalled", "published", "sealed"):
        made.add_row(f"numbers {name}", total(name))
    made.add_row("finals published", total("finals"))
    for name in ("lost_finals", "lost_numbers", "doubled_finals", "doubled_numbers", "foreign"):
        made.add_row(name.replace("_", " "), total(name, len))
    made.add_row("finals missing in a store", in_stores("not_stored"))
    made.add_row("finals doubled in a store", in_stores("doubled_in_store"))
    made.add_row("holes marked", total("holes"))
    made.add_row("numbers heard though a hole is marked", total("heard_in_holes"))
    made.add_row("numbers unheard in marked holes", total("in_holes"))
    made.add_row("numbers unheard in gaps below 1.2 s", total("short"))
    made.add_row("numbers unheard and unmarked", total("unmarked", len))
    made.add_row("meetings split in two", str(sum(row["meetings"] != 1 for row in meetings)))
    made.add_row("journals left over", total("journals"))
    return made


def _spread(values: Iterable[float | None]) -> str:
    there = [value for value in values if value is not None]
    return f"{median(there):.2f} / {percentile(there, 95):.2f}" if there else "-"
