"""The files that leases are kept in, their locks and their clock."""

from __future__ import annotations

import asyncio
import fcntl
from pathlib import Path

import pytest

from pipelines.errors import LeaseError
from pipelines.lease import REMEMBERED, LeaseKey
from pipelines.leases import file_lock
from pipelines.leases.files import FileLeases, host_clock
from tests.unit.file_leases import ROOM, TTL, Clock, beat, claim


async def test_after_the_host_was_started_anew_nobody_holds_anything_and_all_is_long_ago(
    tmp_path: Path, clock: Clock
) -> None:
    daily = LeaseKey("room", ("daily", "greffier", ""))
    clock.now = 20.0
    before = FileLeases(tmp_path / "leases", clock=clock, boot="one")
    held = await claim(before, "a", heard_until=1.5)
    await before.release(daily, epoch=1, tombstone="withdrawn", sid="RM_1")
    clock.now = 21.0  # The host was down for a while, and starts.
    after = FileLeases(tmp_path / "leases", clock=clock, boot="other")
    (found,) = await after.leases("room", expired=True)
    assert found.state == {"heard_until": 1.5}
    assert found.age > REMEMBERED
    assert await after.tombstone(daily, "RM_1") == "withdrawn"
    assert (await claim(after, "b")).epoch > held.epoch


async def test_what_is_gone_for_a_day_leaves_no_file(
    leases: FileLeases, clock: Clock, tmp_path: Path
) -> None:
    await leases.release(ROOM, epoch=1, tombstone="empty", sid="RM_1")
    clock.now += REMEMBERED + 1
    other = LeaseKey("room", ("daily", "greffier", ""))
    await leases.release(other, epoch=1)
    left = [path.stem for path in tmp_path.glob("leases/*/*") if path.is_file()]
    assert {stem.partition("-")[0] for stem in left} == {"daily"}


async def test_what_nobody_lets_go_of_leaves_no_file_a_day_after_its_end(
    leases: FileLeases, clock: Clock, tmp_path: Path
) -> None:
    first, second = (LeaseKey("effect", ("weekly", one)) for one in ("a", "b"))
    await claim(leases, "1", key=first)
    clock.now += TTL + REMEMBERED + 1
    await claim(leases, "1", key=second)
    left = [path for path in tmp_path.glob("leases/effect/*") if path.suffix == ".json"]
    assert len(left) == 1
    assert await leases.read(second)


async def test_a_process_stopped_with_the_lock_holds_up_nobody_for_ever(
    leases: FileLeases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_lock, "LOCKED_FOR", 0.02)
    held = await claim(leases, "a")
    (lock,) = tmp_path.glob("leases/room/*.lock")
    with lock.open() as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        with pytest.raises(LeaseError, match="stays locked"):
            await beat(leases, held)
        assert await leases.read(ROOM)
    await beat(leases, held)


async def test_a_lock_whose_file_was_deleted_meanwhile_locks_nothing(
    leases: FileLeases, tmp_path: Path
) -> None:
    await claim(leases, "a")
    (lock,) = tmp_path.glob("leases/room/*.lock")
    with lock.open() as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        waiting = asyncio.create_task(claim(leases, "a"))
        await asyncio.sleep(0.02)
        lock.unlink()
        with file_lock.locked(lock):  # Somebody else has the new one.
            fcntl.flock(locked, fcntl.LOCK_UN)
            await asyncio.sleep(0.02)
            assert not waiting.done()
        await waiting


async def test_half_a_record_is_none(leases: FileLeases, tmp_path: Path) -> None:
    await claim(leases, "a")
    (record,) = tmp_path.glob("leases/room/*.json")
    record.write_bytes(record.read_bytes()[:20])
    assert await leases.leases("room") == []
    assert (await claim(leases, "b")).holder == "b"


async def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "leases").write_text("no directory")
    leases = FileLeases(tmp_path / "leases")
    with pytest.raises(LeaseError, match=str(tmp_path)):
        await claim(leases, "a")


def test_the_hosts_clock_is_one_for_all_processes_and_nobody_sets_it() -> None:
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert host_clock() == pytest.approx(uptime, abs=1.0)
