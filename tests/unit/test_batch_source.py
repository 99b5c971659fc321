"""A span through a batch engine: pieces, in order, while it goes on."""

from __future__ import annotations

import asyncio

import pytest

from pipelines.speech.batch import BatchSource
from pipelines.speech.heard import RATE, Samples
from tests.unit.scripted_stt import CHUNK
from tests.unit.virtual_time import in_virtual_time


class Asked:
    """What a batch engine was asked; the text of a piece is its length, or the test's."""

    def __init__(self) -> None:
        self.pieces: list[int] = []
        self.texts: dict[int, str | Exception] = {}
        self.delays: dict[int, float] = {}

    async def __call__(self, samples: Samples) -> tuple[str, str]:
        number = len(self.pieces)
        self.pieces.append(len(samples))
        await asyncio.sleep(self.delays.get(number, 0.0))
        text = self.texts.get(number, f"{len(samples) / RATE:.1f} s")
        if isinstance(text, Exception):
            raise text
        return text, "en"


def batch(asked: Asked, seconds: float) -> BatchSource:
    source = BatchSource(asked)
    for _ in range(round(seconds * 10)):
        source.push(CHUNK)
    source.end()
    return source


@in_virtual_time
async def test_pieces_of_a_long_span_come_in_order_whichever_is_ready_first() -> None:
    asked = Asked()
    asked.delays = {0: 0.1}
    come = [h async for h in batch(asked, 65.0)]
    assert [h.start for h in come] == [0.0, *(h.end for h in come[:-1])]
    assert [h.end for h in come] == [pytest.approx(30.0, abs=0.2), pytest.approx(60.0, abs=0.2), 65]


@in_virtual_time
async def test_a_piece_is_recognised_while_the_span_goes_on() -> None:
    source = BatchSource(Asked())
    for _ in range(310):
        source.push(CHUNK)
    async with asyncio.timeout(1.0):
        first = await anext(aiter(source))
    await source.aclose()
    assert first.end == pytest.approx(30.0, abs=0.2)


@in_virtual_time
async def test_the_piece_that_fails_says_where_it_ends() -> None:
    asked = Asked()
    asked.texts = {1: ValueError("no")}
    source = batch(asked, 65.0)
    results = aiter(source)
    await anext(results)
    with pytest.raises(ValueError, match="no"):
        await anext(results)
    assert source.stuck_until == pytest.approx(60.0, abs=0.2)
    await source.aclose()


@in_virtual_time
async def test_a_piece_too_short_for_a_provider_is_padded_with_silence() -> None:
    asked = Asked()
    source = BatchSource(asked)
    source.push(CHUNK[:400])
    source.end()
    come = [h async for h in source]
    assert asked.pieces == [1600]
    assert come[0].end == 0.025


@in_virtual_time
async def test_closing_a_batch_source_ends_what_it_began() -> None:
    asked = Asked()
    asked.delays = {0: 60.0}
    source = batch(asked, 1.0)
    await asyncio.sleep(0)
    async with asyncio.timeout(1.0):
        await source.aclose()
    assert not [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
