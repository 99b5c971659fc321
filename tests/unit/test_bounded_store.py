"""What stands before a store: time-outs, one kind of error, and leaving alone what is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from pipelines.errors import StoreError, StoreRefusedError
from pipelines.testing.memory_store import MemoryStore
from pipelines.transcript.line import Line
from pipelines.transcript.stores.bounded import BoundedStore
from pipelines.transcript.stores.left_alone import FAILURES, LeftAlone

LINE = Line("m", 7, 1, "note", 1000.0, {})


class Raises(MemoryStore):
    """Raises what it is given."""

    def __init__(self, error: Exception | None) -> None:
        super().__init__()
        self._error = error

    async def append(self, _meeting: str, _lines: Sequence[Line]) -> None:
        if self._error:
            raise self._error
        await asyncio.Event().wait()


async def test_a_store_that_never_answers_is_waited_for_as_long_as_the_setting_says() -> None:
    with pytest.raises(StoreError, match=r"no answer in 0\.01 s"):
        await BoundedStore(Raises(None), 0.01).append("m", [LINE])


async def test_whatever_a_client_raises_becomes_a_store_error_without_its_message() -> None:
    with pytest.raises(StoreError, match="store memory: OSError") as caught:
        await BoundedStore(Raises(OSError("redis://:hunter2@h")), 1.0).append("m", [LINE])
    assert "hunter2" not in str(caught.value)


async def test_a_refusal_stays_a_refusal() -> None:
    with pytest.raises(StoreRefusedError):
        await BoundedStore(Raises(StoreRefusedError("no key")), 1.0).append("m", [LINE])


async def test_a_store_is_left_alone_after_some_failures_in_a_row_only() -> None:
    store = MemoryStore(failures=FAILURES - 1)
    guarded = LeftAlone(store)
    for _ in range(FAILURES - 1):
        with pytest.raises(StoreError):
            await guarded.append("m", [LINE])
    await guarded.append("m", [LINE])
    store.away = True
    for _ in range(FAILURES):
        with pytest.raises(StoreError, match="is away"):
            await guarded.read("m")
    store.away = False
    with pytest.raises(StoreRefusedError):
        await guarded.read("m")
