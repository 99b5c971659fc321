"""What an S3 server's answers mean: which are refusals, and what the operator reads of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from pydantic import SecretStr

from pipelines.errors import StoreError, StoreRefusedError
from pipelines.transcript.stores.s3_access import S3Access, S3Place
from pipelines.transcript.stores.s3_bucket import S3Bucket


class ScriptedServer:
    """Answers every request as it is told and counts the conditions it was asked to keep."""

    def __init__(self) -> None:
        self.status = 200
        self.code = ""
        self.text = ""
        self.conditions = 0
        self.path = ""

    async def answer(self, request: web.Request) -> web.Response:
        await request.read()
        self.path = request.path
        self.conditions += request.headers.get("If-None-Match") == "*"
        error = f"<Error><Code>{self.code}</Code><Message>sesame</Message></Error>"
        return web.Response(
            status=self.status,
            text=self.text or (error if self.code else ""),
            content_type="application/xml",
        )


@pytest.fixture
def server() -> ScriptedServer:
    return ScriptedServer()


@pytest.fixture
async def bucket(server: ScriptedServer) -> AsyncIterator[S3Bucket]:
    application = web.Application()
    application.router.add_route("*", "/{key:.*}", server.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    access = S3Access(f"localhost:{port}", False, "us-east-1", "key", SecretStr("s"))
    bucket = S3Bucket(S3Place("minutes", "p/", access))
    yield bucket
    await bucket.aclose()
    await runner.cleanup()


async def test_an_answer_that_asking_again_can_not_change_is_a_refusal(
    bucket: S3Bucket, server: ScriptedServer
) -> None:
    for status, code, fix in (
        (403, "AccessDenied", "s3:PutObject"),
        (403, "InvalidAccessKeyId", "GREFFIER_S3_ACCESS_KEY"),
        (403, "SignatureDoesNotMatch", "GREFFIER_S3_SECRET_KEY"),
        (403, "RequestTimeTooSkewed", "NTP"),
        (403, "", "GREFFIER_S3_ACCESS_KEY"),
        (401, "", "GREFFIER_S3_ACCESS_KEY"),
        (404, "NoSuchBucket", "GREFFIER_STORES"),
        (404, "", "GREFFIER_S3_ENDPOINT"),
    ):
        server.status, server.code = status, code
        with pytest.raises(StoreRefusedError, match=fix) as refused:
            await bucket.put("k", b"x")
        assert "'minutes'" in str(refused.value)
        assert "sesame" not in str(refused.value)


async def test_every_other_failure_is_worth_another_try_and_is_made_once(
    bucket: S3Bucket, server: ScriptedServer
) -> None:
    for status, code in (
        (500, "InternalError"),
        (503, "SlowDown"),
        (409, "ConditionalRequestConflict"),
        (501, "NotImplemented"),
        (400, "IncompleteBody"),
        (502, ""),
    ):
        server.status, server.code, server.conditions = status, code, 0
        with pytest.raises(StoreError, match=f"answered {status}") as failed:
            await bucket.create("k", b"x")
        assert not isinstance(failed.value, StoreRefusedError)
        assert server.conditions == 1


async def test_an_answer_that_is_no_s3_is_a_store_error(
    bucket: S3Bucket, server: ScriptedServer
) -> None:
    server.text = "<html>a proxy's greeting"
    with pytest.raises(StoreError, match=r"answered 500$"):
        await bucket.keys("")


async def test_the_bucket_is_in_the_path_as_servers_without_wildcard_names_need(
    bucket: S3Bucket, server: ScriptedServer
) -> None:
    await bucket.put("k", b"x")
    assert server.path == "/minutes/p/k"


async def test_a_taken_key_is_no_error(bucket: S3Bucket, server: ScriptedServer) -> None:
    server.status, server.code = 412, "PreconditionFailed"
    assert not await bucket.create("k", b"x")


async def test_an_object_that_is_gone_is_none(bucket: S3Bucket, server: ScriptedServer) -> None:
    server.status, server.code = 404, "NoSuchKey"
    assert await bucket.get("k") is None


@pytest.mark.parametrize(
    ("status", "honours", "asked"),
    [
        (412, True, 1),
        (501, False, 1),
        (200, False, 2),  # it takes no notice of the condition
    ],
)
async def test_whether_a_condition_is_kept_is_seen_from_the_answers(
    bucket: S3Bucket, server: ScriptedServer, status: int, honours: bool, asked: int
) -> None:
    server.status = status
    assert [await bucket.can_create() for _ in range(3)] == [honours] * 3
    assert server.conditions == asked
