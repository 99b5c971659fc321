"""The real servers of the stores, each with a way to its truth that does not use them."""

# ruff: noqa: D102
# The methods of a target are documented once, in its protocol.

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import redis
from pydantic import SecretStr

from bench.fault_proxy import HTTP_WRITE, LOADING, REDIS_WRITE
from bench.redis_server import RedisServer
from bench.store_server_process import StoreServerProcess
from bench.store_targets import StoreServer
from bench.versitygw import VersityGateway
from pipelines.transcript.line import Line
from pipelines.transcript.paths import meeting_key
from pipelines.transcript.stores.address import parse_addresses
from pipelines.transcript.stores.http import HttpStore
from pipelines.transcript.stores.meetai import MeetaiStore
from pipelines.transcript.stores.redis import RedisStore
from pipelines.transcript.stores.s3 import S3Store
from pipelines.transcript.stores.s3_access import S3Access
from pipelines.transcript.stores.store import Store

_S3_BATCH: Final = re.compile(rb"PUT \S+/lines/")
"""Not the object by which the store finds out first what the server can do."""

_BUCKET: Final = "transcripts"
_PREFIX: Final = "kept/here"


class HttpServer(StoreServer):
    """The store server of ``pipelines.testing``, under our own contract."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server = StoreServerProcess(directory)
        super().__init__(self._server, begins=HTTP_WRITE)

    @property
    def port(self) -> int:
        return self._server.port

    def open_store(self, port: int, *, wrong_key: bool) -> Store:
        wrong = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        (address,) = parse_addresses(f"http://127.0.0.1:{port}/lines")
        return HttpStore(address, SecretStr(wrong if wrong_key else self._server.secret))

    def kept(self, meeting: str) -> list[bytes]:
        # Not through the server's own code, which may drop doubles.
        return _lines_in(self._directory / "lines" / meeting_key(meeting), "lines/*.jsonl")


class MeetaiServer(HttpServer):
    """The same process, under MeetAI's contract: it appends what it is given."""

    def open_store(self, port: int, *, wrong_key: bool) -> Store:
        (address,) = parse_addresses(f"meetai+http://127.0.0.1:{port}")
        secret = "wrong" if wrong_key else self._server.meetai_secret
        return MeetaiStore(address, SecretStr(secret))

    def fact(self, line: Line) -> bytes | None:
        if line.kind != "final":
            return None
        fields = {
            "role": "human",
            "speaker": line.data["speaker"],
            "text": line.data["text"],
            "timestamp": round(line.at * 1000),
            "index": line.data["index"],
        }
        return json.dumps(fields, sort_keys=True).encode()

    def kept(self, meeting: str) -> list[bytes]:
        lines = self._server.meetai_lines(meeting)
        return [json.dumps(line, sort_keys=True).encode() for line in lines]


class RedisStreams(StoreServer):
    """A redis-server with a password."""

    def __init__(self, directory: Path) -> None:
        self._password = secrets.token_urlsafe(12)
        self._server = RedisServer(directory, password=self._password)
        super().__init__(self._server, begins=REDIS_WRITE, unavailable=LOADING)

    @property
    def port(self) -> int:
        return urlsplit(self._server.url).port or 0

    def open_store(self, port: int, *, wrong_key: bool) -> Store:
        password = "wrong" if wrong_key else self._password
        (address,) = parse_addresses(f"redis://:{password}@127.0.0.1:{port}/0")
        return RedisStore(address)

    def kept(self, meeting: str) -> list[bytes]:
        stream = f"greffier:{{{meeting_key(meeting)}}}:lines"
        with redis.Redis.from_url(self._server.url) as client:
            # Any: the library's annotation allows for replies that XRANGE does not give.
            entries: Any = client.xrange(stream)
        return [fields[b"line"] for _, fields in entries]


class S3Objects(StoreServer):
    """A versitygw; its objects are files."""

    def __init__(self, directory: Path) -> None:
        self._server = VersityGateway(directory)
        super().__init__(self._server, begins=HTTP_WRITE, breaks=_S3_BATCH)

    @property
    def port(self) -> int:
        return self._server.port

    def open_store(self, port: int, *, wrong_key: bool) -> Store:
        access = S3Access(
            endpoint=f"http://127.0.0.1:{port}",
            secure=False,
            region=self._server.region,
            access_key=self._server.access_key,
            secret_key=SecretStr("wrong" if wrong_key else self._server.secret_key),
        )
        (address,) = parse_addresses(f"s3://{_BUCKET}/{_PREFIX}")
        return S3Store(address, access)

    def kept(self, meeting: str) -> list[bytes]:
        objects = self._server.buckets / _BUCKET / _PREFIX / meeting_key(meeting)
        return _lines_in(objects, "lines/*/*.jsonl")

    def __enter__(self) -> Self:
        super().__enter__()
        self._server.create_bucket(_BUCKET)
        return self


SERVERS: Final[Mapping[str, Callable[[Path], StoreServer]]] = {
    "http": HttpServer,
    "meetai": MeetaiServer,
    "redis": RedisStreams,
    "s3": S3Objects,
}
"""Kind of a store -> its server in a directory, not started."""

AT_LEAST_ONCE: Final = frozenset({"meetai", "s3"})
"""Kinds whose server may have a line twice: one has no key, one keeps batches and is read once."""


def _lines_in(directory: Path, pattern: str) -> list[bytes]:
    files = sorted(directory.glob(pattern))
    return [line for file in files for line in file.read_bytes().splitlines(keepends=True)]
