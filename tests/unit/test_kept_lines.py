"""What a meeting has kept: of earlier epochs too, known late, corrected, read again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pipelines.events import CaptionFinal, Correction, Hole, HoleCause
from pipelines.testing.memory_store import MemoryStore
from pipelines.transcript.epochs import journals_of
from pipelines.transcript.history import START, Cursor
from pipelines.transcript.journal import read_journal
from pipelines.transcript.ledger import Ledger
from pipelines.transcript.line import Line, final_data, hole_data
from pipelines.transcript.paths import meeting_key
from pipelines.transcript.remembered import Remembered
from tests.unit.ledgers import final, flush, open_ledger

pytestmark = pytest.mark.usefixtures("retry_at_once")


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


async def test_the_highest_revision_counts_and_an_empty_one_withdraws(tmp_path: Path) -> None:
    ledger = await open_ledger(tmp_path, MemoryStore())
    ledger.append_final(final("a", text="wrong"))
    ledger.append_final(final("a", text="right", revision=1))
    ledger.append_final(final("b", text="noise"))
    ledger.append_final(final("b", text="", revision=1))
    assert [caption.text for caption in await ledger.said()] == ["right"]


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


async def corrected(ledger: Ledger, segment: str, text: str) -> CaptionFinal:
    caption = await ledger.caption(segment)
    assert caption
    return ledger.append_correction(caption, text, by="grace", name="Grace", at=1060.0)


async def test_a_correction_is_journalled_and_stands_above_the_machine_in_every_epoch(
    tmp_path: Path,
) -> None:
    store = MemoryStore()
    first = await open_ledger(tmp_path, store)
    first.append_final(final("a", text="helo"))
    shown = await corrected(first, "a", "hallo")
    shown = await corrected(first, "a", "hello")
    assert (shown.text, shown.index) == ("hello", 3)
    assert shown.correction == Correction(1060.0, "grace", "Grace", original="helo")
    kept = read_journal(journals_of(tmp_path / "journal", "m")[0]).lines
    assert [line.kind for line in kept] == ["opened", "final", "correction", "correction"]
    first.append_final(final("a", text="yellow", revision=1))
    first.release()
    second = await open_ledger(tmp_path, store, epoch=8)
    for ledger in (first, second):
        assert [caption.text for caption in await ledger.said()] == ["hello"]
        assert ledger.is_corrected("a")
        again = await ledger.caption("a")
        assert again
        assert again.correction
        assert (again.text, again.correction.original) == ("hello", "yellow")


async def test_a_caption_that_nobody_settled_or_that_was_withdrawn_is_not_there(
    tmp_path: Path,
) -> None:
    ledger = await open_ledger(tmp_path, MemoryStore())
    ledger.append_final(final("a"))
    ledger.append_final(final("a", text="", revision=1))
    assert await ledger.caption("a") is None
    assert await ledger.caption("b") is None


async def test_a_segment_that_memory_has_let_go_of_can_be_corrected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.transcript.remembered.CAPACITY", 2)
    ledger = await open_ledger(tmp_path, MemoryStore())
    for segment in ("a", "b", "c"):
        ledger.append_final(final(segment))
    await corrected(ledger, "a", "hallo")
    page = await ledger.page(after=Cursor(7, 4), limit=10, size=10_000)
    (line,) = page.lines
    assert line.data["final"]["speaker"] == "ada"
    said = {caption.segment: caption.text for caption in await ledger.said()}
    assert said == {"a": "hallo", "b": "hello", "c": "hello"}


async def test_actions_of_every_epoch_are_known_and_late_ones_come_in_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.transcript.reader.TIMEOUT", 0.01)
    monkeypatch.setattr("pipelines.transcript.reader.FIRST_PAUSE", 0.01)
    store = MemoryStore(away=True)
    store.given = [Line("m", 3, 1, "action", 1003.0, {"event": "requested", "id": "x"})]
    ledger = await open_ledger(tmp_path, store)
    ledger.append("action", {"event": "approved", "id": "x"}, at=1005.0)
    assert [line.data["event"] for line in ledger.actions] == ["approved"]
    running = asyncio.create_task(ledger.run())
    store.away = False
    await asyncio.wait_for(ledger.earlier_known(), 5)
    assert [line.data["event"] for line in ledger.actions] == ["requested", "approved"]
    running.cancel()


async def test_actions_of_an_epoch_that_died_are_known_to_the_next(tmp_path: Path) -> None:
    first = await open_ledger(tmp_path, MemoryStore())
    first.append("action", {"event": "requested", "id": "x"}, at=1003.0)
    first.release()
    second = await open_ledger(tmp_path, MemoryStore(), epoch=8)
    assert [line.data["event"] for line in second.actions] == ["requested"]


def test_a_correction_that_comes_to_light_late_does_not_stand_above_a_newer_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipelines.transcript.remembered.CAPACITY", 1)
    data = {"segment": "a", "text": "", "by": "grace", "name": "Grace"}
    older, newer = (Line("m", epoch, 2, "correction", 1060.0, data) for epoch in (7, 8))
    memory = Remembered([newer])
    hole = hole_data(Hole(1003.0, 1005.5, HoleCause.ENGINE), meeting_start=1000.0)
    memory.add(Line("m", 8, 3, "hole", 1061.0, hole))  # Memory has no room for the line itself.
    memory.add_late([older])
    assert memory.corrections == {"a": newer}


async def test_what_an_earlier_epoch_keeps_while_this_one_runs_is_known_once_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.transcript.reader.TIMEOUT", 0.01)
    monkeypatch.setattr("pipelines.transcript.reader.FIRST_PAUSE", 0.01)
    store = MemoryStore()
    old = await open_ledger(tmp_path, store)
    old.append("state", {"key": "x/y", "value": 1}, at=1001.0)
    old.append("state", {"key": "x/z", "value": 1}, at=1001.0)
    old.append("person", {"identity": "ada", "name": "Ada"}, at=1001.0)
    new = await open_ledger(tmp_path, store, epoch=8)
    new.append_final(final("b", at=1004.0, text="new"))
    new.append("state", {"key": "x/z", "value": 3}, at=1003.0)
    old.append_final(final("a", text="helo"))
    await corrected(old, "a", "hello")
    for key in ("x/y", "x/z"):
        old.append("state", {"key": key, "value": 2}, at=1002.0)
    old.append("person", {"identity": "ada", "name": "Ada L."}, at=1002.0)
    await new.read_again()
    assert [caption.text for caption in await new.said()] == ["hello", "new"]
    assert new.is_corrected("a")
    assert await new.caption("a")
    assert [new.state(key) for key in ("x/y", "x/z")] == [2, 3]
    assert new.people == {"ada": "Ada L."}

    store.away = True
    reading = asyncio.create_task(new.read_again(patient=True))
    await asyncio.sleep(0.05)
    assert not reading.done()
    store.given.append(
        Line("m", 6, 1, "final", 1000.5, final_data(final("c"), meeting_start=1000.0))
    )
    store.away = False
    async with asyncio.timeout(10):
        await reading
    assert await new.caption("c")
