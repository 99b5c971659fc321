"""The ledger and its flushers: journal first, every store in its own time, each line once."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest
import stamina

from pipelines.errors import MeetingEndedError
from pipelines.events import CaptionFinal, Hole, HoleCause
from pipelines.testing.memory_store import MemoryStore
from pipelines.transcript.epochs import journals_of, next_epoch
from pipelines.transcript.flusher import read_checkpoint
from pipelines.transcript.history import START, Cursor
from pipelines.transcript.journal import read_journal
from pipelines.transcript.ledger import MAX_LINE, Ledger
from pipelines.transcript.line import Line, final_data
from pipelines.transcript.paths import meeting_key
from pipelines.transcript.remembered import INDEX_GAP
from pipelines.transcript.stores.files import FilesStore


@pytest.fixture(autouse=True)
def _retry_at_once() -> None:
    stamina.set_testing(True, attempts=3)


async def open_ledger(path: Path, *stores: MemoryStore | FilesStore, epoch: int = 7) -> Ledger:
    ledger = await Ledger.open(
        "m", epoch, started_at=1000.0, journal_dir=path / "journal", stores=stores
    )
    opened = {"room": "r", "room_sid": "RM_1", "started_at": 1000.0}
    ledger.append("opened", opened, at=1000.0)
    return ledger


def final(
    segment: str, *, at: float = 1001.0, text: str = "hello", revision: int = 0
) -> CaptionFinal:
    return CaptionFinal(
        at=at, end=at + 1, segment=segment, identity="ada", name="Ada", text=text, revision=revision
    )


async def flush(ledger: Ledger) -> None:
    ledger.close()
    async with asyncio.timeout(10):
        await ledger.run()
    ledger.release()


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


async def test_a_new_epoch_knows_what_earlier_ones_kept_from_journal_and_store(
    tmp_path: Path,
) -> None:
    store = MemoryStore()
    first = await open_ledger(tmp_path, store)
    first.append_final(final("a"))
    first.append("state", {"key": "x/y", "value": [1, 2]}, at=1002.0)
    first.append("person", {"identity": "ada", "name": "Ada"}, at=1002.0)
    first.release()
    second = await open_ledger(tmp_path, store, epoch=8)
    assert [caption.segment for caption in await second.said()] == ["a"]
    assert second.state("x/y") == [1, 2]
    assert second.people == {"ada": "Ada"}


async def test_a_store_that_is_away_at_the_start_is_read_when_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.transcript.reader.TIMEOUT", 0.01)
    store = MemoryStore(away=True)
    store.given = [
        Line("m", 3, 2, "final", 1001.0, final_data(final("early"), meeting_start=1000.0))
    ]
    ledger = await open_ledger(tmp_path, store)
    ledger.append_final(final("late"))
    page = await ledger.page(after=START, limit=10, size=10_000)
    assert [line.data["segment"] for line in page.lines] == ["late"]
    running = asyncio.create_task(ledger.run())
    store.away = False
    async with asyncio.timeout(10):
        while len((await ledger.page(after=START, limit=10, size=10_000)).lines) < 2:  # noqa: ASYNC110 - the ledger tells nobody
            await asyncio.sleep(0.01)
    page = await ledger.page(after=START, limit=10, size=10_000)
    assert [line.data["segment"] for line in page.lines] == ["early", "late"]
    running.cancel()


async def test_an_earlier_epoch_that_comes_to_light_late_is_still_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.transcript.reader.TIMEOUT", 0.01)
    store = MemoryStore(away=True)
    store.given = [Line("m", 3, 1, "opened", 900.0, {"room_sid": "RM_1", "started_at": 900.0})]
    ledger = await open_ledger(tmp_path, store)
    store.away = False
    running = asyncio.create_task(ledger.run())
    async with asyncio.timeout(10):
        while len(ledger.opened) < 2:  # noqa: ASYNC110 - the ledger tells nobody
            await asyncio.sleep(0.01)
    assert [data["started_at"] for data in ledger.opened] == [900.0, 1000.0]
    running.cancel()


async def test_where_earlier_indices_are_not_known_none_of_them_comes_again(tmp_path: Path) -> None:
    began, hour = 1_700_000_000.0, 3600
    ledger = await Ledger.open(
        "m",
        round((began + hour) * 1000),
        started_at=began,
        journal_dir=tmp_path,
        stores=[MemoryStore(away=True)],
    )
    assert ledger.append_final(final("a", at=began + hour)).index > hour


async def test_what_comes_after_the_end_is_refused_and_not_lost_in_silence(tmp_path: Path) -> None:
    ledger = await open_ledger(tmp_path, MemoryStore())
    ledger.close()
    with pytest.raises(MeetingEndedError):
        ledger.append("note", {}, at=1000.0)


async def test_a_store_with_a_line_that_makes_no_sense_keeps_no_meeting_from_beginning(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal" / meeting_key("m") / "3.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(Line("m", 3, 1, "opened", 1000.0, {}).encode())
    assert (await open_ledger(tmp_path, MemoryStore())).started_at == 1000.0


async def test_what_left_memory_is_read_from_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.transcript.remembered.CAPACITY", 3)
    ledger = await open_ledger(tmp_path, MemoryStore())
    for n in range(10):
        ledger.append_final(final(f"s{n}", at=1001.0 + n))
    assert [caption.segment for caption in await ledger.said()] == [f"s{n}" for n in range(10)]
    page = await ledger.page(after=Cursor(7, 9), limit=1, size=10_000)
    assert [line.data["segment"] for line in page.lines] == ["s8"]


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


async def test_the_highest_revision_counts_and_an_empty_one_withdraws(tmp_path: Path) -> None:
    ledger = await open_ledger(tmp_path, MemoryStore())
    ledger.append_final(final("a", text="wrong"))
    ledger.append_final(final("a", text="right", revision=1))
    ledger.append_final(final("b", text="noise"))
    ledger.append_final(final("b", text="", revision=1))
    assert [caption.text for caption in await ledger.said()] == ["right"]


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


async def test_a_new_epoch_knows_how_far_the_one_before_had_heard(tmp_path: Path) -> None:
    first = await open_ledger(tmp_path, MemoryStore())
    assert first.heard_before is None
    first.append_final(final("a"))
    first.release()
    second = await open_ledger(tmp_path, MemoryStore(), epoch=8)
    assert second.heard_before == 1002.0
    await second.earlier_known()


async def test_where_a_store_is_away_it_is_known_late_how_far_the_one_before_had_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.transcript.reader.TIMEOUT", 0.01)
    monkeypatch.setattr("pipelines.transcript.reader.FIRST_PAUSE", 0.01)
    store = MemoryStore(away=True)
    opened = {"room": "r", "room_sid": "RM_1", "started_at": 1000.0}
    store.given = [Line("m", 3, 1, "opened", 1003.0, opened)]
    ledger = await open_ledger(tmp_path, store)
    running = asyncio.create_task(ledger.run())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ledger.earlier_known(), 0.05)
    store.away = False
    await asyncio.wait_for(ledger.earlier_known(), 5)
    assert ledger.heard_before == 1003.0
    running.cancel()


async def test_every_line_of_a_meeting_can_be_read_again(tmp_path: Path) -> None:
    store = MemoryStore()
    first = await open_ledger(tmp_path, store)
    first.append("note", {"n": 1}, at=1001.0)
    assert [line.kind for line in await first.lines()] == ["opened", "note"]
    await flush(first)
    journals_of(tmp_path / "journal", "m")[0].unlink()  # As after a seal: only the store has it.
    second = await open_ledger(tmp_path, store, epoch=8)
    kinds = [(line.epoch, line.kind) for line in await second.lines()]
    assert kinds == [(7, "opened"), (7, "note"), (8, "opened")]
