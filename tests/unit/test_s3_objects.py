"""The S3 store: whatever takes effect when, what is kept never shrinks."""

from __future__ import annotations

import asyncio
import logging
import re

import pytest
from pydantic import SecretStr

from pipelines.errors import SettingsError, StoreError
from pipelines.transcript.line import Line
from pipelines.transcript.stores.address import parse_addresses
from pipelines.transcript.stores.s3 import S3Store
from pipelines.transcript.stores.s3_access import S3Access, S3Place
from pipelines.transcript.stores.s3_bucket import S3Bucket

ACCESS = S3Access("", secure=True, region="us-east-1", access_key="k", secret_key=SecretStr("s"))
(ADDRESS,) = parse_addresses("s3://bucket/prefix")


class MemoryBucket(S3Bucket):
    """Objects in memory; ``honours`` is whether it keeps to the condition of ``create``."""

    def __init__(self, *, honours: bool = True) -> None:
        super().__init__(S3Place.of(ADDRESS, ACCESS))
        self.objects: dict[str, bytes] = {}
        self.puts: list[tuple[str, bytes]] = []
        self.failing = ""
        self.asked = 0
        self._honours = honours

    async def create(self, key: str, body: bytes, *, content_type: str = "") -> bool:
        self.asked += 1
        if self._honours and key in self.objects:
            return False
        await self.put(key, body)
        return True

    async def put(self, key: str, body: bytes, *, content_type: str = "") -> None:
        self.objects[key] = body
        self.puts.append((key, body))

    async def get(self, key: str) -> bytes | None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.failing and key.endswith(self.failing):
            raise StoreError("away")
        return self.objects.get(key)

    async def keys(self, prefix: str) -> list[str]:
        self.asked += 1
        return sorted(key for key in self.objects if key.startswith(prefix))

    @property
    def names(self) -> list[str]:
        """What objects of lines are called, without the digest."""
        keys = (key.partition("/lines/")[2] for key in sorted(self.objects))
        return [re.sub(r"-[0-9a-f]{16}\.", "-digest.", key) for key in keys if key]


@pytest.fixture
def bucket() -> MemoryBucket:
    return MemoryBucket()


def open_store(bucket: MemoryBucket) -> S3Store:
    return S3Store(ADDRESS, ACCESS, bucket=bucket)


def lines(first: int, last: int, *, epoch: int = 7) -> list[Line]:
    return [
        Line("m", epoch, n, "note", 1000.0 + n, {"text": f"word {n}"})
        for n in range(first, last + 1)
    ]


async def test_a_batch_is_an_object_named_by_its_epoch_and_first_line(bucket: MemoryBucket) -> None:
    store = open_store(bucket)
    await store.append("m", lines(1, 3))
    await store.append("m", lines(4, 5))
    await store.append("m", lines(1, 1, epoch=9))
    assert bucket.names == ["7/0000000001.jsonl", "7/0000000004.jsonl", "9/0000000001.jsonl"]
    assert await store.read("m") == lines(1, 5) + lines(1, 1, epoch=9)


async def test_of_a_batch_that_ends_elsewhere_only_what_is_not_kept_is_put(
    bucket: MemoryBucket,
) -> None:
    await open_store(bucket).append("m", lines(1, 3))
    await open_store(bucket).append("m", lines(1, 8))
    await open_store(bucket).append("m", lines(1, 6))
    assert bucket.names == ["7/0000000001.jsonl", "7/0000000004.jsonl"]
    assert bucket.objects[bucket.puts[-1][0]] == b"".join(line.encode() for line in lines(4, 8))


async def test_a_replay_of_many_small_batches_takes_as_many_requests_as_of_few(
    bucket: MemoryBucket,
) -> None:
    store = open_store(bucket)
    for first in range(1, 200, 2):
        await store.append("m", lines(first, first + 1))
    before = bucket.asked
    await store.append("m", lines(1, 210))
    assert bucket.names[-1] == "7/0000000201.jsonl"
    assert bucket.asked - before == 1 + 1 + 100 + 1  # taken, list, gets (at once), the rest


