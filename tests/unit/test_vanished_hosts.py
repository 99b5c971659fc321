"""Meetings of hosts that vanished: sealed from what an index of all hosts has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pipelines.errors import StoreError
from pipelines.testing.memory_store import MemoryStore
from pipelines.transcript.epochs import journals_of
from pipelines.transcript.journal import read_journal
from pipelines.transcript.line import Line
from pipelines.transcript.recovery import recover
from pipelines.transcript.seal import close_meeting
from pipelines.transcript.stores.files import FilesStore
from pipelines.transcript.stores.store import Store
from tests.unit.dead_jobs import is_open, is_over, segments_of, speak

pytestmark = pytest.mark.usefixtures("retry_at_once")


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


async def test_a_meeting_with_a_living_job_here_is_not_taken_for_one_of_a_vanished_host(
    journal_dir: Path, store: FilesStore
) -> None:
    index = Index()
    ledger = await speak(journal_dir, store, "a")
    await recover(journal_dir, [store, index], is_open=is_over, index=index)
    assert await store.seals("m") == {}
    assert index.touched == 1  # Other hosts leave it alone, too.
    ledger.release()
