"""What dead jobs leave on this host: whoever sees to it, it is sealed once and whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pipelines.errors import StoreRefusedError
from pipelines.testing.memory_store import MemoryStore
from pipelines.transcript.epochs import journals_of
from pipelines.transcript.flusher import write_checkpoint
from pipelines.transcript.line import Line
from pipelines.transcript.recovery import recover
from pipelines.transcript.seal import close_meeting
from pipelines.transcript.stores.files import FilesStore
from pipelines.transcript.stores.left_alone import FAILURES
from tests.unit.dead_jobs import is_open, is_over, is_unknown, segments_of, speak

pytestmark = pytest.mark.usefixtures("retry_at_once")


async def test_a_dead_jobs_meeting_is_replayed_sealed_and_its_journal_deleted(
    journal_dir: Path, store: FilesStore
) -> None:
    (await speak(journal_dir, store, "a", "b")).release()
    await recover(journal_dir, [store], is_open=is_over)
    assert segments_of(store.directory("m") / "seal-1") == ["a", "b"]
    assert list(journal_dir.iterdir()) == []
    await recover(journal_dir, [store], is_open=is_over)
    assert list(await store.seals("m")) == [1]


async def test_a_meeting_whose_room_is_open_is_replayed_and_not_sealed(
    journal_dir: Path, store: FilesStore
) -> None:
    (await speak(journal_dir, store, "a")).release()
    await recover(journal_dir, [store], is_open=is_open)
    assert len(await store.read("m")) == 2
    assert await store.seals("m") == {}
    assert len(journals_of(journal_dir, "m")) == 1


async def test_while_nobody_knows_whether_the_room_is_open_nothing_is_sealed(
    journal_dir: Path, store: FilesStore
) -> None:
    (await speak(journal_dir, store, "a")).release()
    await recover(journal_dir, [store], is_open=is_unknown)
    assert await store.seals("m") == {}


async def test_a_meeting_that_ended_in_good_order_is_sealed_without_asking(
    journal_dir: Path, store: FilesStore
) -> None:
    (await speak(journal_dir, store, "a", ended=True)).release()
    await recover(journal_dir, [store], is_open=is_unknown)
    assert list(await store.seals("m")) == [1]


@pytest.mark.parametrize("ended", [False, True])
async def test_a_meeting_that_a_living_job_has_on_any_host_is_not_over(
    journal_dir: Path, store: FilesStore, *, ended: bool
) -> None:
    (await speak(journal_dir, store, "a", ended=ended)).release()
    served = {"m"}

    async def is_served(meeting: str) -> bool:
        return meeting in served

    await recover(journal_dir, [store], is_open=is_over, is_served=is_served)
    assert await store.seals("m") == {}
    served.clear()
    await recover(journal_dir, [store], is_open=is_over, is_served=is_served)
    assert list(await store.seals("m")) == [1]


async def test_a_living_writers_meeting_is_left_alone(journal_dir: Path, store: FilesStore) -> None:
    ledger = await speak(journal_dir, store, "a")
    await recover(journal_dir, [store], is_open=is_over)
    assert await store.seals("m") == {}
    ledger.release()


async def test_two_epochs_are_one_transcript(journal_dir: Path, store: FilesStore) -> None:
    (await speak(journal_dir, store, "a")).release()
    (await speak(journal_dir, store, "b", epoch=8)).release()
    await recover(journal_dir, [store], is_open=is_over)
    assert segments_of(store.directory("m") / "seal-1") == ["a", "b"]


async def test_lines_that_a_store_has_lost_are_given_again_whatever_its_checkpoint_says(
    journal_dir: Path, store: FilesStore, tmp_path: Path
) -> None:
    (await speak(journal_dir, store, "a", "b")).release()
    await recover(journal_dir, [store], is_open=is_open)
    moved = FilesStore(tmp_path / "moved")
    await recover(journal_dir, [moved], is_open=is_over)
    assert segments_of(moved.directory("m") / "seal-1") == ["a", "b"]


async def test_a_store_that_can_not_be_read_back_is_given_what_its_checkpoint_lacks_once(
    journal_dir: Path, store: FilesStore
) -> None:
    blind = MemoryStore("blind", reads_back=False)
    (await speak(journal_dir, store, "a")).release()
    write_checkpoint(journals_of(journal_dir, "m")[0], "blind", 1)
    await recover(journal_dir, [store, blind], is_open=is_over)
    assert [line.sequence for line in blind.given] == [2]


async def test_a_store_that_is_away_is_found_out_once_for_many_meetings(
    journal_dir: Path, store: FilesStore
) -> None:
    away = MemoryStore(away=True)
    for n in range(20):
        (await speak(journal_dir, store, "a", meeting=f"m{n}")).release()
    await recover(journal_dir, [store, away], is_open=is_over)
    assert away.asked <= FAILURES
    for n in range(20):
        assert list(await store.seals(f"m{n}")) == [1]


async def test_a_meeting_that_a_store_refuses_keeps_no_other_from_it(
    journal_dir: Path, store: FilesStore
) -> None:
    class Picky(MemoryStore):
        async def append(self, meeting: str, lines: Sequence[Line]) -> None:
            if meeting.startswith("unknown"):
                raise StoreRefusedError("404")
            await super().append(meeting, lines)

    picky = Picky()
    for meeting in ("unknown-1", "unknown-2", "zebra"):
        (await speak(journal_dir, store, "a", meeting=meeting)).release()
    await recover(journal_dir, [store, picky], is_open=is_over)
    assert {line.meeting for line in picky.given} == {"zebra"}
    assert journals_of(journal_dir, "zebra") == []
    assert len(journals_of(journal_dir, "unknown-1")) == 1


async def test_what_a_host_brings_after_a_later_epoch_ended_elsewhere_is_sealed_too(
    journal_dir: Path, store: FilesStore, tmp_path: Path
) -> None:
    shared, elsewhere = MemoryStore(), tmp_path / "elsewhere"
    (await speak(journal_dir, store, "a")).release()
    later = await speak(elsewhere, shared, "b", epoch=8, ended=True)
    await close_meeting("m", 8, elsewhere, [FilesStore(tmp_path / "other"), shared])
    later.release()
    await recover(journal_dir, [store, shared], is_open=is_over)
    assert segments_of(store.directory("m") / "seal-1") == ["a", "b"]
    assert journals_of(journal_dir, "m") == []


async def test_what_can_not_be_recovered_does_not_keep_others_from_it(
    journal_dir: Path, store: FilesStore
) -> None:
    bad = journal_dir / "bad" / "7.jsonl"
    bad.parent.mkdir(parents=True)
    bad.write_bytes(Line("bad", 7, 1, "opened", 1.0, {"nothing": "known"}).encode())
    (await speak(journal_dir, store, "a")).release()
    await recover(journal_dir, [store], is_open=is_over)
    assert list(await store.seals("m")) == [1]
    assert bad.exists()


async def test_a_journal_without_a_whole_line_is_cleared_away(
    journal_dir: Path, store: FilesStore
) -> None:
    (journal_dir / "x").mkdir(parents=True)
    (journal_dir / "x" / "7.jsonl").write_bytes(b'{"meeting":"m","ep')
    await recover(journal_dir, [store], is_open=is_over)
    assert list(journal_dir.iterdir()) == []
