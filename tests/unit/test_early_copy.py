"""The early copy: captions wait for a quick store, and for no other."""

from __future__ import annotations

import asyncio
import logging
import selectors
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import pytest

from pipelines.errors import StoreError
from pipelines.transcript.early_copy import DEADLINE, PATIENCE, EarlyCopy
from pipelines.transcript.early_queue import WAITING, EarlyQueue
from pipelines.transcript.line import Line

T = TypeVar("T")


class Jumping(selectors.DefaultSelector):
    """Time that goes on only while nobody has anything to do."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing will ever happen again"
        self.now += max(timeout, 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def stand_still(self, seconds: float) -> None:
        """As if something had kept the loop busy."""
        self._jumping.now += seconds


def now() -> float:
    return asyncio.get_running_loop().time()


def virtually(test: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., T]:
    """Run a test in virtual time."""

    def run(caplog: pytest.LogCaptureFixture) -> T:
        caplog.set_level(logging.INFO)
        wants_log = test.__code__.co_argcount
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(test(caplog) if wants_log else test())

    return run


class SlowStore:
    """Takes ``delay`` seconds for each call, or fails with ``failure``."""

    name = "redis"

    def __init__(self, *, delay: float = 0.001, failure: Exception | None = None) -> None:
        self.delay = delay
        self.failure = failure
        self.full = False
        self.kept: list[int] = []
        self.batches: list[int] = []
        self.pings = 0

    async def ping(self) -> None:
        self.pings += 1
        await asyncio.sleep(self.delay)
        if self.failure:
            raise self.failure

    async def append(self, meeting: str, lines: Sequence[Line]) -> None:
        assert meeting == "m"
        sequences = [line.sequence for line in lines]  # what was handed over, not what it becomes
        await self.ping()
        if self.full:
            raise StoreError("its memory is full")
        self.kept += [sequence for sequence in sequences if sequence not in self.kept]
        self.batches.append(len(sequences))


def line(sequence: int) -> Line:
    return Line("m", 7, sequence, "final", 1000.0, {})


class Running:
    """An early copy that runs and has had time to connect; closed at the end."""

    def __init__(self, store: SlowStore) -> None:
        self.copy = EarlyCopy(store, "m")

    async def __aenter__(self) -> EarlyCopy:
        self.task = asyncio.create_task(self.copy.run())
        await asyncio.sleep(0.01)
        return self.copy

    async def __aexit__(self, *_: object) -> None:
        self.copy.close()
        began = now()
        await self.task
        assert now() - began <= PATIENCE + 0.001


async def wait_of(copy: EarlyCopy) -> float:
    began = now()
    await copy.settled()
    return now() - began


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage().partition(",")[0] for record in caplog.records]


SUSPENDED = "early copy suspended"
RESUMED = "early copy resumed"


@virtually
async def test_a_caption_waits_until_the_store_has_it() -> None:
    store = SlowStore(delay=0.003)
    async with Running(store) as copy:
        copy.offer(line(1))
        assert await wait_of(copy) == pytest.approx(0.003)
        assert store.kept == [1]
        assert await wait_of(copy) == 0


@virtually
async def test_lines_offered_while_a_batch_is_on_its_way_go_together_in_order() -> None:
    store = SlowStore(delay=0.003)
    async with Running(store) as copy:
        for sequence in range(1, 9):
            copy.offer(line(sequence))
            await asyncio.sleep(0.001)
        await copy.settled()
    assert store.kept == list(range(1, 9))
    assert max(store.batches) == 3
    assert len(store.batches) < 5


@virtually
async def test_a_caption_waits_for_a_slow_store_up_to_the_deadline_and_the_next_ones_not_at_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = SlowStore()
    async with Running(store) as copy:
        store.delay = 0.5
        copy.offer(line(1))
        assert await wait_of(copy) == pytest.approx(DEADLINE)
        assert copy.suspended
        for sequence in (2, 3):
            copy.offer(line(sequence))
            assert await wait_of(copy) == 0
        await asyncio.sleep(5)
        assert copy.suspended
        # What was on its way arrived all the same; nothing else was worth a word.
        assert store.kept[0] == 1
    assert messages(caplog) == [SUSPENDED]


@virtually
async def test_captions_wait_again_when_the_store_answers_in_time_and_it_has_what_was_missed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = SlowStore()
    async with Running(store) as copy:
        store.delay = 60
        for sequence in range(1, 501):
            copy.offer(line(sequence))
        await copy.settled()
        await asyncio.sleep(10)
        store.delay = 0.001
        await asyncio.sleep(10)
        assert not copy.suspended
        assert store.kept == list(range(1, 501))
        copy.offer(line(501))
        assert await wait_of(copy) == pytest.approx(0.001)
    assert messages(caplog) == [SUSPENDED, RESUMED]


@virtually
async def test_the_first_caption_after_an_outage_does_not_wait_for_all_that_was_missed() -> None:
    store = SlowStore()
    async with Running(store) as copy:
        store.delay = 60
        for sequence in range(1, 1001):
            copy.offer(line(sequence))
        await copy.settled()
        store.delay = 0.015
        while copy.suspended:  # noqa: ASYNC110 - nobody is told when it resumes
            await asyncio.sleep(0.001)
        copy.offer(line(1001))
        assert await wait_of(copy) == pytest.approx(0.015)
        assert not copy.suspended


@virtually
async def test_a_store_is_not_late_when_it_was_the_loop_that_stood_still() -> None:
    store = SlowStore(delay=0.003)
    async with Running(store) as copy:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        copy.offer(line(1))
        loop.call_later(0.001, loop.stand_still, 0.05)
        await copy.settled()
        assert store.kept == [1]
        assert not copy.suspended


@virtually
async def test_nobody_waits_for_a_store_that_fails_at_once() -> None:
    store = SlowStore()
    async with Running(store) as copy:
        store.failure = StoreError("gone")
        copy.offer(line(1))
        assert await wait_of(copy) == pytest.approx(0.001)
        assert copy.suspended


@virtually
async def test_a_store_that_answers_pings_but_takes_nothing_stays_suspended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = SlowStore()
    async with Running(store) as copy:
        store.full = True
        copy.offer(line(1))
        await copy.settled()
        await asyncio.sleep(60)
        assert copy.suspended
        store.full = False
        await asyncio.sleep(10)
        assert not copy.suspended
        assert store.kept == [1]
    assert messages(caplog) == [SUSPENDED, RESUMED]


@virtually
async def test_no_caption_waits_for_a_store_that_was_never_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Running(SlowStore(failure=StoreError("refused"))) as copy:
        copy.offer(line(1))
        assert await wait_of(copy) == 0
    assert messages(caplog) == [SUSPENDED]


@virtually
async def test_a_store_that_is_away_for_long_is_asked_now_and_then() -> None:
    store = SlowStore(failure=StoreError("refused"))
    async with Running(store):
        await asyncio.sleep(60)
        assert 10 < store.pings < 25


@virtually
async def test_a_store_that_is_always_a_little_late_is_not_waited_for_again_and_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class SlowToWrite(SlowStore):
        async def append(self, meeting: str, lines: Sequence[Line]) -> None:
            await super().append(meeting, lines)
            await asyncio.sleep(DEADLINE)

    async with Running(SlowToWrite()) as copy:
        waits = []
        for sequence in range(1, 601):
            copy.offer(line(sequence))
            waits.append(await wait_of(copy))
            await asyncio.sleep(0.1)
        assert sum(wait > 0 for wait in waits) < 20
    assert messages(caplog).count(SUSPENDED) < 20


@virtually
async def test_a_burst_of_finals_goes_in_few_batches() -> None:
    store = SlowStore(delay=0.003)
    async with Running(store) as copy:
        for sequence in range(1, 1001):
            copy.offer(line(sequence))
        assert await wait_of(copy) < DEADLINE
    assert store.kept == list(range(1, 1001))
    assert len(store.batches) == 5


@virtually
async def test_closing_sends_what_waits() -> None:
    store = SlowStore()
    async with Running(store) as copy:
        for sequence in range(1, 301):
            copy.offer(line(sequence))
    assert store.kept == list(range(1, 301))


@virtually
async def test_closing_does_not_wait_for_a_store_that_hangs() -> None:
    store = SlowStore()
    async with Running(store) as copy:  # its exit bounds the time
        store.delay = 3600
        copy.offer(line(1))
        await asyncio.sleep(0.001)


@virtually
async def test_closing_does_not_wait_for_a_store_that_takes_batch_after_batch_slowly() -> None:
    store = SlowStore()
    async with Running(store) as copy:  # its exit bounds the time
        store.delay = 0.3
        for sequence in range(1, 2001):
            copy.offer(line(sequence))


@virtually
async def test_nobody_waits_after_the_end() -> None:
    async with Running(SlowStore()) as copy:
        pass
    copy.offer(line(1))
    assert await wait_of(copy) == 0


def test_lines_that_wait_are_bounded_and_the_oldest_go_without() -> None:
    queue = EarlyQueue(200)
    for sequence in range(1, WAITING + 501):
        queue.offer(line(sequence))
    assert len(queue) == WAITING
    assert queue.take()[0].sequence == 501


def test_a_batch_that_failed_goes_again_before_all_others() -> None:
    queue = EarlyQueue(2)
    for sequence in (1, 2, 3):
        queue.offer(line(sequence))
    assert [one.sequence for one in queue.take()] == [1, 2]
    queue.offer(line(4))
    assert [one.sequence for one in queue.take()] == [1, 2]
    queue.arrived()
    assert queue.settled(2)
    assert not queue.settled(3)
    assert [one.sequence for one in queue.take()] == [3, 4]
