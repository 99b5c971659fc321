"""Seal and recovery: whoever does it, however often, the meeting is sealed once and whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import stamina

from pipelines.errors import StoreError, StoreRefusedError
from pipelines.events import CaptionFinal
from pipelines.testing.memory_store import MemoryStore
from pipelines.transcript.epochs import journals_of
from pipelines.transcript.flusher import write_checkpoint
from pipelines.transcript.journal import read_journal
from pipelines.transcript.ledger import Ledger
from pipelines.transcript.line import Line
from pipelines.transcript.recovery import recover
from pipelines.transcript.seal import SUMMARY_STATE, close_meeting, seal
from pipelines.transcript.stores.files import FilesStore
from pipelines.transcript.stores.left_alone import FAILURES
from pipelines.transcript.stores.store import Store


@pytest.fixture(autouse=True)
def _retry_at_once() -> None:
    stamina.set_testing(True, attempts=3)


@pytest.fixture
def store(tmp_path: Path) -> FilesStore:
    return FilesStore(tmp_path / "transcripts")


@pytest.fixture
def journal_dir(tmp_path: Path) -> Path:
    return tmp_path / "journal"


async def speak(
    journal_dir: Path,
    store: Store,
    *segments: str,
    epoch: int = 7,
    ended: bool = False,
    meeting: str = "m",
) -> Ledger:
    """Journal a meeting's epoch without flushing it, as a job that is killed leaves it."""
    ledger = await Ledger.open(
        meeting, epoch, started_at=1000.0, journal_dir=journal_dir, stores=[store]
    )
    opened = {"room": "r", "room_sid": "RM_1", "started_at": 1000.0}
    ledger.append("opened", opened, at=1000.0)
    for segment in segments:
        ledger.append_final(
            CaptionFinal(
                at=1001.0, end=1002.0, segment=segment, identity="ada", name="Ada", text=segment
            )
        )
    if ended:
        ledger.append("ended", {}, at=1005.0)
    return ledger


async def is_open(_room: str, _sid: str, _dispatch: str) -> bool:
    return True


async def is_over(_room: str, _sid: str, _dispatch: str) -> bool:
    return False


async def is_unknown(_room: str, _sid: str, _dispatch: str) -> bool:
    raise ConnectionError("LiveKit is down")


def segments_of(path: Path) -> list[str]:
    document = json.loads((path / "transcript.json").read_text())
    return [segment["id"] for segment in document["segments"]]


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


async def test_two_epochs_are_one_transcript(journal_dir: Path, store: FilesStore) -> None:
    (await speak(journal_dir, store, "a")).release()
    (await speak(journal_dir, store, "b", epoch=8)).release()
    await recover(journal_dir, [store], is_open=is_over)
    assert segments_of(store.directory("m") / "seal-1") == ["a", "b"]


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


async def test_lines_that_a_store_has_lost_are_given_again_whatever_its_checkpoint_says(
    journal_dir: Path, store: FilesStore, tmp_path: Path
) -> None:
    (await speak(journal_dir, store, "a", "b")).release()
    await recover(journal_dir, [store], is_open=is_open)
    moved = FilesStore(tmp_path / "moved")
    await recover(journal_dir, [moved], is_open=is_over)
    assert segments_of(moved.directory("m") / "seal-1") == ["a", "b"]


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


class Index(MemoryStore):
    """A store that knows one meeting that is not sealed, and how far others are with it."""

    noted: Mapping[int, int] = {}
    touched = 0

    async def touch(self, _meeting: str) -> None:
        self.touched += 1

    async def checkpoints(self, _meeting: str, _store: str) -> dict[int, int]:
        return dict(self.noted)

    async def note_checkpoint(self, _meeting: str, _store: str, epoch: int, sequence: int) -> None:
        self.noted = {**self.noted, epoch: sequence}

    async def unsealed(self, *, idle: float) -> list[str]:
        assert idle == 60.0
        return ["m"]


