"""Whether a room that was made anew goes on with the meeting before: LiveKit was restarted.

Only for meetings that have no id of their own; theirs is the room's name and its first SID.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from pipelines.errors import StoreError
from pipelines.transcript.epochs import journals_in, journals_of
from pipelines.transcript.journal import last_sign, read_journal
from pipelines.transcript.resume import Before, goes_on
from pipelines.transcript.stores.files import FilesStore


async def continued_meeting(
    before: Before | None,
    *,
    room: str,
    room_sid: str,
    within: float,
    now: float,
    journal_dir: Path,
    files: FilesStore,
) -> str:
    """Return the id of the meeting that the room is to go on with, or an empty string.

    Args:
        before: What the lease tells of the epoch before; without it the journals here are asked.
        room: Name of the room.
        room_sid: Of the room as it is now.
        within: Seconds since the last sign of life up to which a new room is the same meeting.
        now: Unix seconds.
        journal_dir: Where the journals of all meetings are.
        files: Where sealed meetings are.
    """
    if before is None or not before.meeting:
        before = await asyncio.to_thread(
            last_journalled, journal_dir, room=room, room_sid=room_sid, now=now
        )
    if before is None or not goes_on(before, room=room, room_sid=room_sid, within=within):
        return ""
    if before.room_sid != room_sid and await _is_over(before.meeting, journal_dir, files):
        return ""
    return before.meeting


def last_journalled(journal_dir: Path, *, room: str, room_sid: str, now: float) -> Before | None:
    """Return what the journals here tell of the epoch before in this room; None if nothing.

    Args:
        journal_dir: Where the journals of all meetings are.
        room: Name of the room.
        room_sid: Of the room; a meeting that was in this one already is before any other.
        now: Unix seconds.
    """
    found: list[Before] = []
    for directory in journal_dir.glob("*"):
        if not (journals := journals_in(directory)):
            continue
        opened = read_journal(journals[-1], most=1).lines
        if opened and opened[0].kind == "opened" and opened[0].data["room"] == room:
            age = now - max(map(last_sign, journals))
            found.append(Before(opened[0].meeting, opened[0].data["room_sid"], age))
    own = [before for before in found if before.meeting.startswith(f"{room}/")]
    return min(own, key=lambda before: (before.room_sid != room_sid, before.age), default=None)


async def _is_over(meeting: str, journal_dir: Path, files: FilesStore) -> bool:
    """Tell whether a meeting has ended in good order, or recovery has sealed it."""
    if journals := await asyncio.to_thread(journals_of, journal_dir, meeting):
        lines = (await asyncio.to_thread(read_journal, journals[-1])).lines
        return bool(lines) and lines[-1].kind == "ended"
    try:
        seals = await files.seals(meeting)
        lines = await files.read(meeting)
    except StoreError:
        return False  # What it can't tell is no reason to part a meeting.
    return bool(seals) and seals[max(seals)] == dict(Counter(line.epoch for line in lines))
