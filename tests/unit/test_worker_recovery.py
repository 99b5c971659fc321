"""What the worker's recovery asks the leases: when to look, and whether a meeting is served."""

from __future__ import annotations

import time

import pytest

from agents.recovery import Recovery
from agents.room_state import RoomState, room_key
from pipelines.settings import Settings
from pipelines.testing.memory_leases import MemoryLeases


async def test_only_a_room_that_is_over_wakes_the_recoveries_and_each_of_them_once() -> None:
    leases = MemoryLeases(time.monotonic)
    hosts = [Recovery(Settings(), leases) for _ in range(2)]
    await leases.nudge("weekly", "participant_joined")
    assert [await one._nudged() for one in hosts] == [False, False]
    await leases.nudge("weekly", "room_finished")
    await leases.nudge("daily", "room_started")
    assert [await one._nudged() for one in hosts] == [True, True]
    assert [await one._nudged() for one in hosts] == [False, False]
    leases.away = True
    assert not await hosts[0]._nudged()


@pytest.mark.parametrize(
    ("meeting", "since", "is_served"),
    [
        ("weekly/RM_1", 0.0, True),  # It lives.
        ("weekly/RM_1", 40.0, True),  # It is dead, and the next one may go on with its meeting.
        ("weekly/RM_1", 70.0, False),
        ("board-2026", 0.0, True),
        ("board-2026", 40.0, False),  # Whoever comes opens it again by its id, sealed or not.
    ],
)
@pytest.mark.parametrize("taken", [False, True])
async def test_a_meeting_is_served_while_a_job_has_it_or_may_go_on_with_it(
    meeting: str, since: float, *, is_served: bool, taken: bool
) -> None:
    seconds = [1000.0]
    leases = MemoryLeases(lambda: seconds[0])
    key = room_key("weekly", "greffier", "")
    state = RoomState(sid="RM_1", meeting=meeting).as_dict()
    await leases.claim(key, holder="AJ_1", epoch=7, ttl=3.0, state=state)
    recovery = Recovery(Settings(continue_within=60.0), leases)
    seconds[0] += since
    if taken and since:  # By the watch, which puts the next job off.
        state = RoomState(sid="RM_1", meeting=meeting, silent=since).as_dict()
        await leases.take(key, epoch=7, floor=0, ttl=300.0, state=state)
    assert await recovery._is_served(meeting) is is_served
    assert not await recovery._is_served("daily/RM_2")
