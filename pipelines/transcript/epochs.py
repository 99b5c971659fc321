"""The epochs of a meeting as its journals and its lines tell them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.transcript.paths import meeting_key


def journals_of(journal_dir: Path, meeting: str) -> list[Path]:
    """Return the paths of the meeting's journals, oldest epoch first."""
    return journals_in(journal_dir / meeting_key(meeting))


def journals_in(directory: Path) -> list[Path]:
    """Return the paths of the journals in one meeting's directory, oldest epoch first."""
    journals = (path for path in directory.glob("*.jsonl") if path.stem.isdecimal())
    return sorted(journals, key=epoch_of)


def epoch_of(journal: Path) -> int:
    """Return the epoch that a journal's file name carries."""
    return int(journal.stem)


def next_epoch(seen: Sequence[int], *, now: float) -> int:
    """Return an epoch above every one seen, and above every clock-made one: never lowered."""
    return max([*seen, int(now * 1000)]) + 1


def first_dispatch(opened: Iterable[Mapping[str, Any]], room_sid: str) -> str:
    """Return the id of the dispatch that asked for the agent first, in this room; or empty.

    Args:
        opened: The data of the meeting's ``opened`` lines, oldest first.
        room_sid: A dispatch belongs to one opening of a room.
    """
    here = (data for data in opened if data["room_sid"] == room_sid)
    return next((data["dispatch"] for data in here if data.get("dispatch")), "")
