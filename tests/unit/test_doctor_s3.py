"""The doctor's look at an S3 store: what it finds, what it leaves, what it says to fix."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from pydantic import SecretStr

from agents.doctor.s3 import check_s3
from pipelines.transcript.stores.address import parse_addresses
from pipelines.transcript.stores.s3_access import S3Access

(ADDRESS,) = parse_addresses("minutes=s3://bucket/p")


class TinyS3:
    """Keeps objects in memory; ``refuses`` are the methods it answers 403 to."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.refuses: set[str] = set()
        self.forgets = False
        self.honours = True
        self.silent = asyncio.Event()
        self.silent.set()
        self.port = 0

    async def answer(self, request: web.Request) -> web.Response:
        await self.silent.wait()
        body = await request.read()
        key = request.path.removeprefix("/bucket").removeprefix("/")
        if request.method in self.refuses:
            return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
        match request.method:
            case "PUT" if (
                self.honours and "If-None-Match" in request.headers and key in self.objects
            ):
                return web.Response(status=412)
            case "PUT" if not self.forgets:
                self.objects[key] = body
            case "DELETE":
                self.objects.pop(key, None)
            case "GET" if not key:
                found = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in self.objects)
                return web.Response(text=f"<ListBucketResult>{found}</ListBucketResult>")
            case "GET" if key in self.objects:
                return web.Response(body=self.objects[key])
            case "GET":
                return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
        return web.Response()

    @property
    def access(self) -> S3Access:
        return S3Access(f"127.0.0.1:{self.port}", False, "us-east-1", "key", SecretStr("sesame"))


@pytest.fixture
async def server() -> AsyncIterator[TinyS3]:
    server = TinyS3()
    application = web.Application()
    application.router.add_route("*", "/{key:.*}", server.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = runner.addresses[0][1]
    yield server
    server.silent.set()
    await runner.cleanup()


async def test_a_bucket_that_keeps_what_it_is_given_is_well_and_no_test_object_stays(
    server: TinyS3,
) -> None:
    check = await check_s3(ADDRESS, server.access)
    assert (check.name, check.level) == ("store minutes", "ok")
    assert "writable and readable" in check.message
    assert set(server.objects) == {"p/.if-none-match"}


async def test_a_server_that_takes_no_notice_of_the_condition_is_told(server: TinyS3) -> None:
    server.honours = False
    check = await check_s3(ADDRESS, server.access)
    assert check.level == "ok"
    assert "If-None-Match" in check.message


async def test_a_key_that_may_not_delete_is_a_warning_that_names_the_object(
    server: TinyS3,
) -> None:
    server.refuses = {"DELETE"}
    check = await check_s3(ADDRESS, server.access)
    assert check.level == "warning"
    assert "delete p/.doctor-" in check.fix


@pytest.mark.parametrize("method", ["PUT", "GET"])
async def test_a_refusal_says_which_setting_to_fix(server: TinyS3, method: str) -> None:
    server.refuses = {method}
    check = await check_s3(ADDRESS, server.access)
    assert check.level == "error"
    assert "'bucket'" in check.message
    assert "GREFFIER_S3_ACCESS_KEY" in check.fix
    assert "sesame" not in str(check)


async def test_a_server_that_forgets_is_an_error(server: TinyS3) -> None:
    server.forgets = True
    check = await check_s3(ADDRESS, server.access)
    assert (check.level, "does not come back" in check.message) == ("error", True)


async def test_a_server_that_hangs_is_an_error_in_time(server: TinyS3) -> None:
    server.silent.clear()
    check = await check_s3(ADDRESS, server.access, patience=0.5)
    assert (check.level, "no answer in 0.5 s" in check.message) == ("error", True)


async def test_a_server_that_is_not_there_is_an_error() -> None:
    nowhere = S3Access("127.0.0.1:9", False, "us-east-1", "key", SecretStr("s"))
    check = await check_s3(ADDRESS, nowhere)
    assert check.level == "error"
    assert "GREFFIER_S3_ENDPOINT" in check.fix


async def test_an_address_that_is_wrong_is_an_error() -> None:
    (address,) = parse_addresses("s3://bucket/p?colour=red")
    nowhere = S3Access("", True, "us-east-1", "key", SecretStr("s"))
    check = await check_s3(address, nowhere)
    assert (check.level, check.fix) == ("error", "correct GREFFIER_STORES")
