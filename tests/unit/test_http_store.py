"""The store of our own HTTP contract, against the server that is shipped for back-end authors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer
from pydantic import SecretStr

from pipelines.errors import SettingsError, StoreError, StoreRefusedError
from pipelines.testing.store_server import Fault, StoreServer
from pipelines.transcript.line import Line
from pipelines.transcript.stores import http
from pipelines.transcript.stores.address import parse_addresses
from pipelines.transcript.stores.http import HttpStore

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def lines(first: int, last: int, *, epoch: int = 7, meeting: str = "m") -> list[Line]:
    return [Line(meeting, epoch, n, "note", 1000.0 + n, {"n": n}) for n in range(first, last + 1)]


def store_at(url: str, secret: str = SECRET) -> HttpStore:
    (address,) = parse_addresses(url)
    return HttpStore(address, SecretStr(secret))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[StoreServer]:
    async with StoreServer(tmp_path, secret=SECRET, meetai_secret="-") as server:
        yield server


@pytest.fixture
async def store(server: StoreServer) -> AsyncIterator[HttpStore]:
    store = store_at(f"{server.url}/lines")
    yield store
    await store.aclose()


async def test_lines_come_back_once_in_order_whatever_their_batches(store: HttpStore) -> None:
    await store.append("m", lines(1, 2, epoch=9))
    await store.append("m", lines(1, 200))
    await store.append("m", lines(150, 260))
    assert await store.read("m") == lines(1, 260) + lines(1, 2, epoch=9)
    assert await store.read("another") == []


@pytest.mark.parametrize("meeting", ['a/b?c=d&e="f"#g', "réunion 会议 %41+", "\ud800"])
async def test_any_meeting_id_is_signed_and_read_as_it_was_written(
    store: HttpStore, meeting: str
) -> None:
    await store.append(meeting, lines(1, 2, meeting=meeting))
    assert [line.sequence for line in await store.read(meeting)] == [1, 2]


async def test_the_query_of_the_address_is_sent_and_signed(server: StoreServer) -> None:
    store = store_at(f"{server.url}/lines?tenant=a%2Fb")
    await store.append("m", lines(1, 1))
    assert await store.read("m") == lines(1, 1)
    await store.aclose()


async def test_a_batch_has_the_same_message_id_in_every_try_and_another_with_other_lines(
    store: HttpStore, server: StoreServer
) -> None:
    server.fail(Fault(kind="status", status=503))
    with pytest.raises(StoreError):
        await store.append("m", lines(3, 5))
    await store.append("m", lines(3, 5))
    await store.append("m", lines(3, 6))
    await store.append("m", lines(3, 5, epoch=8))
    first, again, longer, later = server.requests
    assert first == again
    assert first.endswith("_7_3-5")
    assert longer.endswith("_7_3-6")
    assert later.endswith("_8_3-5")
    assert "." not in "".join(server.requests)  # it parts what is signed


async def test_a_hole_begins_another_batch_so_that_the_message_id_names_every_line(
    store: HttpStore, server: StoreServer
) -> None:
    holed = lines(1, 2) + lines(4, 4) + lines(6, 7)
    await store.append("m", holed)
    assert [one.rpartition("_")[2] for one in server.requests] == ["1-2", "4-4", "6-7"]
    assert await store.read("m") == holed


async def test_long_lines_go_in_several_requests_that_every_server_takes(
    store: HttpStore, server: StoreServer
) -> None:
    long = [Line("m", 7, n, "note", 1.0, {"text": "é" * 120_000}) for n in range(1, 11)]
    await store.append("m", long)
    assert [one.rpartition("_")[2] for one in server.requests] == ["1-4", "5-8", "9-10"]
    assert await store.read("m") == long


async def test_a_meeting_longer_than_a_page_is_read_whole(
    store: HttpStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.append("m", lines(1, 7))
    await store.append("m", lines(1, 7, epoch=8))
    monkeypatch.setattr(http, "PAGE", 3)
    assert await store.read("m") == lines(1, 7) + lines(1, 7, epoch=8)


@pytest.mark.parametrize("kind", ["cut", "half", "status"])
async def test_what_failed_can_be_asked_again_and_is_kept_once(
    store: HttpStore, server: StoreServer, kind: Any
) -> None:
    server.fail(Fault(kind=kind))
    with pytest.raises(StoreError) as failed:
        await store.append("m", lines(1, 10))
    assert not isinstance(failed.value, StoreRefusedError)
    await store.append("m", lines(1, 12))
    assert await store.read("m") == lines(1, 12)


async def test_a_call_that_was_cancelled_leaves_a_store_that_works(
    store: HttpStore, server: StoreServer
) -> None:
    server.fail(Fault(kind="hang"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await store.append("m", lines(1, 3))
    await store.append("m", lines(1, 3))
    assert await store.read("m") == lines(1, 3)


async def test_a_server_that_is_gone_is_worth_another_try(tmp_path: Path) -> None:
    async with StoreServer(tmp_path, secret=SECRET, meetai_secret="-") as server:
        store = store_at(f"{server.url}/lines")
        await store.append("m", lines(1, 1))
    with pytest.raises(StoreError, match=r"connection refused|connection broken") as failed:
        await store.append("m", lines(2, 2))
    assert not isinstance(failed.value, StoreRefusedError)
    await store.aclose()


async def test_a_wrong_secret_is_refused_and_nothing_is_kept(server: StoreServer) -> None:
    store = store_at(f"{server.url}/lines", f"whsec_{'QUJD' * 8}")
    with pytest.raises(StoreRefusedError, match=r"401; set GREFFIER_STORE_SECRET"):
        await store.append("m", lines(1, 1))
    with pytest.raises(StoreRefusedError, match=r"401"):
        await store.read("m")
    assert server.kept.lines("m") == []
    await store.aclose()


@pytest.mark.parametrize(
    "secret",
    ["", "hunter2-hunter2-hunter2-hunter2", "whsec_", "whsec_c2hvcnQ=", f"whsec_{'?' * 40}"],
)
def test_a_secret_that_is_none_is_named_by_its_variable_and_not_shown(secret: str) -> None:
    with pytest.raises(SettingsError, match=r"GREFFIER_STORE_SECRET must be `whsec_`") as failed:
        store_at("https://backend.example/lines", secret)
    assert "hunter2" not in str(failed.value)


def test_a_secret_without_padding_is_taken() -> None:
    assert store_at("https://backend.example/lines", SECRET.rstrip("=")).name == "http"


async def answering(handler: Handler, url: str, call: str) -> StoreError:
    """Return what the store raises where ``handler`` answers."""
    async with RawTestServer(handler) as server:
        store = store_at(url.format(port=server.port))
        with pytest.raises(StoreError) as failed:
            await (store.append("m", lines(1, 1)) if call == "append" else store.read("m"))
        await store.aclose()
    return failed.value


@pytest.mark.parametrize("call", ["append", "read"])
@pytest.mark.parametrize(
    ("status", "refused", "fix"),
    [
        (302, True, "write the address that it redirects to"),
        (400, True, "docs/store.openapi.yaml"),
        (403, True, "GREFFIER_STORE_SECRET"),
        (404, True, "correct the address"),
        (408, False, ""),
        (413, True, "1,000,000 bytes"),
        (429, False, ""),
        (500, False, ""),
        (503, False, ""),
    ],
)
async def test_each_status_is_worth_another_try_or_says_what_to_fix(
    status: int, refused: bool, fix: str, call: str
) -> None:
    asked = []

    async def handler(request: web.BaseRequest) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"}, text="canary")

    failure = await answering(handler, "http://user:canary@127.0.0.1:{port}/lines", call)
    assert isinstance(failure, StoreRefusedError) == refused
    assert str(status) in str(failure)
    assert fix in str(failure)
    assert "canary" not in str(failure)  # neither a password nor what a server quotes
    assert asked == ["/lines"]


STRANGE = json.loads(Line("another", 7, 1, "note", 1.0, {}).encode())


@pytest.mark.parametrize(
    "page",
    [
        "<html>",
        "[]",
        '{"lines":[]}',
        '{"lines":[],"next":7}',
        '{"lines":[],"next":"0.0"}',
        '{"lines":[{"meeting":"m"}],"next":null}',
        json.dumps({"lines": [STRANGE], "next": None}),
        json.dumps({"lines": [STRANGE | {"meeting": "m", "epoch": "7"}], "next": None}),
        " " * 20_000_000,
    ],
    ids=lambda page: page[:40],
)
async def test_a_page_that_breaks_the_contract_is_an_error_and_no_endless_reading(
    page: str,
) -> None:
    async def handler(_request: web.BaseRequest) -> web.Response:
        return web.Response(text=page)

    failure = await answering(handler, "http://127.0.0.1:{port}/", "read")
    assert "a page" in str(failure)
