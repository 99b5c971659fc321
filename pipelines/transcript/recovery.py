"""What is left behind: journals of jobs that died, meetings of hosts that vanished."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from pipelines.errors import StoreError
from pipelines.transcript.epochs import epoch_of, first_dispatch, journals_in, journals_of
from pipelines.transcript.journal import is_alive, last_sign, read_journal
from pipelines.transcript.line import Line
from pipelines.transcript.paths import meeting_key
from pipelines.transcript.resume import may_go_on
from pipelines.transcript.seal import ClosingStep, close_meeting, delete_journal, replay
from pipelines.transcript.stores.files import FilesStore
from pipelines.transcript.stores.left_alone import LeftAlone
from pipelines.transcript.stores.store import CheckpointStore, Store

log = logging.getLogger(__name__)

IsOpen = Callable[[str, str, str], Awaitable[bool]]
"""Tells whether the room of this name and SID is open, and the dispatch of this id still asks for
an agent in it (an empty id is not looked for); raises ConnectionError if unknown."""

IsServed = Callable[[str], Awaitable[bool]]
"""Tells whether somebody alive has the meeting of this id; raises ConnectionError if unknown."""

_IsOver = Callable[[Sequence[Line]], Awaitable[bool]]


class UnsealedIndex(CheckpointStore, Protocol):
    """A store that knows which meetings are not sealed yet, of every host."""

    async def unsealed(self, *, idle: float) -> list[str]:
        """Return the ids of those that nothing was written to for ``idle`` seconds.

        Raises:
            StoreError: It can't be asked.
        """

    async def touch(self, meeting: str) -> None:
        """Note that a host has the meeting's journal and sees to it: it is not idle.

        Raises:
            StoreError: It can't be asked.
        """

    async def read(self, meeting: str) -> list[Line]:
        """Return what it has of a meeting; see ``Store.read``."""

    async def sealed(self, meeting: str, lines: int) -> None:
        """Forget a meeting of which nobody has more lines; see ``Store.sealed``."""


async def recover(
    journal_dir: Path,
    stores: Sequence[Store],
    *,
    is_open: IsOpen,
    is_served: IsServed | None = None,
    finish: ClosingStep | None = None,
    index: UnsealedIndex | None = None,
    vanished_after: float = 60.0,
    continue_within: float = 60.0,
) -> None:
    """Replay the journals whose writers are gone, and seal the meetings that are over.

    A meeting is over when its last epoch ended in good order or its room is no longer open, and a
    recording when its dispatch is gone; others wait for the job that takes them over. One that a
    job has is not.

    Args:
        journal_dir: The journals of this host, or of the volume that hosts share.
        stores: Where the lines belong.
        is_open: Asks LiveKit.
        is_served: Asks for the leases: a job that ends still has lines to write after its room is
            closed, on whatever host.
        finish: What else is done when a meeting is closed; see ``close_meeting``.
        index: Also knows meetings whose host vanished with its journal.
        vanished_after: Seconds without a line, and without a look of the host that has the
            journal, after which such a meeting is looked at; ``continue_within`` at least.
        continue_within: Seconds after its last sign of life in which a meeting goes on if its room
            opens anew.
    """
    is_over = partial(_is_over, is_open=is_open, is_served=is_served)
    # A store that is away is found out once a look, not once a meeting.
    stores = [store if isinstance(store, FilesStore) else LeftAlone(store) for store in stores]
    for directory in await asyncio.to_thread(_directories, journal_dir):
        with _logged(directory.name):
            await _recover_meeting(
                directory,
                journal_dir,
                stores,
                is_over=is_over,
                finish=finish,
                index=index,
                continue_within=continue_within,
            )
    if index is None:
        return
    with _logged("index"):
        # Not before a room that opens anew no longer goes on with it.
        for meeting in await index.unsealed(idle=max(vanished_after, continue_within)):
            with _logged(meeting_key(meeting)):
                await _recover_vanished(
                    meeting, journal_dir, stores, is_over=is_over, finish=finish, index=index
                )


@contextmanager
def _logged(meeting: str) -> Iterator[None]:
    """Whatever is wrong with one meeting, the others are recovered."""
    try:
        yield
    except Exception as error:
        log.warning(
            "meeting not recovered, next try later",
            extra={"journal": meeting, "cause": f"{type(error).__name__}: {error}"},
        )


async def _recover_meeting(
    directory: Path,
    journal_dir: Path,
    stores: Sequence[Store],
    *,
    is_over: _IsOver,
    finish: ClosingStep | None,
    index: UnsealedIndex | None,
    continue_within: float,
) -> None:
    journals = await asyncio.to_thread(journals_in, directory)
    dead = [path for path in journals if not is_alive(path)]
    if not journals:
        await asyncio.to_thread(_clear, directory)
    reads = [await asyncio.to_thread(read_journal, path) for path in dead]
    lines = [line for read in reads for line in read.lines]
    if index:
        await _touch(journals, index)
    failed = await _replay_all(dead, stores)
    if dead != journals or not dead:
        return
    if not lines:
        await asyncio.to_thread(_discard, dead)
    elif await is_over(lines):
        age = time.time() - max(map(last_sign, dead))
        if may_go_on(lines, age=age, within=continue_within):
            return
        await close_meeting(
            lines[-1].meeting,
            epoch_of(dead[-1]),
            journal_dir,
            stores,
            is_over=is_over,
            checkpoints=index,
            finish=finish,
        )
    elif failed:
        raise failed


async def _replay_all(journals: Sequence[Path], stores: Sequence[Store]) -> StoreError | None:
    failed: StoreError | None = None
    for path in journals:
        try:
            await replay(path, stores)
        except StoreError as error:
            failed = error
    return failed


def _discard(journals: Sequence[Path]) -> None:
    """Delete journals whose writers died before the first line was whole: nothing is to be kept."""
    for path in journals:
        if b"\n" in path.read_bytes():
            raise StoreError("its lines can't be read, it is left for somebody to look at")
        delete_journal(path)


async def _touch(journals: Sequence[Path], index: UnsealedIndex) -> None:
    """Have other hosts leave the meeting to this one, which has a journal of it."""
    for path in journals:
        for line in (await asyncio.to_thread(read_journal, path, most=1)).lines:
            with suppress(StoreError):  # Another one may see to it too then; lines are kept once.
                await index.touch(line.meeting)


def _clear(directory: Path) -> None:
    """Remove what a journal that was deleted half has left."""
    for path in directory.glob("*.checkpoint"):
        path.unlink()
    with suppress(OSError):
        directory.rmdir()


async def _recover_vanished(
    meeting: str,
    journal_dir: Path,
    stores: Sequence[Store],
    *,
    is_over: _IsOver,
    finish: ClosingStep | None,
    index: UnsealedIndex,
) -> None:
    """Seal a meeting from what the index's store has of it."""
    lines = await index.read(meeting)
    if not lines:
        await index.sealed(meeting, 0)  # Its lines are gone by themselves.
    elif await is_over(lines) and not journals_of(journal_dir, meeting):
        await close_meeting(
            meeting, lines[-1].epoch, journal_dir, stores, checkpoints=index, finish=finish
        )
        log.warning("meeting of a host that vanished is sealed", extra={"lines": len(lines)})


async def _is_over(lines: Sequence[Line], *, is_open: IsOpen, is_served: IsServed | None) -> bool:
    if is_served and await is_served(lines[-1].meeting):
        return False
    if lines[-1].kind == "ended":
        return True
    opened = [line.data for line in lines if line.kind == "opened"]
    if not opened:
        return True
    room, sid = opened[-1]["room"], opened[-1]["room_sid"]
    dispatch = first_dispatch(opened, sid) if opened[-1].get("recording") else ""
    return not await is_open(room, sid, dispatch)


def _directories(journal_dir: Path) -> list[Path]:
    return sorted(path for path in journal_dir.glob("*") if path.is_dir())
