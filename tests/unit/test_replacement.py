"""Another job for a room whose job is gone, over leases in memory and a double of LiveKit."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from agents.failover import PAUSES
from agents.livekit_api import OURS
from agents.replacement import Replacement
from agents.room_state import RoomState, room_key
from pipelines.lease import Lease
from pipelines.metrics import metrics
from pipelines.settings import Settings
from pipelines.testing.memory_leases import MemoryLeases
from tests.unit.livekit_double import LiveKit, stand_in

ROOM = "weekly"
NAME = "greffier"
GHOST = f"{NAME}-{ROOM}"
STATE = RoomState(
    sid="RM_1", meeting="weekly/RM_1", first="AD_1", dispatch="AD_1", metadata="m", identity=GHOST
)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(clock: Clock) -> MemoryLeases:
    return MemoryLeases(clock)


@pytest.fixture
def livekit(monkeypatch: pytest.MonkeyPatch) -> LiveKit:
    livekit = LiveKit()
    stand_in(monkeypatch, livekit, "agents.replacement")
    livekit.open(ROOM)
    livekit.ask(ROOM, NAME, "m")
    livekit.agent(ROOM, GHOST, epoch=7)
    return livekit


def replacement(leases: MemoryLeases, name: str = NAME) -> Replacement:
    return Replacement(Settings(agent_name=name), leases)


async def dead(
    leases: MemoryLeases, clock: Clock, state: RoomState = STATE, *, name: str = NAME
) -> Lease:
    """Return the lease of a job that beats no more."""
    key = room_key(ROOM, name, "")
    await leases.claim(key, holder="AJ_1", epoch=7, ttl=3.0, state=state.as_dict())
    clock.now += 3.5
    lease = await leases.read(key)
    assert lease
    return lease


async def test_a_dead_job_is_fenced_put_out_and_asked_for_again(
    leases: MemoryLeases, clock: Clock, livekit: LiveKit
) -> None:
    assert await replacement(leases).see_to(await dead(leases, clock))
    taken = await leases.read(room_key(ROOM, NAME, ""))
    assert taken
    assert (taken.holder, taken.epoch > 7) == ("", True)
    assert livekit.removed == [GHOST]
    asked = livekit.dispatches[ROOM][-1]
    assert (asked.agent_name, asked.metadata, dict(asked.attributes)) == (NAME, "m", {OURS: "AD_1"})
    assert livekit.told == []


async def test_what_somebody_else_asked_stays_and_what_we_asked_before_does_not(
    leases: MemoryLeases, clock: Clock, livekit: LiveKit
) -> None:
    livekit.ask(ROOM, NAME, "m", attributes={OURS: "AD_1"})
    await replacement(leases).see_to(await dead(leases, clock))
    assert [one.id for one in livekit.dispatches[ROOM]] == ["AD_1", "AD_3"]


async def test_what_we_asked_and_nobody_has_claimed_stays_its_job_may_be_on_its_way(
    leases: MemoryLeases, clock: Clock, livekit: LiveKit
) -> None:
    lease: Lease | None = await dead(leases, clock)
    for _ in range(2):
        assert lease
        assert await replacement(leases).see_to(lease)
        clock.now += 5.0
        lease = await leases.read(lease.key)
    assert [one.id for one in livekit.dispatches[ROOM]] == ["AD_1", "AD_2", "AD_3"]


async def test_what_somebody_asked_after_us_in_our_name_stays(
    leases: MemoryLeases, clock: Clock, livekit: LiveKit
) -> None:
    later = livekit.ask(ROOM, NAME, "m", attributes={OURS: "AD_1"}, age=-1.0)
    await replacement(leases).see_to(await dead(leases, clock))
    assert later in livekit.dispatches[ROOM]


async def test_in_a_room_that_livekit_has_made_anew_nobody_has_asked_before_us(
    leases: MemoryLeases, clock: Clock, livekit: LiveKit
) -> None:
    livekit.open(ROOM, sid="RM_2")
    await replacement(leases).see_to(await dead(leases, clock))
    (asked,) = livekit.dispatches[ROOM]
    assert dict(asked.attributes) == {OURS: ""}


async def test_an_agent_without_a_name_is_asked_for_without_one(
    leases: MemoryLeases, clock: Clock, livekit: LiveKit
) -> None:
    livekit.open(ROOM)
    first = livekit.ask(ROOM, "")
    state = replace(STATE, first=first.id, metadata="")
    await replacement(leases, "").see_to(await dead(leases, clock, state, name=""))
    asked = livekit.dispatches[ROOM][-1]
    assert (asked.agent_name, dict(asked.attributes)) == ("", {OURS: first.id})


async def test_of_two_who_see_the_death_one_asks(
    leases: MemoryLeases, clock: Clock, livekit: LiveKit
) -> None:
    lease = await dead(leases, clock)
    assert await replacement(leases).see_to(lease)
    assert not await replacement(leases).see_to(lease)
    assert len(livekit.dispatches[ROOM]) == 2


async def test_one_that_lives_is_replaced_only_where_its_process_is_known_to_be_gone(
    leases: MemoryLeases, clock: Clock, livekit: LiveKit
) -> None:
    lease = await dead(leases, clock)
    await leases.beat(lease.key, holder="AJ_1", epoch=7, ttl=3.0, state=lease.state)
    assert not await replacement(leases).see_to(lease)
    assert livekit.removed == []
    assert await replacement(leases).see_to(lease, died=True)


async def test_a_room_whose_jobs_die_again_and_again_waits_and_people_are_told(
    leases: MemoryLeases, clock: Clock, livekit: LiveKit
) -> None:
    asks = len(livekit.dispatches[ROOM])
    state = STATE
    for death in range(len(PAUSES) + 1):
        lease = await dead(leases, clock, state)
        await replacement(leases).see_to(lease)
        taken = await leases.read(lease.key)
        assert taken
        state = RoomState.of(taken.state)
        asks += death == 0
        assert state.asked == (death == 0)
    assert len(livekit.dispatches[ROOM]) == asks
    notices = [json.loads(one.data) for one in livekit.told]
    assert [one["state"] for one in notices] == ["interrupted"] * (len(PAUSES) - 1) + ["failed"]
    assert {one.topic for one in livekit.told} == {"greffier.status"}


async def test_an_empty_room_is_not_served_again_before_somebody_comes(
    leases: MemoryLeases, clock: Clock, livekit: LiveKit
) -> None:
    livekit.open(ROOM, people=0)
    lease = await dead(leases, clock)
    assert not await replacement(leases).see_to(lease)
    assert livekit.dispatches[ROOM] == []
    assert await leases.read(lease.key)


async def test_the_lease_of_a_room_that_stays_closed_is_let_go(
    leases: MemoryLeases, clock: Clock, livekit: LiveKit
) -> None:
    del livekit.rooms[ROOM]
    lease = await dead(leases, clock)
    assert not await replacement(leases).see_to(lease)
    assert await leases.read(lease.key)
    clock.now += 3600.0
    later = await leases.read(lease.key)
    assert later
    await replacement(leases).see_to(later)
    assert await leases.read(lease.key) is None


async def test_metadata_with_a_secret_is_known_to_livekit_only(
    leases: MemoryLeases, clock: Clock, livekit: LiveKit
) -> None:
    await replacement(leases).see_to(await dead(leases, clock, replace(STATE, metadata=None)))
    assert livekit.dispatches[ROOM][-1].metadata == "m"


async def test_an_encrypted_rooms_job_is_not_asked_for_without_its_key(
    leases: MemoryLeases, clock: Clock, livekit: LiveKit
) -> None:
    livekit.dispatches[ROOM].clear()
    assert await replacement(leases).see_to(
        await dead(leases, clock, replace(STATE, metadata=None))
    )
    assert livekit.dispatches[ROOM] == []
    assert livekit.removed == [GHOST]
    assert [json.loads(one.data)["state"] for one in livekit.told] == ["failed"]


@pytest.mark.usefixtures("livekit")
async def test_the_time_in_which_nobody_comes_counts_as_silence(
    leases: MemoryLeases, clock: Clock
) -> None:
    silent = []
    lease: Lease | None = await dead(leases, clock)
    for _ in range(2):
        assert lease
        await replacement(leases).see_to(lease)
        lease = await leases.read(lease.key)
        assert lease
        silent.append(RoomState.of(lease.state).silent)
        clock.now += 5.0
        lease = await leases.read(lease.key)
    assert silent == [3.5, 8.5]


async def test_a_room_that_is_handed_over_keeps_its_job_until_another_one_takes_over(
    leases: MemoryLeases, clock: Clock, livekit: LiveKit
) -> None:
    lease = await dead(leases, clock)
    lease = await leases.beat(lease.key, holder="AJ_1", epoch=7, ttl=3.0, state=lease.state)
    await replacement(leases).hand_over(lease, metadata="m")
    taken = await leases.read(lease.key)
    assert taken
    assert RoomState.of(taken.state).handover == "AJ_1"
    assert livekit.removed == []
    assert dict(livekit.dispatches[ROOM][-1].attributes) == {OURS: "AD_1"}


async def test_of_agents_that_only_listen_people_are_told_nothing(
    leases: MemoryLeases, clock: Clock, livekit: LiveKit
) -> None:
    only_listens = Replacement(Settings(agent_name=NAME, listen_only=True), leases)
    state = replace(STATE, restarts=(time.time(),) * len(PAUSES))
    assert await only_listens.see_to(await dead(leases, clock, state))
    assert livekit.told == []


def counted() -> dict[str, float]:
    (family,) = metrics().replacements.collect()
    return {one.labels["cause"]: one.value for one in family.samples if one.name.endswith("_total")}


@pytest.mark.parametrize("died", [True, False])
async def test_each_death_counts_once_however_often_another_job_is_asked_for(
    leases: MemoryLeases, clock: Clock, livekit: LiveKit, *, died: bool
) -> None:
    cause = "died" if died else "silent"
    before = counted().get(cause, 0.0)
    lease = await dead(leases, clock)
    assert await replacement(leases).see_to(lease, died=died)
    assert counted()[cause] == before + 1
    clock.now += 10.0
    waits = await leases.read(lease.key)
    assert waits
    assert await replacement(leases).see_to(waits)
    assert counted()[cause] == before + 1
    assert len(livekit.dispatches[ROOM]) > 1


async def test_a_job_that_dies_while_it_hands_over_to_nobody_is_a_dead_one(
    leases: MemoryLeases, clock: Clock, livekit: LiveKit
) -> None:
    lease = await dead(leases, clock)
    await replacement(leases).hand_over(lease, metadata="m")
    clock.now += 60.0
    waiting = await leases.read(lease.key)
    assert waiting
    await replacement(leases).see_to(waiting)
    taken = await leases.read(lease.key)
    assert taken
    state = RoomState.of(taken.state)
    assert (state.handover, state.leaving) == ("", "")
    assert livekit.removed == [GHOST]


@pytest.mark.parametrize("there", [True, False])
async def test_where_the_one_that_comes_dies_the_one_that_leaves_goes_on_if_it_is_there(
    leases: MemoryLeases, clock: Clock, livekit: LiveKit, *, there: bool
) -> None:
    livekit.dispatches[ROOM].clear()
    own = livekit.ask(ROOM, NAME, "m", attributes={OURS: ""})
    lease = await dead(leases, clock, replace(STATE, first="", dispatch=own.id))
    await replacement(leases).hand_over(lease, metadata="m")
    handed = await leases.read(lease.key)
    assert handed
    state = replace(RoomState.of(handed.state), identity=f"{GHOST}-e8")
    claimed = await leases.claim(lease.key, holder="AJ_2", epoch=8, ttl=3.0, state=state.as_dict())
    livekit.agent(ROOM, f"{GHOST}-e8", epoch=claimed.epoch)
    if not there:
        livekit.inside[ROOM] = [one for one in livekit.inside[ROOM] if one.identity != GHOST]
    clock.now += 3.5
    silent = await leases.read(lease.key)
    assert silent
    assert await replacement(leases).see_to(silent)
    taken = await leases.read(lease.key)
    assert taken
    state = RoomState.of(taken.state)
    assert (state.handover, state.leaving) == (("AJ_1", GHOST) if there else ("", ""))
    assert livekit.removed == [f"{GHOST}-e8"]
    assert (own in livekit.dispatches[ROOM]) == there
