"""A coroutine whose steps are timed."""

from __future__ import annotations

import asyncio
import time

import pytest

from agents.rpc.stepwise import stepwise


async def test_only_what_keeps_the_loop_counts_and_the_result_comes_back() -> None:
    steps: list[float] = []

    async def works() -> str:
        _work(0.02)
        await asyncio.sleep(0.1)
        return "done"

    assert await stepwise(works(), steps.append) == "done"
    assert len(steps) == 2
    assert 0.02 <= sum(steps) < 0.1


async def test_a_failure_and_a_cancellation_pass_through() -> None:
    steps: list[float] = []

    async def fails(waited_for: asyncio.Future[None]) -> None:
        await waited_for

    failed = asyncio.get_running_loop().create_future()
    failed.set_exception(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await stepwise(fails(failed), steps.append)

    task = asyncio.create_task(
        stepwise(fails(asyncio.get_running_loop().create_future()), steps.append)
    )
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(steps) == 3


def _work(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
