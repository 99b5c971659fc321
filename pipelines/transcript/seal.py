"""The end of a meeting: everything in the store, a document made of it, the journals gone.

Every step may be interrupted and done again, by this process or by another: lines are kept once,
a seal appears whole or not at all, and a journal is deleted only when the store, read back, has
every line of it and a seal covers them.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pipelines.errors import StoreError, StoreLacksLinesError
from pipelines.failpoints import failpoint
from pipelines.metrics import metrics
from pipelines.transcript.batches import batches
from pipelines.transcript.build_document import build_document
from pipelines.transcript.epochs import epoch_of, journals_of
from pipelines.transcript.exports import EXPORTS
from pipelines.transcript.flusher import (
    deliver,
    most_in_batch,
    read_checkpoint,
    write_checkpoint,
)
from pipelines.transcript.journal import is_alive, read_journal
from pipelines.transcript.line import Line, distinct
from pipelines.transcript.stores.files import FilesStore
from pipelines.transcript.stores.store import CheckpointStore, Store

log = logging.getLogger(__name__)

SUMMARY_STATE: Final = "/summary"
"""Key of the state line that tells of another ``summary`` in the metadata than the ``opened`` line.
An agent's keys begin with its name."""

IsOver = Callable[[Sequence[Line]], Awaitable[bool]]
"""Tells of a meeting's lines, in order, whether it is over."""

ClosingStep = Callable[[Sequence[Line]], Awaitable[None]]
"""Takes every line of a meeting; may be called again, and raises StoreError to be called again."""


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
    ended = {line.epoch for line in lines if line.kind == "ended"}
    for newer in (other for other in {*covers, *journals} if other > epoch):
        # One whose writer is dead here is sealed with this one; one that has no journal here is
        # another machine's, and its own business until it has ended or is sealed.
        elsewhere = newer not in ended and sealed.get(newer) != covers.get(newer)
        if is_alive(journals[newer]) if newer in journals else elsewhere:
            log.info("not sealed, a newer epoch serves the meeting", extra={"epoch": newer})
            return None
    files = await asyncio.to_thread(_artefacts, lines, last + 1)
    directory = await store.put_seal(meeting, last + 1, covers=covers, files=files)
    metrics().seals.inc()
    return directory


def _artefacts(lines: Sequence[Line], number: int) -> dict[str, str]:
    document = build_document(lines, seal=number)
    files = {f"transcript.{ending}": export(document) for ending, export in EXPORTS.items()}
    if wanted := _wanted(lines):
        files["wanted.json"] = json.dumps(wanted, ensure_ascii=False, indent=1) + "\n"
    return files


def _wanted(lines: Sequence[Line]) -> Any:
    """Return what metadata said last of the summary; empty where it says nothing."""
    wanted: Any = {}
    for line in lines:
        if line.kind == "opened":
            wanted = line.data.get("summary", {})
        elif line.kind == "state" and line.data["key"] == SUMMARY_STATE:
            wanted = line.data["value"]
    return wanted


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
        rest = distinct(line for line in read.lines if line.sequence > done)
        try:
            for batch in batches(rest, most=most_in_batch(store)):
                await deliver(store, batch[0].meeting, batch)
                write_checkpoint(journal, store.name, batch[-1].sequence)
        except StoreError as error:
            failed = error
    if failed:
        raise failed
    return len(read.lines)


async def close_meeting(
    meeting: str,
    epoch: int,
    journal_dir: Path,
    stores: Sequence[Store],
    *,
    is_over: IsOver | None = None,
    patience: float | None = None,
    checkpoints: CheckpointStore | None = None,
    finish: ClosingStep | None = None,
) -> Path | None:
    """Give the stores what they lack, seal the meeting, delete the journals of the dead.

    The journal of ``epoch`` is the caller's own and goes too; that of another living writer stays.
    A store that fails keeps nobody from the seal, but the journals stay until it has everything.

    Args:
        meeting: The meeting's id.
        epoch: Of the one who seals.
        journal_dir: Where the journals of all meetings are.
        stores: Where the lines belong, a files store among them.
        is_over: Tells of everything that is known whether no epoch goes on, on any host; without
            it an epoch above the caller's keeps the meeting from being sealed.
        patience: Seconds that stores may take to tell what they have before the seal.
        checkpoints: Has those of other hosts, whose journals may be gone.
        finish: Does what else is to be done with every line, before the journals go.

    Raises:
        StoreLacksLinesError: It is sealed, but a store lacks lines or ``finish`` failed: the
            journals are still there.
        StoreError: It is not sealed; everything is still there for the next try.
    """
    journals = [
        path
        for path in journals_of(journal_dir, meeting)
        if epoch_of(path) == epoch or not is_alive(path)
    ]
    failpoint("replay")
    files = next(store for store in stores if isinstance(store, FilesStore))
    journalled = [await asyncio.to_thread(read_journal, path) for path in journals]
    kept, failed = await _read_all(stores, meeting, patience)
    lines = [line for had in kept.values() for line in had]
    known = distinct([*lines, *(line for read in journalled for line in read.lines)])
    if failure := await _complete(files, meeting, known, kept.get(files.name)):
        raise failure
    before = await _covered_before(files, meeting)
    if is_over and known and await is_over(known):
        epoch = max(epoch, known[-1].epoch)
    sealed = await seal(meeting, epoch=epoch, store=files, journal_dir=journal_dir)
    journal_epochs = {epoch_of(path) for path in journals}
    foreign = [line for line in known if sealed and line.epoch not in before | journal_epochs]
    others = [store for store in stores if store is not files]
    failures = await asyncio.gather(
        *(
            _complete(store, meeting, known, kept.get(store.name))
            if store.reads_back
            else _hand_over(store, meeting, foreign, journals, checkpoints)
            for store in others
        )
    )
    failed += [failure for failure in failures if failure]
    if sealed and finish:
        try:
            await finish(known)
        except StoreError as failure:
            failed.append(failure)
    if failed:
        raise StoreLacksLinesError(str(failed[0])) if sealed else failed[0]
    if sealed:
        for store in stores:
            await store.sealed(meeting, len(known))
        for path in journals:
            await asyncio.to_thread(delete_journal, path)
        log.info("meeting sealed", extra={"seal": sealed.name, "epoch": epoch})
    return sealed


