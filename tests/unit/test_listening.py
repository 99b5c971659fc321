"""Since when a job listens, and where the hole before it begins and ends."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agents import listening
from agents.listening import LONGEST_MISSING, Listening
from pipelines.events import Hole, HoleCause


@dataclass
class Microphone:
    """Open; its audio comes when the test says so."""

    heard: asyncio.Event = field(default_factory=asyncio.Event)
    heard_from: float | None = None

    def deliver(self, at: float) -> None:
        self.heard_from = at
        self.heard.set()


@dataclass
class Ledger:
    """Knows, perhaps late, how far earlier epochs had heard."""

    heard_before: float | None = None
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def earlier_known(self) -> None:
        await self.told.wait()


class Job:
    """A job that has just connected to a room."""

    def __init__(
        self,
        *microphones: Microphone,
        before: float | None = None,
        by_lines: float | None = None,
        late: bool = False,
        hears: bool = True,
        missing_since: float | None = None,
    ) -> None:
        def missing(oldest: float) -> float | None:
            return missing_since if missing_since and missing_since >= oldest else None

        attention = SimpleNamespace(
            hears=hears, speaking_now=lambda: list(microphones), missing_since=missing
        )
        room = SimpleNamespace(attention=attention)
        self.ledger = Ledger(by_lines)
        if not late:
            self.ledger.told.set()
        self.holes: list[Hole] = []
        self.listening = Listening(cast("Any", room), cast("Any", self.ledger), before)

    async def begin(self) -> None:
        async with asyncio.timeout(5):
            await self.listening.begin(self.holes.append)


async def test_the_hole_ends_when_the_last_open_microphone_has_delivered_audio() -> None:
    now = time.time()
    ada, james = Microphone(), Microphone()
    job = Job(ada, james, before=now - 2)
    beginning = asyncio.create_task(job.begin())
    ada.deliver(now + 0.5)
    await asyncio.sleep(0.01)
    assert job.holes == []
    james.deliver(now + 0.7)
    await beginning
    assert job.holes == [Hole(now - 2, now + 0.7, HoleCause.RESTART)]


async def test_where_nobody_speaks_it_ends_with_the_connection() -> None:
    now = time.time()
    job = Job(before=now - 2)
    await job.begin()
    assert job.holes[0].at == now - 2
    assert now <= job.holes[0].end <= now + 1


async def test_a_microphone_that_delivers_nothing_keeps_no_hole_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listening, "FIRST_AUDIO", 0.02)
    silent = Microphone()
    job = Job(silent, before=time.time() - 2)
    await job.begin()
    assert len(job.holes) == 1


async def test_a_short_gap_and_a_first_epoch_have_no_hole() -> None:
    for before in (time.time() - 0.5, None):
        job = Job(before=before)
        await job.begin()
        assert job.holes == []


async def test_where_no_agent_hears_nothing_is_missing() -> None:
    job = Job(before=time.time() - 9, hears=False)
    await job.begin()
    assert job.holes == []


async def test_without_a_lease_the_lines_tell_and_late_ones_too() -> None:
    job = Job(by_lines=time.time() - 9)
    await job.begin()
    assert len(job.holes) == 1
    late = Job(late=True)
    beginning = asyncio.create_task(late.begin())
    await asyncio.sleep(0.01)
    late.ledger.heard_before = time.time() - 9
    late.ledger.told.set()
    await beginning
    assert len(late.holes) == 1


async def test_until_it_listens_its_heartbeat_tells_what_its_predecessor_heard() -> None:
    now = time.time()
    microphone = Microphone()
    job = Job(microphone, before=now - 3)
    beginning = asyncio.create_task(job.begin())
    await asyncio.sleep(0.01)
    assert job.listening.heard_until(now) == now - 3
    microphone.deliver(now)
    await beginning
    assert job.listening.heard_until(now) == now


async def test_what_is_not_settled_is_not_heard_yet() -> None:
    job = Job()
    await job.begin()
    job.listening.watch(lambda: None)
    end = job.listening.watch(lambda: 95.0)
    job.listening.watch(lambda: 97.0)
    assert job.listening.heard_until(100.0) == 95.0
    end()
    assert job.listening.heard_until(100.0) == 97.0


async def test_a_broken_microphone_does_not_hold_back_for_ever_what_all_have_said() -> None:
    job = Job(missing_since=100.0)
    await job.begin()
    assert job.listening.heard_until(100.0 + LONGEST_MISSING) == 100.0
    assert job.listening.heard_until(101.0 + LONGEST_MISSING) == 101.0 + LONGEST_MISSING


@pytest.mark.parametrize("told", [math.nan, -math.inf, "yesterday", None])
async def test_a_plugin_that_tells_nonsense_ends_no_heartbeat_and_is_not_asked_again(
    told: Any,
) -> None:
    job = Job()
    await job.begin()
    asked = []

    def oldest() -> Any:
        asked.append(told)
        return told or 1 / 0

    end = job.listening.watch(oldest)
    job.listening.watch(lambda: 97.0)
    assert job.listening.heard_until(100.0) == 97.0
    assert job.listening.heard_until(100.0) == 97.0
    assert len(asked) == 1
    end()


async def test_a_job_that_ends_before_it_was_given_audio_marks_the_hole_itself() -> None:
    now = time.time()
    job = Job(Microphone(), before=now - 3)
    job.listening.end(now, job.holes.append)
    assert job.holes == [Hole(now - 3, now, HoleCause.RESTART)]
    heard = Job(before=now - 3)
    await heard.begin()
    heard.listening.end(now, heard.holes.append)
    assert len(heard.holes) == 1


@pytest.mark.parametrize(("alone", "holes"), [(False, 0), (True, 1)])
async def test_where_a_predecessor_hands_over_there_is_a_hole_only_if_it_does_not_answer(
    alone: bool, holes: int
) -> None:
    now = time.time()
    microphone = Microphone()
    job = Job(microphone, before=now - 5)
    asked = asyncio.Event()
    answers = asyncio.Event()

    async def agree() -> float | None:
        asked.set()
        await answers.wait()
        return now + 1 if alone else None

    taking = asyncio.create_task(job.listening.take_over(agree, job.holes.append))
    await asyncio.sleep(0.01)
    assert not asked.is_set()  # It hears nothing yet.
    microphone.deliver(now)
    await asked.wait()
    assert job.listening.heard_until(now) == now - 5
    answers.set()
    await taking
    assert job.holes == [Hole(now - 5, now + 1, HoleCause.RESTART)][:holes]
    assert job.listening.heard_until(now) == now


async def test_where_a_predecessor_is_gone_the_hole_ends_with_the_first_audio() -> None:
    now = time.time()
    microphone = Microphone()
    microphone.deliver(now + 0.25)

    async def agree() -> float | None:
        return 0.0

    job = Job(microphone, before=now - 5)
    await job.listening.take_over(agree, job.holes.append)
    assert job.holes == [Hole(now - 5, now + 0.25, HoleCause.RESTART)]
