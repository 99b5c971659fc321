"""The store of MeetAI's contract: finals, ten at a time, at least once, with a stable index."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer
from pydantic import SecretStr

from pipelines.errors import StoreError, StoreRefusedError
from pipelines.events import CaptionFinal
from pipelines.testing.store_server import Fault, StoreServer
from pipelines.transcript.correction import correction_data
from pipelines.transcript.line import Line, LineKind
from pipelines.transcript.stores import meetai
from pipelines.transcript.stores.address import parse_addresses
from pipelines.transcript.stores.meetai import MeetaiStore

SECRET = "canary-handshake"


def final(sequence: int, text: str = "", **data: Any) -> Line:
    fields = {"speaker": "ada", "text": text or f"Words {sequence}.", "index": sequence} | data
    return Line("m", 7, sequence, "final", 1000.0004 + sequence, fields)


def finals(first: int, last: int) -> list[Line]:
    return [final(sequence) for sequence in range(first, last + 1)]


def store_at(url: str, secret: str = SECRET) -> MeetaiStore:
    (address,) = parse_addresses(f"meetai+{url}")
    return MeetaiStore(address, SecretStr(secret))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[StoreServer]:
    secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    async with StoreServer(
        tmp_path, secret=secret, meetai_secret=SECRET, meetai_meetings=["m"]
    ) as server:
        yield server


@pytest.fixture
async def store(server: StoreServer) -> AsyncIterator[MeetaiStore]:
    store = store_at(server.url)
    yield store
    await store.aclose()


def indices(server: StoreServer) -> list[int]:
    return [line["index"] for line in server.kept.meetai_lines("m")]


@pytest.mark.parametrize("base", ["", "/", "/base", "/base/"])
async def test_a_request_is_exactly_as_the_contract_has_it(base: str) -> None:
    posts = []

    async def handler(request: web.BaseRequest) -> web.Response:
        posts.append((request.method, request.path, await request.json()))
        return web.json_response({"success": True, "stored": 2})

    async with RawTestServer(handler) as backend:
        store = store_at(f"http://127.0.0.1:{backend.port}{base}")
        await store.append("m", [final(1, "Bonjour."), final(2, "Hi.", role="assistant", index=0)])
        await store.aclose()
    ((method, path, body),) = posts
    assert (method, path) == ("POST", f"{base.rstrip('/')}/api/agent-transcript")
    assert body == {
        "meetingId": "m",
        "INTERNAL_HANDSHAKE_SECRET": SECRET,
        "lines": [
            {
                "role": "human",
                "speaker": "ada",
                "text": "Bonjour.",
                "timestamp": 1001000,
                "index": 1,
            },
            {"role": "assistant", "speaker": "ada", "text": "Hi.", "timestamp": 1002000},
        ],
    }


async def test_only_finals_with_words_are_sent_and_a_revision_is_a_line_of_its_own(
    store: MeetaiStore, server: StoreServer
) -> None:
    kinds: tuple[LineKind, ...] = ("opened", "hole", "person", "note", "ended")
    others = [Line("m", 7, n, kind, 1.0, {}) for n, kind in enumerate(kinds, 1)]
    await store.append("m", [*others, final(6, revision=0), final(7, " "), final(8, revision=1)])
    assert indices(server) == [6, 8]


async def test_a_correction_is_a_line_in_the_speakers_name_at_the_time_of_speech(
    store: MeetaiStore, server: StoreServer
) -> None:
    said = CaptionFinal(1006.0, 1007.0, "s", "ada", "Ada", "helo", index=6)
    data = correction_data(said, "hello", by="gr", name="Grace", index=7, meeting_start=1000.0)
    await store.append("m", [Line("m", 7, 1, "correction", 1060.0, data)])
    (kept,) = server.kept.meetai_lines("m")
    assert {key: kept[key] for key in ("speaker", "text", "timestamp", "index")} == {
        "speaker": "ada",
        "text": "hello",
        "timestamp": 1006000,
        "index": 7,
    }


async def test_ten_lines_go_in_a_request(store: MeetaiStore, server: StoreServer) -> None:
    server.fail(Fault(kind="slow", seconds=0, count=2))
    server.fail(Fault(kind="status", status=500))
    with pytest.raises(StoreError):
        await store.append("m", finals(1, 25))
    assert indices(server) == list(range(1, 21))


async def test_what_was_acknowledged_is_not_sent_again_when_the_rest_of_a_call_failed(
    store: MeetaiStore, server: StoreServer
) -> None:
    server.fail(Fault(kind="slow", seconds=0))
    server.fail(Fault(kind="status", status=503))
    with pytest.raises(StoreError):
        await store.append("m", finals(1, 15))
    await store.append("m", finals(1, 18))
    assert indices(server) == list(range(1, 19))


async def test_a_lost_reply_doubles_lines_that_have_the_same_index(
    store: MeetaiStore, server: StoreServer
) -> None:
    server.fail(Fault(kind="cut"))
    with pytest.raises(StoreError):
        await store.append("m", finals(1, 3))
    await store.append("m", finals(1, 5))
    assert indices(server) == [1, 2, 3, 1, 2, 3, 4, 5]


async def test_memory_of_what_was_acknowledged_is_bounded(
    store: MeetaiStore, server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meetai, "REMEMBERED", 10)
    await store.append("m", finals(1, 30))
    assert len(store._acknowledged) == 10
    await store.append("m", finals(21, 30))
    assert len(indices(server)) == 30


async def test_a_wrong_secret_is_refused_and_shown_nowhere(
    server: StoreServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store = store_at(server.url, "canary-wrong")
    with pytest.raises(StoreRefusedError, match=r"401; set GREFFIER_MEETAI_SECRET") as failed:
        await store.append("m", finals(1, 1))
    assert "canary" not in f"{failed.value} {store!r} {store.__dict__} {caplog.text}"
    await store.aclose()


async def test_a_meeting_that_the_backend_does_not_know_is_refused(store: MeetaiStore) -> None:
    with pytest.raises(StoreRefusedError, match=r"404; put the backend's meeting id"):
        await store.append("unknown", finals(1, 1))


@pytest.mark.parametrize(
    ("status", "reply"),
    [(200, "<html>Log in</html>"), (200, '{"success":false}'), (200, "[]"), (204, "")],
)
async def test_a_success_that_is_not_a_backends_word_is_refused(status: int, reply: str) -> None:
    async def handler(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, text=reply)

    async with RawTestServer(handler) as backend:
        store = store_at(f"http://127.0.0.1:{backend.port}")
        with pytest.raises(StoreRefusedError, match="not as a MeetAI backend"):
            await store.append("m", finals(1, 1))
        await store.aclose()


async def test_a_backend_that_stored_fewer_lines_is_reported_and_not_given_doubles(
    caplog: pytest.LogCaptureFixture,
) -> None:
    posts = []

    async def handler(request: web.BaseRequest) -> web.Response:
        posts.append(json.loads(await request.read()))
        return web.json_response({"success": True, "stored": 1})

    async with RawTestServer(handler) as backend:
        store = store_at(f"http://127.0.0.1:{backend.port}")
        await store.append("m", finals(1, 2))
        await store.append("m", finals(1, 2))
        await store.aclose()
    assert len(posts) == 1
    assert "another number of lines" in caplog.text
    assert "Words" not in caplog.text


async def test_it_cannot_be_read_back(store: MeetaiStore) -> None:
    assert not store.reads_back
    with pytest.raises(StoreError, match="can't be read back"):
        await store.read("m")
