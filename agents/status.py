"""``worker.py status``: what the journals on this machine hold, how far the stores are, who waits.

Read from the files and the leases alone, while the worker runs and when it is dead; no text and no
names. Nothing is changed by looking.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.room_state import RoomState, waits
from pipelines.errors import JournalError
from pipelines.lease import Leases
from pipelines.settings import Settings
from pipelines.transcript.epochs import epoch_of, journals_in
from pipelines.transcript.flusher import read_checkpoint
from pipelines.transcript.journal import is_alive, read_journal
from pipelines.transcript.stores.files import FilesStore

_SHORT: Final = 120
"""Seconds, or minutes, that are not shown as something larger."""


@dataclass(frozen=True, slots=True)
class JournalStatus:
    """One journal: an epoch of a meeting that is not sealed yet.

    Args:
        meeting: The name of the meeting's directory.
        epoch: The writer's epoch.
        alive: Whether its writer lives, on this machine.
        lines: Whole lines.
        bytes: Size of the file.
        last_line_age: Seconds since the last line's time; None where there is none.
        lag: Store -> lines that it does not have yet.
    """

    meeting: str
    epoch: int
    alive: bool
    lines: int
    bytes: int
    last_line_age: float | None
    lag: dict[str, int]


@dataclass(frozen=True, slots=True)
class WaitingRoom:
    """A room whose job is gone, and that no other one serves yet.

    Args:
        room: Its name.
        deaths: How many of its jobs died lately, one after the other.
        asked: How often another one was asked for; 0 while it is put off because of the deaths.
        next_try: Seconds until one is asked for, or asked for again.
    """

    room: str
    deaths: int
    asked: int
    next_try: float


async def read_waiting(leases: Leases, agent_name: str) -> list[WaitingRoom]:
    """Return the rooms of an agent name that wait for their agent, in order of their names.

    Raises:
        LeaseError: The leases can't be reached.
    """
    found = []
    for lease in await leases.leases("room"):
        if lease.key.parts[1] == agent_name and waits(lease):
            state = RoomState.of(lease.state)
            next_try = round(max(0.0, lease.left), 3)
            room = WaitingRoom(lease.key.parts[0], len(state.restarts), state.asked, next_try)
            found.append(room)
    return found


def read_status(settings: Settings, *, now: float | None = None) -> list[JournalStatus]:
    """Read every journal, in order of meeting and epoch.

    Args:
        settings: Say where the journals are and which stores there are.
        now: Unix seconds; the clock's where None.

    Raises:
        JournalError: A journal or a directory can't be read.
    """
    now = time.time() if now is None else now
    stores = (FilesStore.name, *(store.name for store in settings.stores))
    try:
        # journals_in takes a directory that it may not read for an empty one, _entries does not.
        return [
            status
            for directory in _entries(settings.journal_dir)
            if directory.is_dir() and _entries(directory)
            for journal in journals_in(directory)
            if (status := _read(journal, stores, now))
        ]
    except OSError as error:
        raise JournalError(
            f"{error.filename or settings.journal_dir} can't be read ({error.strerror or error}): "
            "run this as the worker's user, with the worker's GREFFIER_DATA_DIR"
        ) from None


def status_json(journals: Sequence[JournalStatus], waiting: Sequence[WaitingRoom] | None) -> str:
    """Return the status as one JSON object: ``journals``, ``totals`` and ``waiting``.

    Args:
        journals: As they were read.
        waiting: Rooms that wait for their agent; None, and null, where nobody can tell.
    """
    status = {
        "journals": [asdict(one) for one in journals],
        "totals": _totals(journals),
        "waiting": None if waiting is None else [asdict(one) for one in waiting],
    }
    return json.dumps(status, indent=2)


def print_status(
    settings: Settings,
    journals: Sequence[JournalStatus],
    waiting: Sequence[WaitingRoom],
    console: Console | None = None,
) -> None:
    """Print the status for people."""
    console = console or Console()
    _print_journals(settings, journals, console)
    for room in waiting:
        console.print(Text(_waits(room), style="yellow"))


def _waits(room: WaitingRoom) -> str:
    said = f"{room.room}: waits for its agent, {room.deaths} died lately; "
    if room.asked:
        return f"{said}asked for {room.asked} times, again in {room.next_try:.0f} s"
    return f"{said}the next one is asked for in {room.next_try:.0f} s"


def _print_journals(
    settings: Settings, journals: Sequence[JournalStatus], console: Console
) -> None:
    if not journals:
        console.print(
            Text(f"No journals in {settings.journal_dir}: every meeting is sealed and stored.")
        )
        return
    totals = _totals(journals)
    table = Table(box=None, pad_edge=False, header_style="bold", show_footer=True)
    table.add_column("meeting", f"{len(journals)} journals", overflow="fold")
    table.add_column("epoch", justify="right")
    table.add_column("writer", f"{totals['alive']} alive")
    table.add_column("lines", str(totals["lines"]), justify="right")
    table.add_column("bytes", str(totals["bytes"]), justify="right")
    table.add_column("last line", justify="right")
    for store, lag in totals["lag"].items():
        table.add_column(f"{store} lacks", str(lag), justify="right")
    for one in journals:
        writer = Text("alive", style="green") if one.alive else Text("dead", style="yellow")
        table.add_row(
            Text(one.meeting),
            str(one.epoch),
            writer,
            str(one.lines),
            str(one.bytes),
            "" if one.last_line_age is None else _age(one.last_line_age),
            *(Text(str(lag), style="yellow" if lag else "") for lag in one.lag.values()),
        )
    console.print(table)


def _read(journal: Path, stores: Sequence[str], now: float) -> JournalStatus | None:
    # First, so that what is written and stored meanwhile makes the lag no smaller than it is.
    done = {store: read_checkpoint(journal, store) for store in stores}
    alive = is_alive(journal)
    try:
        size = journal.stat().st_size
    except FileNotFoundError:  # Sealed since the directory was read.
        return None
    lines = read_journal(journal).lines
    last = lines[-1] if lines else None
    return JournalStatus(
        meeting=journal.parent.name,
        epoch=epoch_of(journal),
        alive=alive,
        lines=len(lines),
        bytes=size,
        last_line_age=round(max(0.0, now - last.at), 3) if last else None,
        lag={
            store: max(0, last.sequence - sequence) if last else 0
            for store, sequence in done.items()
        },
    )


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except FileNotFoundError:  # Nothing was ever said, or it is sealed since.
        return []


def _totals(journals: Sequence[JournalStatus]) -> dict[str, Any]:
    stores = journals[0].lag if journals else ()
    return {
        "journals": len(journals),
        "alive": sum(one.alive for one in journals),
        "lines": sum(one.lines for one in journals),
        "bytes": sum(one.bytes for one in journals),
        "lag": {store: sum(one.lag[store] for one in journals) for store in stores},
    }


def _age(seconds: float) -> str:
    if seconds < _SHORT:
        return f"{seconds:.0f} s ago"
    if seconds < _SHORT * 60:
        return f"{seconds / 60:.0f} min ago"
    return f"{seconds / 3600:.0f} h ago"
