"""The doctor and the stores behind HTTP: what is wrong is named, and nothing is written."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer
from pydantic import SecretStr

from agents.doctor import http_stores
from agents.doctor.check import Check
from agents.doctor.http_stores import check_http_store, check_meetai
from pipelines.testing.store_server import Fault, StoreServer
from pipelines.transcript.stores.address import parse_addresses

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
WRONG = f"whsec_{'QUJD' * 8}"
HANDSHAKE = "canary-handshake"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[StoreServer]:
    async with StoreServer(
        tmp_path, secret=SECRET, meetai_secret=HANDSHAKE, meetai_meetings=["m"]
    ) as server:
        yield server
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def check_ours(url: str, secret: str = SECRET) -> Check:
    (address,) = parse_addresses(f"minutes={url}")
    return await check_http_store(address, SecretStr(secret))


async def check_theirs(url: str, secret: str = HANDSHAKE) -> Check:
    (address,) = parse_addresses(f"app=meetai+{url}")
    return await check_meetai(address, SecretStr(secret))


async def check_theirs_answering(
    status: int, text: str, content_type: str = "application/json"
) -> Check:
    async def handler(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, text=text, content_type=content_type)

    async with RawTestServer(handler) as backend:
        return await check_theirs(f"http://127.0.0.1:{backend.port}")


async def test_a_store_that_reads_with_our_secret_and_no_other_is_ok(server: StoreServer) -> None:
    check = await check_ours(f"{server.url}/lines")
    assert (check.name, check.level) == ("store minutes", "ok")
    assert "not tried: whether it keeps lines" in check.message


@pytest.mark.parametrize(
    ("path", "secret", "message", "fix"),
    [
        ("/lines", WRONG, "answered 401", "set GREFFIER_STORE_SECRET"),
        ("/lines", "hunter2", "the secret is no key", "GREFFIER_STORE_SECRET must be `whsec_`"),
        ("/line", SECRET, "answered 404", "correct the address"),
    ],
)
async def test_a_wrong_secret_or_path_is_told_apart(
    server: StoreServer, path: str, secret: str, message: str, fix: str
) -> None:
    check = await check_ours(f"{server.url}{path}", secret)
    assert check.level == "error"
    assert message in check.message
    assert fix in check.fix
    assert secret not in check.message + check.fix


async def test_a_server_that_checks_no_signature_is_a_warning() -> None:
    async def handler(_request: web.BaseRequest) -> web.Response:
        return web.json_response({"lines": [], "next": None})

    async with RawTestServer(handler) as open_door:
        check = await check_ours(f"http://127.0.0.1:{open_door.port}/lines")
    assert check.level == "warning"
    assert "takes a wrong signature" in check.message


async def test_a_store_that_does_not_answer_is_an_error(
    server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_stores, "TIMEOUT", 0.05)
    server.fail(Fault(kind="hang", count=1))
    check = await check_ours(f"{server.url}/lines")
    assert (check.level, "no answer in" in check.message) == ("error", True)


async def test_a_backend_that_knows_the_secret_has_nothing_to_keep(server: StoreServer) -> None:
    check = await check_theirs(server.url)
    assert (check.name, check.level) == ("store app", "ok")
    assert check.message.endswith("secret not refused; not tried: a line")


async def test_a_backends_401_is_a_wrong_secret(server: StoreServer) -> None:
    check = await check_theirs(server.url, "canary-wrong")
    assert (check.level, "GREFFIER_MEETAI_SECRET" in check.fix) == ("error", True)
    assert "canary" not in check.message + check.fix


async def test_a_backend_that_refuses_an_empty_body_says_nothing_about_the_secret() -> None:
    check = await check_theirs_answering(400, '{"error":"Invalid body"}')
    assert (check.level, check.message.endswith("not tried: the secret, a line")) == ("ok", True)


@pytest.mark.parametrize(
    ("status", "content_type"),
    [(404, "text/html"), (400, "text/html"), (405, "application/json"), (307, "text/html")],
)
async def test_what_is_no_backend_is_an_error(status: int, content_type: str) -> None:
    check = await check_theirs_answering(status, "{}", content_type)
    assert check.level == "error"
    assert check.fix


async def test_a_login_page_is_no_backend() -> None:
    assert (await check_theirs_answering(200, "<html>", "text/html")).level == "error"


async def test_nobody_there_is_an_error_that_names_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for check in (
        await check_ours(f"http://127.0.0.1:{port}/lines"),
        await check_theirs(f"http://127.0.0.1:{port}"),
    ):
        assert check.level == "error"
        assert f"127.0.0.1:{port}" in check.message
        assert "connection refused" in check.message