async def _read_all(
    stores: Sequence[Store], meeting: str, patience: float | None
) -> tuple[dict[str, list[Line]], list[StoreError]]:
    """Return store -> what it has, and what those say that can't be read."""

    async def read(store: Store) -> list[Line] | StoreError:
        try:
            async with asyncio.timeout(patience):
                return await store.read(meeting)
        except StoreError as error:
            return error
        except TimeoutError:
            return StoreError(f"store {store.name}: not read in {patience} s")

    readable = [store for store in stores if store.reads_back]
    found = await asyncio.gather(*map(read, readable))
    told = {store.name: one for store, one in zip(readable, found, strict=True)}
    kept = {name: one for name, one in told.items() if not isinstance(one, StoreError)}
    return kept, [one for one in found if isinstance(one, StoreError)]


async def _covered_before(files: FilesStore, meeting: str) -> set[int]:
    """Return the epochs of earlier seals: their journals went when every store had them."""
    return {epoch for covers in (await files.seals(meeting)).values() for epoch in covers}


async def _complete(
    store: Store, meeting: str, known: Sequence[Line], kept: Sequence[Line] | None
) -> StoreError | None:
    """Give the store what it lacks of ``known``, and read it back by id.

    Args:
        store: One that reads back.
        meeting: The meeting's id.
        known: Every line there is.
        kept: What the store had when it was read last, if it could be.

    Returns:
        What went wrong: then it may lack lines still.
    """
    try:
        for final_look in (False, True):
            had = kept if kept is not None else await store.read(meeting)
            keys = {line.key for line in had}
            lacking = [line for line in known if line.key not in keys]
            if not lacking:
                return None
            if final_look:
                return StoreError(f"store {store.name} lacks {len(lacking)} lines it was given")
            for batch in batches(lacking):
                await deliver(store, meeting, batch)
            kept = None
    except StoreError as error:
        return error
    return None


async def _hand_over(
    store: Store,
    meeting: str,
    foreign: Sequence[Line],
    journals: Sequence[Path],
    checkpoints: CheckpointStore | None,
) -> StoreError | None:
    """Give a store that can't be read back what its checkpoints say it lacks.

    Args:
        store: One that does not read back.
        meeting: The meeting's id.
        foreign: Lines of epochs that have no journal here.
        journals: Those of the other epochs.
        checkpoints: How far the hosts of ``foreign`` were; without it those are left to them.

    Returns:
        What went wrong: then it may lack lines still.
    """
    try:
        for path in journals:
            await replay(path, [store])
        if checkpoints:
            done = await checkpoints.checkpoints(meeting, store.name)
            rest = [line for line in foreign if line.sequence > done.get(line.epoch, 0)]
            for batch in batches(rest, most=most_in_batch(store)):
                await deliver(store, meeting, batch)
                await checkpoints.note_checkpoint(meeting, store.name, *batch[-1].key)
    except StoreError as error:
        return error
    return None


def _covered(lines: Sequence[Line]) -> dict[int, int]:
    """Return epoch -> how many lines: a hole that is filled later is something new, too."""
    return dict(Counter(line.epoch for line in lines))


def delete_journal(journal: Path) -> None:
    """Delete a journal and its checkpoints."""
    # The journal first: one without its checkpoints would be given to every store again.
    journal.unlink(missing_ok=True)
    for path in journal.parent.glob(f"{journal.stem}.*"):
        path.unlink()
    with suppress(OSError):  # Another journal is in it.
        journal.parent.rmdir()
