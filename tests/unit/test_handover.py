"""What the old job of a hand-over tells the new one."""

from __future__ import annotations

import asyncio
import math
import time

import pytest

from agents import handover
from agents.handover import (
    LEAVES,
    NOTICE,
    PATIENCE,
    Cuts,
    Successor,
    agree,
    takeover,
    until_gone,
)
from agents.turn import Turn
from pipelines.lease import LeaseKey
from pipelines.testing.memory_leases import MemoryLeases
from tests.unit.virtual_time import in_virtual_time


def memory() -> MemoryLeases:
    return MemoryLeases(asyncio.get_running_loop().time)


@in_virtual_time
async def test_the_new_job_is_told_each_speakers_cut_as_it_becomes_known() -> None:
    leases = memory()
    old, new = Cuts(leases, "AJ_1"), Cuts(leases, "AJ_2")
    assert await new.told() is None
    assert await old.tell("AJ_2", {"ada": 7.5, "james": None})
    assert await new.told() == {"ada": 7.5, "james": None}
    assert await old.tell("AJ_2", {"ada": 7.5, "james": 9.0})
    assert await new.told() == {"ada": 7.5, "james": 9.0}
    assert await old.told() is None  # It is not for whoever asks.
    await new.forget()
    assert await new.told() is None


@in_virtual_time
async def test_where_the_leases_are_away_nothing_is_told_and_nobody_fails() -> None:
    leases = memory()
    leases.away = True
    cuts = Cuts(leases, "AJ_1")
    assert not await cuts.tell("AJ_2", {})
    assert await cuts.told() is None
    await cuts.forget()


@in_virtual_time
async def test_a_successor_that_has_come_may_be_slow_to_hear() -> None:
    leases, key = memory(), LeaseKey("room", ("standup", "greffier", ""))
    clock = asyncio.get_running_loop().time
    waiting = asyncio.create_task(takeover(leases, key))
    await asyncio.sleep(PATIENCE - 1)
    await leases.claim(key, holder="AJ_2", epoch=8, ttl=60.0, state={})
    await asyncio.sleep(5)
    assert not waiting.done()
    told = {"takeover_at": 1234.5}
    await leases.beat(key, holder="AJ_2", epoch=8, ttl=60.0, state=told)
    assert await waiting == Successor("AJ_2", 1234.5)
    began = clock()
    assert await takeover(memory(), key) is None
    assert clock() - began < PATIENCE + 1


class Room:
    """The new job's room; ``here`` tells whether the old one is in it."""

    def __init__(self) -> None:
        self.turn = Turn(since=math.inf, cuts=None)
        self.here = True
        self.released = 0

    def release(self) -> None:
        self.released += 1

    async def agree(self, leases: MemoryLeases) -> tuple[float | None, float]:
        at = time.time() + NOTICE
        alone_since = await agree(
            self.turn,
            Cuts(leases, "AJ_2"),
            at=at,
            is_there=lambda: self.here,
            people=lambda: ["ada"],
            release=self.release,
        )
        return alone_since, at


async def test_where_the_old_job_is_gone_too_early_all_that_was_heard_is_the_new_ones() -> None:
    room = Room()
    room.here = False
    alone_since, at = await room.agree(MemoryLeases(time.monotonic))
    assert (alone_since, room.turn.cuts, room.released) == (0.0, {}, 1)
    assert room.turn.begins("ada") == -math.inf
    assert room.turn.has(at - 1)


async def test_one_that_has_told_its_share_may_leave() -> None:
    leases, room = MemoryLeases(time.monotonic), Room()
    room.here = False
    await Cuts(leases, "AJ_1").tell("AJ_2", {"ada": 7.5})
    alone_since, at = await room.agree(leases)
    assert (alone_since, room.turn.cuts, room.turn.since) == (None, {"ada": 7.5}, at)


async def test_one_that_is_gone_before_it_has_told_of_everybody_leaves_them_since_the_watershed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handover, "ANSWER", -NOTICE / 2)
    monkeypatch.setattr(handover, "LONGEST", 0.0)
    leases, room = MemoryLeases(time.monotonic), Room()
    room.here = False
    await Cuts(leases, "AJ_1").tell("AJ_2", {"ada": 7.5, "james": None})
    alone_since, at = await room.agree(leases)
    assert (alone_since, room.turn.cuts) == (at, {"ada": 7.5, "james": at})


async def test_one_that_is_there_and_does_not_answer_leaves_all_since_the_watershed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handover, "ANSWER", -NOTICE)
    room = Room()
    alone_since, at = await room.agree(MemoryLeases(time.monotonic))
    assert (alone_since, room.turn.cuts, room.released) == (at, {"ada": at}, 1)


@in_virtual_time
async def test_one_that_is_not_seen_to_leave_is_taken_for_gone_once_it_must_be() -> None:
    clock = asyncio.get_running_loop().time
    began = clock()
    await until_gone(lambda: False)
    assert clock() - began < 1
    await until_gone(lambda: True)  # Hidden.
    assert LEAVES <= clock() - began < LEAVES + 1
