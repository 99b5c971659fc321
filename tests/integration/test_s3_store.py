"""The S3 store on a real server: who wins a race, what a refusal says, odd ids and addresses."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from bench.versitygw import VersityGateway
from bench.versitygw_binary import VERSITYGW
from pipelines.errors import StoreError, StoreRefusedError
from pipelines.transcript.line import Line
from pipelines.transcript.paths import meeting_key
from pipelines.transcript.stores.address import parse_addresses
from pipelines.transcript.stores.s3 import S3Store
from pipelines.transcript.stores.s3_access import S3Access, S3Place
from pipelines.transcript.stores.s3_bucket import S3Bucket

BUCKET = "transcripts"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VersityGateway]:
    if VERSITYGW.find() is None:
        pytest.skip("no versitygw; `python -m bench.versitygw_binary` gets one")
    with VersityGateway(tmp_path_factory.mktemp("s3")) as server:
        server.create_bucket(BUCKET)
        yield server


@pytest.fixture
def access(server: VersityGateway, monkeypatch: pytest.MonkeyPatch) -> S3Access:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    # AWS's own chain finds nothing on this machine, and asks nobody for it.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    return S3Access(
        endpoint=server.endpoint,
        secure=True,
        region=server.region,
        access_key=server.access_key,
        secret_key=SecretStr(server.secret_key),
    )


class OpenStore(Protocol):
    """Opens a store at an address, with other access than the right one, or with small pages."""

    def __call__(
        self, url: str = f"s3://{BUCKET}/p", access: S3Access | None = None, *, page: int = 1_000
    ) -> S3Store: ...


@pytest.fixture
async def open_store(access: S3Access) -> AsyncIterator[OpenStore]:
    right = access
    async with AsyncExitStack() as stack:

        def open_(
            url: str = f"s3://{BUCKET}/p", access: S3Access | None = None, *, page: int = 1_000
        ) -> S3Store:
            (address,) = parse_addresses(url)
            bucket = S3Bucket(S3Place.of(address, access or right), page=page)
            store = S3Store(address, access or right, bucket=bucket)
            stack.push_async_callback(store.aclose)
            return store

        yield open_


@pytest.fixture
def meeting(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


def lines(meeting: str, first: int, last: int, *, epoch: int = 7) -> list[Line]:
    return [Line(meeting, epoch, n, "note", 1000.0 + n, {"é": n}) for n in range(first, last + 1)]


def objects(server: VersityGateway, meeting: str, *, prefix: str = "p") -> dict[str, bytes]:
    """Return what is on the server, not through our store: the key's end -> the content."""
    directory = server.buckets / BUCKET / prefix / meeting_key(meeting) / "lines"
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


async def test_of_writers_at_once_whose_batches_end_elsewhere_all_lines_are_kept_once(
    server: VersityGateway, open_store: OpenStore, meeting: str
) -> None:
    stores = [open_store() for _ in range(6)]
    await asyncio.gather(
        *(store.append(meeting, lines(meeting, 1, 10 * (n + 1))) for n, store in enumerate(stores))
    )
    assert await stores[0].read(meeting) == lines(meeting, 1, 60)
    assert b"".join(objects(server, meeting).values()).count(b"\n") == 60


async def test_a_smaller_batch_that_comes_late_changes_nothing(
    server: VersityGateway, open_store: OpenStore, access: S3Access, meeting: str
) -> None:
    store = open_store()
    await store.append(meeting, lines(meeting, 1, 20))
    kept = objects(server, meeting)
    bucket = S3Bucket(S3Place.of(parse_addresses(f"s3://{BUCKET}/p")[0], access))
    late = b"".join(line.encode() for line in lines(meeting, 1, 3))
    assert not await bucket.create(f"{meeting_key(meeting)}/lines/7/0000000001.jsonl", late)
    await bucket.aclose()
    await store.append(meeting, lines(meeting, 1, 3))
    assert objects(server, meeting) == kept
    assert await store.read(meeting) == lines(meeting, 1, 20)


async def test_a_call_that_is_cancelled_leaves_a_store_that_works(
    open_store: OpenStore, meeting: str
) -> None:
    store = open_store()
    for milliseconds in (0, 1, 20, 150, 200, 1, 2, 3, 4, 5):
        try:
            async with asyncio.timeout(milliseconds / 1000):
                await store.append(meeting, lines(meeting, 1, 50))
        except TimeoutError:
            continue
    await store.append(meeting, lines(meeting, 1, 60))
    assert await store.read(meeting) == lines(meeting, 1, 60)


async def test_calls_at_once_open_one_client(open_store: OpenStore, meeting: str) -> None:
    store = open_store()
    await asyncio.gather(*(store.append(meeting, lines(meeting, n, n)) for n in range(1, 21)))
    assert await store.read(meeting) == lines(meeting, 1, 20)
    # That none is left open after `aclose` is seen by aiohttp's own ResourceWarning.


async def test_a_store_that_was_closed_opens_again(open_store: OpenStore, meeting: str) -> None:
    store = open_store()
    await store.append(meeting, lines(meeting, 1, 2))
    await store.aclose()
    await store.aclose()
    assert await store.read(meeting) == lines(meeting, 1, 2)


