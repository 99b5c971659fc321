"""What wakes the worker's recovery before its interval has passed."""

from __future__ import annotations

import time

from agents.recovery import Recovery
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