async def test_a_meeting_whose_host_vanished_is_sealed_from_what_the_index_has(
    journal_dir: Path, store: FilesStore, tmp_path: Path
) -> None:
    index = Index()
    (await speak(tmp_path / "vanished", index, "a", "b")).release()
    index.given = read_journal(journals_of(tmp_path / "vanished", "m")[0]).lines
    await recover(journal_dir, [store, index], is_open=is_open, index=index)
    assert await store.seals("m") == {}
    await recover(journal_dir, [store, index], is_open=is_over, index=index)
    assert segments_of(store.directory("m") / "seal-1") == ["a", "b"]
    assert index.sealed_meetings == ["m"]


async def test_a_vanished_hosts_meeting_is_left_alone_for_as_long_as_it_may_go_on(
    journal_dir: Path, store: FilesStore
) -> None:
    class Asked(Index):
        idle = 0.0

        async def unsealed(self, *, idle: float) -> list[str]:
            self.idle = idle
            return []

    for vanished_after, continue_within in ((60.0, 90.0), (90.0, 60.0)):
        index = Asked()
        await recover(
            journal_dir,
            [store],
            is_open=is_over,
            index=index,
            vanished_after=vanished_after,
            continue_within=continue_within,
        )
        assert index.idle == 90.0


async def test_a_vanished_hosts_meeting_stays_in_the_index_until_its_last_step_is_done(
    journal_dir: Path, store: FilesStore, tmp_path: Path
) -> None:
    index, failures = Index(), [StoreError("not now")]

    async def finish(_lines: Sequence[Line]) -> None:
        if failures:
            raise failures.pop()

    (await speak(tmp_path / "vanished", index, "a", "b")).release()
    index.given = read_journal(journals_of(tmp_path / "vanished", "m")[0]).lines
    for sealed in ([], ["m"]):
        await recover(journal_dir, [store, index], is_open=is_over, finish=finish, index=index)
        assert list(await store.seals("m")) == [1]
        assert index.sealed_meetings == sealed


async def test_a_store_that_can_not_be_read_back_gets_what_a_vanished_host_had_not_given_it(
    journal_dir: Path, store: FilesStore, tmp_path: Path
) -> None:
    index, blind = Index(), MemoryStore("blind", reads_back=False)
    (await speak(tmp_path / "vanished", index, "a", "b")).release()
    index.given = read_journal(journals_of(tmp_path / "vanished", "m")[0]).lines
    index.noted = {7: 2}
    await recover(journal_dir, [store, index, blind], is_open=is_over, index=index)
    assert [line.sequence for line in blind.given] == [3]
    assert index.noted == {7: 3}


async def test_after_a_failover_the_sealing_job_gives_what_the_vanished_host_had_not(
    journal_dir: Path, store: FilesStore, tmp_path: Path
) -> None:
    index, blind = Index(), MemoryStore("blind", reads_back=False)
    (await speak(tmp_path / "vanished", index, "a", "b")).release()
    index.given = read_journal(journals_of(tmp_path / "vanished", "m")[0]).lines
    index.noted = {7: 2}
    taking_over = await speak(journal_dir, index, "c", epoch=8, ended=True)
    stores: list[Store] = [store, index, blind]
    await close_meeting("m", 8, journal_dir, stores, checkpoints=index)
    taking_over.release()
    assert [line.key for line in blind.given] == [(8, 1), (8, 2), (8, 3), (7, 3)]
    assert segments_of(store.directory("m") / "seal-1") == ["a", "b", "c"]


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


async def test_a_meeting_with_a_living_job_here_is_not_taken_for_one_of_a_vanished_host(
    journal_dir: Path, store: FilesStore
) -> None:
    index = Index()
    ledger = await speak(journal_dir, store, "a")
    await recover(journal_dir, [store, index], is_open=is_over, index=index)
    assert await store.seals("m") == {}
    assert index.touched == 1  # Other hosts leave it alone, too.
    ledger.release()


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


async def test_a_journal_without_a_whole_line_is_cleared_away(
    journal_dir: Path, store: FilesStore
) -> None:
    (journal_dir / "x").mkdir(parents=True)
    (journal_dir / "x" / "7.jsonl").write_bytes(b'{"meeting":"m","ep')
    await recover(journal_dir, [store], is_open=is_over)
    assert list(journal_dir.iterdir()) == []