@pytest.mark.parametrize(
    ("change", "fix"),
    [
        ({"access_key": "nobody"}, "GREFFIER_S3_ACCESS_KEY"),
        ({"access_key": ""}, "GREFFIER_S3_ACCESS_KEY"),
        ({"secret_key": SecretStr("sesame" * 6)}, "GREFFIER_S3_SECRET_KEY"),
        ({"secret_key": SecretStr("")}, "GREFFIER_S3_SECRET_KEY"),
        ({"region": "no region"}, "GREFFIER_S3_REGION"),
        ({"endpoint": "http://not a host"}, "GREFFIER_S3_ENDPOINT"),
    ],
)
async def test_a_refusal_names_bucket_and_setting_and_no_secret(
    open_store: OpenStore,
    access: S3Access,
    meeting: str,
    change: dict[str, str | SecretStr],
    fix: str,
) -> None:
    store = open_store(access=replace(access, **change))  # type: ignore[arg-type] # a table
    with pytest.raises(StoreRefusedError, match=fix) as refused:
        await store.append(meeting, lines(meeting, 1, 1))
    with pytest.raises(StoreRefusedError):
        await store.read(meeting)
    assert BUCKET in str(refused.value)
    for secret in ("sesame", access.secret_key.get_secret_value()):
        assert secret not in f"{refused.value} {refused.value.__cause__}"


async def test_without_a_key_aws_s_own_chain_is_asked(
    open_store: OpenStore, access: S3Access, meeting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", access.secret_key.get_secret_value())
    store = open_store(access=replace(access, access_key="", secret_key=SecretStr("")))
    await store.append(meeting, lines(meeting, 1, 2))
    assert await store.read(meeting) == lines(meeting, 1, 2)


@pytest.mark.parametrize("url", ["s3://no-such-bucket/p", "s3://x/p", "s3://UPPER_and_under/p"])
async def test_a_bucket_that_is_not_there_is_refused(
    open_store: OpenStore, meeting: str, url: str
) -> None:
    with pytest.raises(StoreRefusedError, match="GREFFIER_STORES"):
        await open_store(url).append(meeting, lines(meeting, 1, 1))


async def test_a_server_that_is_away_is_worth_another_try(
    open_store: OpenStore, tmp_path: Path, access: S3Access, meeting: str
) -> None:
    with VersityGateway(tmp_path) as server:
        server.create_bucket(BUCKET)
        mine = replace(
            access,
            endpoint=server.endpoint,
            access_key=server.access_key,
            secret_key=SecretStr(server.secret_key),
        )
        store = open_store(access=mine)
        await store.append(meeting, lines(meeting, 1, 5))
        server.kill()
        for call in (store.append(meeting, lines(meeting, 1, 9)), store.read(meeting)):
            with pytest.raises(StoreError, match="EndpointConnectionError") as away:
                await call
            assert not isinstance(away.value, StoreRefusedError)
            assert meeting_key(meeting) not in str(away.value)
        server.start()
        await store.append(meeting, lines(meeting, 1, 9))
        assert await store.read(meeting) == lines(meeting, 1, 9)


async def test_an_endpoint_without_scheme_as_la_suite_meet_writes_it(
    server: VersityGateway, open_store: OpenStore, access: S3Access, meeting: str
) -> None:
    bare = server.endpoint.removeprefix("http://")
    store = open_store(access=replace(access, endpoint=bare, secure=False))
    await store.append(meeting, lines(meeting, 1, 2))
    assert await store.read(meeting) == lines(meeting, 1, 2)


async def test_the_address_wins_over_the_settings(
    server: VersityGateway, open_store: OpenStore, access: S3Access, meeting: str
) -> None:
    elsewhere = replace(access, endpoint="http://127.0.0.1:9", region="eu-west-3")
    query = f"endpoint={quote(server.endpoint)}&region={server.region}"
    store = open_store(f"s3://{BUCKET}/p?{query}", elsewhere)
    await store.append(meeting, lines(meeting, 1, 2))
    assert await store.read(meeting) == lines(meeting, 1, 2)


@pytest.mark.parametrize(("url", "prefix"), [("", ""), ("/", ""), ("/deep/er/", "deep/er")])
async def test_objects_are_below_the_prefix_if_there_is_one(
    server: VersityGateway, open_store: OpenStore, meeting: str, url: str, prefix: str
) -> None:
    store = open_store(f"s3://{BUCKET}{url}")
    await store.append(meeting, lines(meeting, 1, 2))
    assert list(objects(server, meeting, prefix=prefix)) == ["7/0000000001.jsonl"]
    assert await store.read(meeting) == lines(meeting, 1, 2)


async def test_whatever_the_meeting_s_id_is_its_lines_are_its_alone(
    server: VersityGateway, open_store: OpenStore
) -> None:
    store = open_store(f"s3://{BUCKET}/ids")
    ids = ("../../etc", "..", "/", "a/b", "a", "réunion 会議 🎙", "é" * 400, "%2e%2e/x", "a+b?c#d")
    for name in ids:
        await store.append(name, lines(name, 1, 2))
    for name in ids:
        assert await store.read(name) == lines(name, 1, 2)
    below = {path.name for path in (server.buckets / BUCKET / "ids").iterdir()}
    assert below == {meeting_key(name) for name in ids} | {".if-none-match"}


async def test_a_meeting_of_more_objects_than_a_page_lists_is_read_whole(
    open_store: OpenStore, meeting: str
) -> None:
    store = open_store(page=3)
    for n in range(1, 21):
        await store.append(meeting, lines(meeting, n, n))
    assert await store.read(meeting) == lines(meeting, 1, 20)
    await store.append(meeting, lines(meeting, 1, 21))
    assert await store.read(meeting) == lines(meeting, 1, 21)


async def test_a_meeting_that_is_not_there_has_no_lines(open_store: OpenStore) -> None:
    assert await open_store().read("never held") == []
