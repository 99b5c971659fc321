"""The one writer of an epoch: journal first, every store in its own time, each line once."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from pipelines.errors import MeetingEndedError
from pipelines.events import Hole, HoleCause
from pipelines.testing.memory_store import MemoryStore
from pipelines.transcript.epochs import journals_of, next_epoch
from pipelines.transcript.flusher import read_checkpoint
from pipelines.transcript.history import START
from pipelines.transcript.journal import read_journal
from pipelines.transcript.ledger import MAX_LINE, Ledger
from pipelines.transcript.remembered import INDEX_GAP
from tests.unit.ledgers import final, flush, open_ledger

pytestmark = pytest.mark.usefixtures("retry_at_once")


async def test_a_final_is_journalled_when_append_returns(tmp_path: Path) -> None:
    ledger = await open_ledger(tmp_path, MemoryStore())
    ledger.append_final(final("a"))
    kept = read_journal(journals_of(tmp_path / "journal", "m")[0]).lines
    assert kept[-1].data["segment"] == "a"
    assert kept[-1].data["start_ms"] == 1000


async def test_every_store_gets_every_line_and_its_own_checkpoint(tmp_path: Path) -> None:
    stores = MemoryStore("one"), MemoryStore("two", failures=2)
    ledger = await open_ledger(tmp_path, *stores)
    for n in range(450):
        ledger.append("note", {"n": n}, at=1000.0)
    await flush(ledger)
    journal = journals_of(tmp_path / "journal", "m")[0]
    for store in stores:
        assert len(await store.read("m")) == 451
        assert read_checkpoint(journal, store.name) == 451
    assert ledger.lag == 0


async def test_a_line_is_on_its_way_after_the_interval_or_with_nine_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def taken(ledger: Ledger, store: MemoryStore, count: int) -> None:
        running = asyncio.create_task(ledger.run())
        async with asyncio.timeout(10):
            while len(store.given) < count:  # noqa: ASYNC110 - the flusher tells nobody
                await asyncio.sleep(0.01)
        running.cancel()
        ledger.release()

    many = MemoryStore("many")
    ledger = await open_ledger(tmp_path, many)
    for n in range(9):
        ledger.append("note", {"n": n}, at=1000.0)
    await taken(ledger, many, 10)  # With the first line they are ten: the interval is not awaited.
    monkeypatch.setattr("pipelines.transcript.flusher.INTERVAL", 0.05)
    one = MemoryStore("one")
    await taken(await open_ledger(tmp_path, one, epoch=8), one, 1)


async def test_with_a_full_disk_every_store_gets_every_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = MemoryStore()
    ledger = await open_ledger(tmp_path, store)
    monkeypatch.setattr(os, "write", full)
    ledger.append_final(final("a"))
    assert not ledger.durable
    await flush(ledger)
    assert [line.kind for line in store.given] == ["opened", "final"]


async def test_a_store_that_refuses_is_not_asked_again_at_once_and_holds_nobody_up(
    tmp_path: Path,
) -> None:
    refusing, good = MemoryStore("refusing", refuse=True), MemoryStore("good")
    ledger = await open_ledger(tmp_path, refusing, good)
    for n in range(10):
        ledger.append("note", {"n": n}, at=1000.0)
    running = asyncio.create_task(ledger.run())
    async with asyncio.timeout(10):
        while len(await good.read("m")) < 11:  # noqa: ASYNC110 - the flusher tells nobody
            await asyncio.sleep(0.01)
    assert refusing.asked == 1
    running.cancel()


async def test_what_comes_after_the_end_is_refused_and_not_lost_in_silence(tmp_path: Path) -> None:
    ledger = await open_ledger(tmp_path, MemoryStore())
    ledger.close()
    with pytest.raises(MeetingEndedError):
        ledger.append("note", {}, at=1000.0)


async def test_finals_are_counted_across_epochs_and_no_index_comes_twice(tmp_path: Path) -> None:
    store = MemoryStore()
    first = await open_ledger(tmp_path, store)
    assert [first.append_final(final(segment)).index for segment in "ab"] == [1, 2]
    second = await open_ledger(tmp_path, store, epoch=8)  # The first may still settle some.
    assert second.append_final(final("c")).index == 3 + INDEX_GAP
    assert first.append_final(final("d")).index == 3
    first.release()
    second.append("ended", {}, at=1009.0)
    second.release()
    third = await open_ledger(tmp_path, store, epoch=9)
    assert third.append_final(final("e")).index == 4 + INDEX_GAP


async def test_a_store_that_is_away_keeps_no_meeting_from_ending(tmp_path: Path) -> None:
    away, good = MemoryStore("away", away=True), MemoryStore("good")
    ledger = await open_ledger(tmp_path, away, good)
    await flush(ledger)
    assert len(good.given) == 1
    assert ledger.lag == 1


async def test_a_line_that_is_too_long_or_no_json_is_refused_and_nothing_is_written(
    tmp_path: Path,
) -> None:
    ledger = await open_ledger(tmp_path, MemoryStore())
    with pytest.raises(ValueError, match="at most"):
        ledger.append("note", {"text": "x" * MAX_LINE}, at=0.0)
    with pytest.raises(TypeError):
        ledger.append("note", {"text": object()}, at=0.0)
    assert ledger.append("note", {"n": 1}, at=1.0).sequence == 2


def test_an_epoch_is_above_every_one_seen_and_above_the_clock() -> None:
    assert next_epoch([], now=5.0) == 5001
    assert next_epoch([9000, 3], now=5.0) == 9001


async def test_a_hole_is_journalled_and_in_the_history_and_is_nothing_said(tmp_path: Path) -> None:
    ledger = await open_ledger(tmp_path, MemoryStore())
    ledger.append_final(final("a"))
    ledger.append_hole(Hole(1003.0, 1005.5, HoleCause.ENGINE, ("ada",), "no answer"))
    ledger.append_final(final("b"))
    kept = read_journal(journals_of(tmp_path / "journal", "m")[0]).lines
    assert kept[2].data == {
        "start_ms": 3000,
        "end_ms": 5500,
        "cause": "engine",
        "speakers": ["ada"],
        "reason": "no answer",
    }
    page = await ledger.page(after=START, limit=10, size=10_000)
    assert [line.kind for line in page.lines] == ["final", "hole", "final"]
    assert [caption.segment for caption in await ledger.said()] == ["a", "b"]
