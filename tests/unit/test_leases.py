"""Who has a lease: files follow the rules that Redis and the double follow too, see
tests/integration/test_redis_leases.py."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pipelines.errors import FencedError, HeldError
from pipelines.lease import NUDGED, REMEMBERED, Lease, LeaseKey, Nudge
from pipelines.leases.files import FileLeases
from tests.unit.file_leases import ROOM, TTL, Clock, beat, claim, take


async def test_of_many_who_claim_a_room_at_once_one_gets_it(leases: FileLeases) -> None:
    found = await asyncio.gather(
        *(claim(leases, f"job {n}") for n in range(20)), return_exceptions=True
    )
    (won,) = (one for one in found if isinstance(one, Lease))
    assert {one.lease.holder for one in found if isinstance(one, HeldError)} == {won.holder}
    assert sum(isinstance(one, HeldError) for one in found) == 19


async def test_a_lease_lives_as_long_as_it_is_beaten(leases: FileLeases, clock: Clock) -> None:
    first = await claim(leases, "a")
    for _ in range(5):
        clock.now += TTL - 0.1
        first = await beat(leases, first, heard_until=1.5)
        with pytest.raises(HeldError):
            await claim(leases, "b")
    clock.now += TTL + 0.5
    await claim(leases, "c", key=LeaseKey("room", ("daily", "greffier", "")))
    (found,) = await leases.leases("room", expired=True)
    assert (found.key, found.state, found.expired) == (ROOM, {"heard_until": 1.5}, True)
    assert (found.left, found.age) == pytest.approx((-0.5, TTL + 0.5))


async def test_who_claims_an_expired_lease_is_in_a_higher_epoch_and_fences_the_old_holder(
    leases: FileLeases, clock: Clock
) -> None:
    old = await claim(leases, "a", epoch=10)
    clock.now += TTL
    new = await claim(leases, "b", epoch=3)
    assert new.epoch > old.epoch
    with pytest.raises(FencedError) as fenced:
        await beat(leases, old)
    assert fenced.value.lease
    assert (fenced.value.lease.holder, fenced.value.lease.epoch) == ("b", new.epoch)


async def test_the_holder_may_claim_again_and_has_the_same_epoch(
    leases: FileLeases, clock: Clock
) -> None:
    first = await claim(leases, "a", epoch=10)
    assert (await claim(leases, "a", epoch=3)).epoch == first.epoch
    clock.now += TTL + 1
    assert (await claim(leases, "a", epoch=3)).epoch == first.epoch


async def test_of_many_who_take_an_expired_lease_at_once_one_gets_it(
    leases: FileLeases, clock: Clock
) -> None:
    held = await claim(leases, "a", epoch=10)
    clock.now += TTL
    found = await asyncio.gather(*(take(leases, held.epoch, n=n) for n in range(20)))
    (won,) = filter(None, found)
    assert (won.epoch, won.holder) == (held.epoch + 1, "")
    assert await leases.read(ROOM) == won


async def test_a_living_holder_is_only_taken_from_by_force(leases: FileLeases) -> None:
    held = await claim(leases, "a")
    assert await take(leases, held.epoch) is None
    taken = await take(leases, held.epoch, force=True)
    assert taken
    assert taken.epoch == held.epoch + 1
    assert await take(leases, held.epoch, force=True) is None
    with pytest.raises(FencedError):
        await beat(leases, held)


async def test_who_took_a_lease_sets_the_epoch_that_its_next_holder_gets(
    leases: FileLeases, clock: Clock
) -> None:
    held = await claim(leases, "a", epoch=10)
    clock.now += TTL
    taken = await take(leases, held.epoch, floor=500, restarts=1)
    assert taken
    assert (taken.epoch, taken.state) == (501, {"restarts": 1})
    assert (await claim(leases, "b", epoch=20)).epoch == 501


async def test_a_lease_that_was_taken_and_not_claimed_expires_and_is_taken_again(
    leases: FileLeases, clock: Clock
) -> None:
    first = await take(leases, 10)
    assert first
    assert await take(leases, first.epoch) is None
    clock.now += TTL
    second = await take(leases, first.epoch)
    assert second
    assert second.epoch == first.epoch + 1


async def test_a_lost_lease_is_made_again_by_its_holders_beat_in_its_epoch(
    leases: FileLeases, tmp_path: Path
) -> None:
    held = await claim(leases, "a", epoch=10)
    (record,) = tmp_path.glob("leases/room/*.json")
    record.unlink()
    assert (await beat(leases, held)).epoch == held.epoch
    with pytest.raises(HeldError):
        await claim(leases, "b", epoch=50)


async def test_after_a_loss_the_newer_of_two_holders_has_the_lease_whoever_beats_first(
    leases: FileLeases,
) -> None:
    old = Lease(ROOM, epoch=10, holder="a", state={}, left=0.0, age=0.0)
    new = Lease(ROOM, epoch=11, holder="b", state={}, left=0.0, age=0.0)
    await beat(leases, old)
    await beat(leases, new)
    with pytest.raises(FencedError):
        await beat(leases, old)
    assert (await beat(leases, new)).holder == "b"


async def test_of_two_holders_in_one_epoch_the_second_has_to_leave(leases: FileLeases) -> None:
    await claim(leases, "a", epoch=10)
    with pytest.raises(FencedError):
        await beat(leases, Lease(ROOM, epoch=10, holder="b", state={}, left=0.0, age=0.0))


async def test_a_released_lease_is_gone_but_its_epoch_is_not_used_again(
    leases: FileLeases,
) -> None:
    held = await claim(leases, "a", epoch=10)
    await leases.release(ROOM, epoch=held.epoch)
    assert await leases.read(ROOM) is None
    assert await leases.leases("room") == []
    assert await take(leases, held.epoch, force=True) is None
    with pytest.raises(FencedError):
        await beat(leases, held)
    assert (await claim(leases, "b", epoch=3)).epoch == held.epoch + 1


async def test_a_fenced_holder_releases_nothing_and_leaves_no_tombstone(
    leases: FileLeases,
) -> None:
    held = await claim(leases, "a")
    taken = await take(leases, held.epoch, force=True)
    await leases.release(ROOM, epoch=held.epoch, tombstone="withdrawn", sid="RM_1")
    assert await leases.read(ROOM) == taken
    assert await leases.tombstone(ROOM, "RM_1") is None


async def test_a_tombstone_is_of_one_opening_of_the_room_and_lasts_a_day(
    leases: FileLeases, clock: Clock
) -> None:
    await leases.release(ROOM, epoch=1, tombstone="withdrawn", sid="RM_1")
    other = LeaseKey("room", ("weekly", "greffier", "recording"))
    assert await leases.tombstone(ROOM, "RM_1") == "withdrawn"
    assert await leases.tombstone(ROOM, "RM_2") is None
    assert await leases.tombstone(other, "RM_1") is None
    clock.now += REMEMBERED + 1
    assert await leases.tombstone(ROOM, "RM_1") is None


async def test_only_a_tombstone_of_the_named_kind_is_cleared(leases: FileLeases) -> None:
    for sid, kind in (("RM_1", "empty"), ("RM_2", "withdrawn")):
        await leases.release(ROOM, epoch=1, tombstone=kind, sid=sid)  # type: ignore[arg-type]  # both are
        await leases.clear_tombstone(ROOM, sid, "empty")
    assert await leases.tombstone(ROOM, "RM_1") is None
    assert await leases.tombstone(ROOM, "RM_2") == "withdrawn"


async def test_a_clock_that_was_set_back_keeps_no_dead_holder_alive(
    leases: FileLeases, clock: Clock
) -> None:
    held = await claim(leases, "a")
    clock.now -= 3600
    found = await leases.read(ROOM)
    assert found
    assert found.expired
    await beat(leases, held)  # Whoever lives is alive again.
    with pytest.raises(HeldError):
        await claim(leases, "b")


async def test_a_clock_that_went_back_a_little_changes_nothing(
    leases: FileLeases, clock: Clock
) -> None:
    await claim(leases, "a")
    clock.now -= 0.5
    with pytest.raises(HeldError):
        await claim(leases, "b")


async def test_every_reader_has_each_rooms_last_nudge_of_a_kind_for_a_minute(
    leases: FileLeases, clock: Clock, tmp_path: Path
) -> None:
    for room in ("weekly", "../daily", "weekly"):
        await leases.nudge(room, "room_started")
        clock.now += 1.0
    await leases.nudge("weekly", "room_finished")
    began = clock.now - 3.0
    expected = [
        Nudge("../daily", "room_started", began + 1.0),
        Nudge("weekly", "room_started", began + 2.0),
        Nudge("weekly", "room_finished", began + 3.0),
    ]
    assert await leases.nudges(0.0) == await leases.nudges(0.0) == expected
    assert await leases.nudges(expected[1].at) == expected[2:]
    assert await leases.nudges(expected[2].at) == []
    clock.now = began + 3.5 + NUDGED
    assert await leases.nudges(0.0) == []
    assert not list(tmp_path.glob("**/nudges/*"))


async def test_kinds_of_leases_are_listed_apart(leases: FileLeases) -> None:
    keys = [LeaseKey("work", ("weekly/RM_1", "1", step)) for step in ("align", "transcribe")]
    for key in (*reversed(keys), ROOM):
        await claim(leases, "a", key=key)
    assert [lease.key for lease in await leases.leases("work")] == keys
    assert [lease.key for lease in await leases.leases("room")] == [ROOM]
    assert await leases.leases("watch") == []


async def test_a_state_is_json_and_shown_nowhere(leases: FileLeases) -> None:
    with pytest.raises(ValueError, match="JSON"):
        await claim(leases, "a", at=float("nan"))
    with pytest.raises(ValueError, match="JSON"):
        await claim(leases, "a", at=object())
    assert "Ada" not in repr(await claim(leases, "a", person="Ada"))
