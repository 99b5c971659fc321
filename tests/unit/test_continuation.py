"""A room that LiveKit made anew: which meeting it goes on with, with and without a lease."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pipelines.testing.memory_store import MemoryStore
from pipelines.transcript.continuation import continued_meeting, last_journalled
from pipelines.transcript.epochs import journals_of
from pipelines.transcript.ledger import Ledger
from pipelines.transcript.recovery import recover
from pipelines.transcript.resume import Before
from pipelines.transcript.stores.files import FilesStore

OLD, NEW = "RM_1", "RM_2"
MEETING = f"standup/{OLD}"


@pytest.fixture
def files(tmp_path: Path) -> FilesStore:
    return FilesStore(tmp_path / "transcripts")


async def leave(
    journal_dir: Path,
    *,
    meeting: str = MEETING,
    epoch: int = 7,
    room: str = "standup",
    sid: str = OLD,
    ended: bool = False,
    silent: float = 0.0,
) -> None:
    """Leave a journal of which nobody heard for ``silent`` seconds."""
    ledger = await Ledger.open(
        meeting, epoch, started_at=1000.0, journal_dir=journal_dir, stores=[MemoryStore()]
    )
    opened = {"room": room, "room_sid": sid, "started_at": 1000.0}
    ledger.append("opened", opened, at=time.time())
    if ended:
        ledger.append("ended", {}, at=time.time())
    ledger.close()
    await ledger.run()
    ledger.release()
    long_ago = time.time() - silent
    os.utime(journals_of(journal_dir, meeting)[-1], (long_ago, long_ago))


async def continued(
    journal_dir: Path, files: FilesStore, before: Before | None = None, *, sid: str = NEW
) -> str:
    return await continued_meeting(
        before,
        room="standup",
        room_sid=sid,
        within=60.0,
        now=time.time(),
        journal_dir=journal_dir,
        files=files,
    )


async def test_by_the_lease_alone_it_goes_on_for_a_minute(
    journal_dir: Path, files: FilesStore
) -> None:
    assert await continued(journal_dir, files, Before(MEETING, OLD, 59.0)) == MEETING
    assert not await continued(journal_dir, files, Before(MEETING, OLD, 61.0))


async def test_by_the_journal_alone_it_goes_on_for_a_minute_after_the_last_sign_of_life(
    journal_dir: Path, files: FilesStore
) -> None:
    assert not await continued(journal_dir, files)
    await leave(journal_dir, silent=50.0)
    assert await continued(journal_dir, files) == MEETING
    await leave(journal_dir, epoch=8, silent=61.0)
    os.utime(journals_of(journal_dir, MEETING)[0], (0, 0))
    assert not await continued(journal_dir, files)


async def test_a_silent_writer_leaves_signs_of_life(journal_dir: Path) -> None:
    ledger = await Ledger.open(
        MEETING, 7, started_at=1000.0, journal_dir=journal_dir, stores=[MemoryStore()]
    )
    opened = {"room": "standup", "room_sid": OLD, "started_at": 1000.0}
    ledger.append("opened", opened, at=1000.0)
    os.utime(journals_of(journal_dir, MEETING)[0], (1000.0, 1000.0))
    ledger.close()
    await ledger.run()
    ledger.release()
    before = last_journalled(journal_dir, room="standup", room_sid=NEW, now=time.time())
    assert before is not None
    assert before.age < 60.0


async def test_in_the_same_opening_of_the_room_it_always_goes_on(
    journal_dir: Path, files: FilesStore
) -> None:
    await leave(journal_dir, sid=NEW, silent=7000.0)
    await leave(journal_dir, meeting="standup/RM_0", sid="RM_0")
    assert await continued(journal_dir, files) == MEETING


async def test_other_rooms_and_meetings_with_an_id_are_left_alone(
    journal_dir: Path, files: FilesStore
) -> None:
    await leave(journal_dir, meeting="weekly")
    await leave(journal_dir, meeting=f"retro/{OLD}", room="retro")
    assert not await continued(journal_dir, files)


async def test_a_meeting_that_ended_in_good_order_does_not_go_on(
    journal_dir: Path, files: FilesStore
) -> None:
    await leave(journal_dir, ended=True)
    assert not await continued(journal_dir, files)
    assert not await continued(journal_dir, files, Before(MEETING, OLD, 1.0))


async def test_recovery_leaves_a_meeting_that_may_go_on_and_seals_it_after_a_minute(
    journal_dir: Path, files: FilesStore
) -> None:
    async def closed(*_: str) -> bool:
        return False

    await leave(journal_dir, silent=50.0)
    await recover(journal_dir, [files], is_open=closed)
    assert await files.seals(MEETING) == {}
    before = Before(MEETING, OLD, 1.0)
    assert await continued(journal_dir, files, before) == MEETING
    await recover(journal_dir, [files], is_open=closed, continue_within=40.0)
    assert list(await files.seals(MEETING)) == [1]
    assert not await continued(journal_dir, files, before)


async def test_a_meeting_that_went_on_after_a_seal_is_not_sealed(
    journal_dir: Path, files: FilesStore
) -> None:
    async def closed(*_: str) -> bool:
        return False

    await leave(journal_dir, silent=61.0)
    await recover(journal_dir, [files], is_open=closed)
    await leave(journal_dir, epoch=8)
    assert await continued(journal_dir, files, Before(MEETING, OLD, 1.0)) == MEETING
