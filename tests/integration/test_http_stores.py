"""The HTTP stores against a real server process: killed where it hurts, and what it has then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from bench.store_server_process import StoreServerProcess
from pipelines.errors import StoreError, StoreRefusedError
from pipelines.events import CaptionFinal
from pipelines.testing.store_server import Fault
from pipelines.transcript.line import Line, final_data
from pipelines.transcript.stores.address import parse_addresses
from pipelines.transcript.stores.http import HttpStore
from pipelines.transcript.stores.meetai import MeetaiStore


def finals(first: int, last: int) -> list[Line]:
    captions = [
        CaptionFinal(1000.0 + n, 1001.0 + n, f"s{n}", "ada", "Ada", f"Words {n}.", index=n)
        for n in range(first, last + 1)
    ]
    return [
        Line("m", 7, one.index, "final", one.at, final_data(one, meeting_start=1000.0))
        for one in captions
    ]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[StoreServerProcess]:
    with StoreServerProcess(tmp_path / "server") as server:
        yield server


@pytest.fixture
async def store(server: StoreServerProcess) -> AsyncIterator[HttpStore]:
    (address,) = parse_addresses(server.address)
    store = HttpStore(address, SecretStr(server.secret))
    yield store
    await store.aclose()


@pytest.fixture
async def meetai(server: StoreServerProcess) -> AsyncIterator[MeetaiStore]:
    (address,) = parse_addresses(server.meetai_address)
    store = MeetaiStore(address, SecretStr(server.meetai_secret))
    yield store
    await store.aclose()


async def restart(server: StoreServerProcess) -> None:
    """Start again what kills itself, with the same directory and port."""
    await asyncio.to_thread(server.wait_until_dead)
    await asyncio.to_thread(server.start)


async def test_a_server_that_dies_between_keeping_and_replying_has_each_line_once(
    server: StoreServerProcess, store: HttpStore
) -> None:
    await store.append("m", finals(1, 50))
    server.fail(Fault(kind="die"))
    with pytest.raises(StoreError):
        await store.append("m", finals(51, 120))
    assert server.lines("m") == finals(1, 120)  # kept, and nobody was told
    await restart(server)
    # Another worker replays from a checkpoint: other boundaries, other message ids.
    await store.append("m", finals(40, 200))
    assert await store.read("m") == finals(1, 200)
    assert server.lines("m") == finals(1, 200)


async def test_a_meetai_backend_that_dies_between_keeping_and_replying_has_lines_at_least_once(
    server: StoreServerProcess, meetai: MeetaiStore
) -> None:
    server.fail(Fault(kind="slow", seconds=0))
    server.fail(Fault(kind="die"))
    with pytest.raises(StoreError):
        await meetai.append("m", finals(1, 25))
    await restart(server)
    await meetai.append("m", finals(1, 25))
    indices = [line["index"] for line in server.meetai_lines("m")]
    # Acknowledged: once. Its reply lost: twice, told apart by the index. Never sent before: once.
    assert indices == [*range(1, 11), *range(11, 21), *range(11, 21), *range(21, 26)]


async def test_a_worker_that_forgot_what_was_acknowledged_doubles_with_the_same_index(
    server: StoreServerProcess, meetai: MeetaiStore
) -> None:
    await meetai.append("m", finals(1, 10))
    (address,) = parse_addresses(server.meetai_address)
    replaying = MeetaiStore(address, SecretStr(server.meetai_secret))
    await replaying.append("m", finals(6, 15))
    await replaying.aclose()
    kept = server.meetai_lines("m")
    assert [line["index"] for line in kept] == [*range(1, 11), *range(6, 16)]
    assert len({(line["index"], line["text"]) for line in kept}) == 15


async def test_wrong_credentials_leave_nothing_behind(server: StoreServerProcess) -> None:
    (ours, theirs) = parse_addresses(f"{server.address},{server.meetai_address}")
    for store in (
        HttpStore(ours, SecretStr(f"whsec_{'QUJD' * 8}")),
        MeetaiStore(theirs, SecretStr("wrong")),
    ):
        with pytest.raises(StoreRefusedError, match=r"401; set GREFFIER_"):
            await store.append("m", finals(1, 3))
        await store.aclose()
    assert server.lines("m") == []
    assert server.meetai_lines("m") == []