async def test_a_line_missing_in_the_middle_is_put_alone(bucket: MemoryBucket) -> None:
    store = open_store(bucket)
    await store.append("m", [*lines(1, 2), *lines(4, 5)])
    await store.append("m", lines(1, 5))
    assert bucket.names == ["7/0000000001.jsonl", "7/0000000003.jsonl"]
    assert await store.read("m") == lines(1, 5)


async def test_a_server_that_knows_no_condition_gets_keys_that_name_the_content() -> None:
    bucket = MemoryBucket(honours=False)
    store = open_store(bucket)
    await store.append("m", lines(1, 3))
    late = bucket.puts[-1]
    await open_store(bucket).append("m", lines(1, 8))
    await bucket.put(*late)
    assert await store.read("m") == lines(1, 8)
    assert bucket.names == ["7/0000000001-digest.jsonl"] * 2


async def test_the_same_batch_again_is_the_same_object_without_a_condition() -> None:
    bucket = MemoryBucket(honours=False)
    store = open_store(bucket)
    for _ in range(3):
        await store.append("m", lines(1, 3))
    assert bucket.names == ["7/0000000001-digest.jsonl"]


async def test_whether_the_server_knows_the_condition_is_asked_once(bucket: MemoryBucket) -> None:
    await open_store(bucket).append("m", lines(1, 1))
    assert bucket.asked == 2 + 1
    for n in range(2, 5):
        await open_store(bucket).append("m", lines(n, n))
    assert bucket.asked == 2 + 1 + 3


@pytest.mark.parametrize("body", [b"", b"not ours", lines(1, 2)[0].encode()[:-9]])
async def test_what_is_no_object_of_ours_keeps_no_line_out(
    bucket: MemoryBucket, body: bytes
) -> None:
    store = open_store(bucket)
    await store.append("m", lines(1, 3))
    bucket.objects[bucket.puts[-1][0]] = body
    await store.append("m", lines(1, 5))
    assert await store.read("m") == lines(1, 5)
    await store.append("m", lines(1, 6))
    assert bucket.names == [
        "7/0000000001-digest.jsonl",
        "7/0000000001.jsonl",
        "7/0000000006.jsonl",
    ]


async def test_a_torn_object_is_told_by_its_key_only_and_the_rest_is_read(
    bucket: MemoryBucket, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(bucket)
    await store.append("m", lines(1, 3))
    key, body = bucket.puts[-1]
    bucket.objects[key] = body[:-9]
    bucket.objects[key.replace("0000000001.jsonl", "")] = b"a folder of a file browser"
    await store.append("m", lines(4, 5))
    with caplog.at_level(logging.INFO):
        assert await store.read("m") == lines(1, 2) + lines(4, 5)
    (record,) = caplog.records
    assert vars(record)["object"] == key
    assert "word" not in str(vars(record))


async def test_an_object_that_can_not_be_had_fails_the_whole_reading(bucket: MemoryBucket) -> None:
    store = open_store(bucket)
    for n in range(1, 40):
        await store.append("m", lines(n, n))
    bucket.failing = "0000000020.jsonl"
    with pytest.raises(StoreError, match="away"):
        await store.read("m")


@pytest.mark.parametrize(
    ("url", "prefix", "server"),
    [
        ("s3://b", "", None),
        ("s3://b/", "", None),
        ("s3://b/a/b/", "a/b/", None),
        ("s3://b/a?endpoint=minio:9000", "a/", "https://minio:9000"),
        ("s3://b/a?endpoint=http://minio:9000&region=fr", "a/", "http://minio:9000"),
    ],
)
def test_an_address_names_bucket_prefix_and_server(
    url: str, prefix: str, server: str | None
) -> None:
    place = S3Place.of(parse_addresses(url)[0], ACCESS)
    assert (place.bucket, place.prefix, place.access.url) == ("b", prefix, server)
    assert place.access.region == ("fr" if "region" in url else "us-east-1")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://AKIAKEY:sesame@b/a", "GREFFIER_S3_SECRET_KEY"),
        ("s3://b/a?secret=sesame", "'secret'; there are endpoint, region"),
    ],
)
def test_an_address_with_a_key_or_an_unknown_option_is_refused_without_quoting_it(
    url: str, message: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)) as refused:
        S3Store(parse_addresses(url)[0], ACCESS)
    assert "sesame" not in str(refused.value)
