"""The seal: whoever does it, however often, the meeting is sealed once and whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pipelines.errors import StoreError
from pipelines.testing.memory_store import MemoryStore
from pipelines.transcript.epochs import journals_of
from pipelines.transcript.journal import read_journal
from pipelines.transcript.line import Line
from pipelines.transcript.recovery import recover
from pipelines.transcript.seal import SUMMARY_STATE, close_meeting, seal
from pipelines.transcript.stores.files import FilesStore
from tests.unit.dead_jobs import is_over, segments_of, speak

pytestmark = pytest.mark.usefixtures("retry_at_once")


@pytest.mark.parametrize(
    ("later", "wanted"),
    [
        pytest.param([], {"template": "decisions"}, id="as the meeting began"),
        pytest.param([{"deliver": ["crm"]}], {"deliver": ["crm"]}, id="changed since"),
        pytest.param([{"deliver": ["crm"]}, {}], None, id="taken back"),
    ],
)
async def test_what_metadata_wants_of_the_summary_is_kept_beside_the_transcript(
    journal_dir: Path,
    store: FilesStore,
    later: Sequence[Mapping[str, object]],
    wanted: Mapping[str, object] | None,
) -> None:
    ledger = await speak(journal_dir, store, "a")
    again = {"room": "r", "room_sid": "RM_1", "started_at": 1000.0}
    ledger.append("opened", {**again, "summary": {"template": "decisions"}}, at=1003.0)
    for summary in later:
        ledger.append("state", {"key": SUMMARY_STATE, "value": summary}, at=1004.0)
    ledger.append("state", {"key": "plugin/summary", "value": "its own"}, at=1004.0)
    ledger.append("ended", {}, at=1005.0)
    ledger.release()
    await recover(journal_dir, [store], is_open=is_over)
    kept = store.directory("m") / "seal-1" / "wanted.json"
    assert (json.loads(kept.read_text()) if kept.exists() else None) == wanted


async def test_an_older_epoch_does_not_seal(journal_dir: Path, store: FilesStore) -> None:
    (await speak(journal_dir, store, "a")).release()
    newer = await speak(journal_dir, store, "b", epoch=8)
    assert await close_meeting("m", 7, journal_dir, [store]) is None
    assert await store.seals("m") == {}
    newer.release()


async def test_a_meeting_that_goes_on_after_its_seal_gets_a_second_one(
    journal_dir: Path, store: FilesStore
) -> None:
    (await speak(journal_dir, store, "a")).release()
    await close_meeting("m", 7, journal_dir, [store])
    (await speak(journal_dir, store, "b", epoch=8)).release()
    await close_meeting("m", 8, journal_dir, [store])
    assert segments_of(store.directory("m") / "seal-1") == ["a"]
    assert segments_of(store.directory("m") / "seal-2") == ["a", "b"]


async def test_a_store_that_is_away_keeps_no_meeting_from_its_seal_and_every_journal_from_deletion(
    journal_dir: Path, store: FilesStore
) -> None:
    other = MemoryStore(away=True)
    (await speak(journal_dir, store, "a")).release()
    with pytest.raises(StoreError, match="away"):
        await close_meeting("m", 7, journal_dir, [store, other])
    assert list(await store.seals("m")) == [1]
    assert len(journals_of(journal_dir, "m")) == 1
    other.away = False
    await recover(journal_dir, [store, other], is_open=is_over)
    assert await other.read("m") == await store.read("m")
    assert other.sealed_meetings == ["m"]
    assert list(await store.seals("m")) == [1]
    assert journals_of(journal_dir, "m") == []


async def test_a_line_that_comes_to_light_after_the_seal_makes_a_second_one(
    journal_dir: Path, store: FilesStore
) -> None:
    late = MemoryStore()
    (await speak(journal_dir, store, "a", "b", "c")).release()
    (journal,) = journals_of(journal_dir, "m")
    lines = read_journal(journal).lines
    journal.write_bytes(b"".join(line.encode() for line in lines if line.sequence != 3))
    await close_meeting("m", 7, journal_dir, [store])
    late.given = [lines[2]]
    await close_meeting("m", 7, journal_dir, [store, late])
    assert segments_of(store.directory("m") / "seal-2") == ["a", "b", "c"]


async def test_a_store_that_hangs_keeps_no_meeting_from_its_seal(
    journal_dir: Path, store: FilesStore
) -> None:
    class Hangs(MemoryStore):
        async def read(self, _meeting: str) -> list[Line]:
            return await asyncio.Event().wait() and []

    (await speak(journal_dir, store, "a")).release()
    closing = asyncio.create_task(
        close_meeting("m", 7, journal_dir, [store, Hangs()], patience=0.01)
    )
    async with asyncio.timeout(10):
        while not await store.seals("m"):  # noqa: ASYNC110 - a file gives no event
            await asyncio.sleep(0.01)
    closing.cancel()


async def test_a_journal_is_kept_while_a_store_lacks_a_line(
    journal_dir: Path, store: FilesStore
) -> None:
    class Forgets(FilesStore):
        async def append(self, meeting: str, lines: Sequence[Line]) -> None:
            await super().append(meeting, lines[:1])

    (await speak(journal_dir, store, "a", "b")).release()
    with pytest.raises(StoreError):
        await close_meeting("m", 7, journal_dir, [Forgets(store.directory("x"))])
    assert len(journals_of(journal_dir, "m")) == 1


async def test_two_jobs_of_one_meeting_end_in_any_order_and_every_line_is_sealed(
    journal_dir: Path, store: FilesStore
) -> None:
    older = await speak(journal_dir, store, "a")
    newer = await speak(journal_dir, store, "b", epoch=8)
    await close_meeting("m", 8, journal_dir, [store])
    newer.release()
    assert [path.stem for path in journals_of(journal_dir, "m")] == ["7"]
    older.append("state", {"key": "k", "value": 1}, at=1.0)
    assert await close_meeting("m", 7, journal_dir, [store])
    older.release()
    assert journals_of(journal_dir, "m") == []
    assert segments_of(store.directory("m") / "seal-2") == ["a", "b"]


async def test_a_meeting_that_re_opens_while_the_clock_went_back_gets_a_higher_epoch(
    journal_dir: Path, store: FilesStore
) -> None:
    (await speak(journal_dir, store, "a")).release()
    await close_meeting("m", 7, journal_dir, [store])
    again = await speak(journal_dir, store, "b", epoch=5)
    assert again.epoch == 8
    again.release()


async def test_sealing_what_is_sealed_changes_nothing(journal_dir: Path, store: FilesStore) -> None:
    (await speak(journal_dir, store, "a")).release()
    first = await close_meeting("m", 7, journal_dir, [store])
    assert await seal("m", epoch=7, store=store, journal_dir=journal_dir) == first
