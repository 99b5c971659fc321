"""The end of a meeting: everything in the store, a document made of it, the journals gone.

Every step may be interrupted and done again, by this process or by another: lines are kept once,
a seal appears whole or not at all, and a journal is deleted only when the store, read back, has
every line of it and a seal covers them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from pipelines.errors import StoreError
from pipelines.failpoints import failpoint
from pipelines.transcript.document import build_document
from pipelines.transcript.exports import EXPORTS
from pipelines.transcript.flusher import BATCH, deliver, read_checkpoint, write_checkpoint
from pipelines.transcript.journal import is_alive, read_journal
from pipelines.transcript.ledger import epoch_of, journals_in, journals_of
from pipelines.transcript.line import Line
from pipelines.transcript.stores.files import FilesStore
from pipelines.transcript.stores.store import Store

log = logging.getLogger(__name__)

IsOpen = Callable[[str, str], Awaitable[bool]]
"""Tells whether the room of this name and SID is open; raises ConnectionError if unknown."""


async def seal(meeting: str, *, epoch: int, store: FilesStore, journal_dir: Path) -> Path | None:
    """Write the next numbered seal of the meeting, unless the last one covers every line.

    Args:
        meeting: The meeting's id.
        epoch: Of the one who seals; an epoch above it that goes on fences it.
        store: Where the lines are, and where the artefacts go.
        journal_dir: Where the journals of all meetings are.

    Returns:
        The seal's directory, or None where a newer epoch will seal.

    Raises:
        StoreError: Lines can't be read or artefacts can't be written.
    """
    lines = await store.read(meeting)
    covers = _covered(lines)
    seals = await store.seals(meeting)
    last = max(seals, default=0)
    sealed = seals.get(last, {})
    if sealed == covers:
        return store.directory(meeting) / f"seal-{last}"
    journals = {epoch_of(path): path for path in journals_of(journal_dir, meeting)}
    for newer in (other for other in {*covers, *journals} if other > epoch):
        # One whose writer is dead here is sealed with this one; one that has no journal here is
        # another machine's, and its own business until it is sealed.
        goes_on = (
            is_alive(journals[newer])
            if newer in journals
            else sealed.get(newer) != covers.get(newer)
        )
        if goes_on:
            log.info("not sealed, a newer epoch serves the meeting", extra={"epoch": newer})
            return None
    files = await asyncio.to_thread(_artefacts, lines, last + 1)
    return await store.put_seal(meeting, last + 1, covers=covers, files=files)


def _artefacts(lines: Sequence[Line], number: int) -> dict[str, str]:
    document = build_document(lines, seal=number)
    return {f"transcript.{ending}": export(document) for ending, export in EXPORTS.items()}


async def replay(journal: Path, stores: Sequence[Store]) -> int:
    """Give every store what a dead writer's journal holds beyond its checkpoint.

    Returns:
        How many lines the journal holds.

    Raises:
        StoreError: A store did not take them; the others have theirs.
    """
    read = await asyncio.to_thread(read_journal, journal)
    failpoint("replay")
    failed: StoreError | None = None
    for store in stores:
        done = read_checkpoint(journal, store.name)
        rest = [line for line in read.lines if line.sequence > done]
        try:
            for start in range(0, len(rest), BATCH):
                batch = rest[start : start + BATCH]
                await deliver(store, batch[0].meeting, batch)
                write_checkpoint(journal, store.name, batch[-1].sequence)
        except StoreError as error:
            failed = error
    if failed:
        raise failed
    return len(read.lines)


async def recover(journal_dir: Path, stores: Sequence[Store], *, is_open: IsOpen) -> None:
    """Replay the journals whose writers are gone, and seal the meetings that are over.

    A meeting is over when its last epoch ended in good order or its room is no longer open; one
    whose room is open waits for the job that takes it over.
    """
    for directory in await asyncio.to_thread(_directories, journal_dir):
        try:
            await _recover_meeting(directory, journal_dir, stores, is_open)
        except Exception as error:
            # Whatever is wrong with one meeting, the others are recovered.
            log.warning(
                "meeting not recovered, next try later",
                extra={"journal": directory.name, "cause": f"{type(error).__name__}: {error}"},
            )


async def _recover_meeting(
    directory: Path, journal_dir: Path, stores: Sequence[Store], is_open: IsOpen
) -> None:
    journals = await asyncio.to_thread(journals_in, directory)
    dead = [path for path in journals if not is_alive(path)]
    reads = [await asyncio.to_thread(read_journal, path) for path in dead]
    lines = [line for read in reads for line in read.lines]
    for path in dead:
        await replay(path, stores)
    if dead != journals or not dead:
        return
    opened = next((line for line in reversed(lines) if line.kind == "opened"), None)
    if opened:
        over = lines[-1].kind == "ended"
        if not over and await is_open(opened.data["room"], opened.data["room_sid"]):
            return
        await close_meeting(opened.meeting, epoch_of(dead[-1]), journal_dir, stores)
    else:  # Its writer died before the first line was whole: there is nothing to keep.
        for path in dead:
            await asyncio.to_thread(_delete, path)


async def close_meeting(
    meeting: str, epoch: int, journal_dir: Path, stores: Sequence[Store]
) -> Path | None:
    """Give the stores what they lack, seal the meeting, delete the journals of the dead.

    The journal of ``epoch`` is the caller's own and goes too; that of another living writer stays.

    Raises:
        StoreError: A store failed; everything is still there for the next try.
    """
    journals = [
        path
        for path in journals_of(journal_dir, meeting)
        if epoch_of(path) == epoch or not is_alive(path)
    ]
    for store in stores:
        await _complete(store, meeting, journals)
    files = next(store for store in stores if isinstance(store, FilesStore))
    sealed = await seal(meeting, epoch=epoch, store=files, journal_dir=journal_dir)
    if sealed:
        for path in journals:
            await asyncio.to_thread(_delete, path)
        log.info("meeting sealed", extra={"seal": sealed.name, "epoch": epoch})
    return sealed


async def _complete(store: Store, meeting: str, journals: Sequence[Path]) -> None:
    """Read the store back by id and give it what it lacks, whatever a checkpoint says.

    Raises:
        StoreError: It lacks lines even then.
    """
    for journal in journals:
        lines = (await asyncio.to_thread(read_journal, journal)).lines
        failpoint("replay")
        for final_look in (False, True):
            kept = {line.key for line in await store.read(meeting)}
            lacking = [line for line in lines if line.key not in kept]
            if not lacking:
                break
            if final_look:
                raise StoreError(f"store {store.name} lacks {len(lacking)} lines it was given")
            for start in range(0, len(lacking), BATCH):
                await deliver(store, meeting, lacking[start : start + BATCH])


def _directories(journal_dir: Path) -> list[Path]:
    return sorted(path for path in journal_dir.glob("*") if path.is_dir())


def _covered(lines: Sequence[Line]) -> dict[int, int]:
    covers: dict[int, int] = {}
    for line in lines:
        covers[line.epoch] = max(line.sequence, covers.get(line.epoch, 0))
    return covers


def _delete(journal: Path) -> None:
    for path in journal.parent.glob(f"{journal.stem}.*"):
        path.unlink()
    with suppress(OSError):  # Another journal is in it.
        journal.parent.rmdir()
