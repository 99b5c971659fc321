"""Every server that a meeting may have, and hosts with a worker each: one set for many faults."""

from __future__ import annotations

import json
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import redis

from bench.child_process import ChildProcess
from bench.livekit_server import LiveKitServer
from bench.redis_server import RedisServer
from bench.rooms import Rooms
from bench.soak.hosts import Host
from bench.soak.network import MEDIA_ADDRESS, make_media_address
from bench.soak.network import there as network_there
from bench.store_server_process import StoreServerProcess
from bench.toxiproxy import Toxiproxy
from bench.versitygw import VersityGateway
from pipelines.transcript.line import Line, distinct
from pipelines.transcript.paths import meeting_key

AGENT: Final = "greffier"
BUCKET: Final = "transcripts"
_REGISTERED: Final = 180.0  # seconds


class Stack:
    """livekit-server, Redis, S3, an HTTP store, a speech engine's double, toxiproxy and hosts.

    A context manager; everything is ready when it is entered.

    Args:
        directory: Takes everything; removed by whoever made it.
        hosts: How many workers, each on a host of its own.
        whole: Give hosts networks, disks and clocks of their own: needs a network namespace.
    """

    def __init__(self, directory: Path, *, hosts: int = 2, whole: bool = False) -> None:
        self.directory = directory
        self._whole = whole and network_there()
        self._count = hosts
        self._undo = ExitStack()
        self.livekit = LiveKitServer(
            directory / "livekit", node_ip=MEDIA_ADDRESS if self._whole else ""
        )
        self.redis = RedisServer(directory / "redis")
        self.s3 = VersityGateway(directory / "s3")
        self.http = StoreServerProcess(directory / "http")
        self._engine = ChildProcess(
            "speech server",
            [sys.executable, "-m", "pipelines.testing.speech_server", "--no-interims"],
            log=directory / "engine.log",
        )
        self._engine_port = 0
        self.hosts: list[Host] = []

    def rooms(self) -> Rooms:
        """Return LiveKit's API, to be entered."""
        return Rooms(self.livekit.url, self.livekit.api_key, self.livekit.api_secret)

    def env(self, host: Host) -> dict[str, str]:
        """Return the settings of the worker of ``host``."""
        gateway = {name: f"{host.gateway}:{link.port}" for name, link in host.links.items()}
        return {
            **self.livekit.env(),
            "GREFFIER_AGENT_NAME": AGENT,
            "GREFFIER_ENGINE": "deepgram/nova-3",
            "DEEPGRAM_API_KEY": "none",
            "GREFFIER_DEEPGRAM_BASE_URL": f"http://{gateway['engine']}",
            "GREFFIER_STORES": ",".join(
                [
                    f"redis://{gateway['redis']}/0",
                    f"s3://{BUCKET}/kept",
                    f"http://{gateway['http']}/lines",
                ]
            ),
            "GREFFIER_STORE_SECRET": self.http.secret,
            "GREFFIER_STORE_TIMEOUT": "3",
            "GREFFIER_S3_ENDPOINT": f"http://{gateway['s3']}",
            "GREFFIER_S3_REGION": self.s3.region,
            "GREFFIER_S3_ACCESS_KEY": self.s3.access_key,
            "GREFFIER_S3_SECRET_KEY": self.s3.secret_key,
            "GREFFIER_RECOVER_INTERVAL": "2",
            "GREFFIER_VANISHED_AFTER": "10",
        }

    def start_worker(self, host: Host) -> None:
        """Start the worker of ``host``; it may not be registered when this returns."""
        host.start_worker(self.env(host))

    def wait_for_workers(self) -> None:
        """Return when LiveKit has taken every worker.

        Raises:
            ChildError: One ended, or is not registered in time.
        """
        for host in self.hosts:
            host.require().wait_until_registered(timeout=_REGISTERED)

    def heard_words(self) -> list[str]:
        """Return every word that the engine ever settled, in its order."""
        address = f"http://127.0.0.1:{self._engine_port}/counts"
        with urllib.request.urlopen(address, timeout=10) as answer:
            words: list[str] = json.loads(answer.read())["words"]
        return words

    def stored(self, meeting: str) -> dict[str, list[Line]]:
        """Return store -> what it has of a meeting, read without our own stores."""
        key = meeting_key(meeting)
        with redis.Redis.from_url(self.redis.url, protocol=2) as client:
            # Any: the library's annotation allows for replies that XRANGE does not give.
            entries: Any = client.xrange(f"greffier:{{{key}}}:lines")
        objects = sorted((self.s3.buckets / BUCKET / "kept" / key).glob("lines/*/*.jsonl"))
        return {
            "redis": [Line.decode(fields[b"line"]) for _, fields in entries],
            # Its batches may overlap, and are read once.
            "s3": distinct(line for path in objects for line in _lines_in(path)),
            "http": self.http.lines(meeting),
        }

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._undo.close()
            raise
        return self

    def _start(self) -> None:
        if self._whole:
            make_media_address()
        for server in (self.livekit, self.redis, self.s3, self.http, self._engine):
            self._undo.enter_context(server)
        self.s3.create_bucket(BUCKET)
        toxiproxy = self._undo.enter_context(Toxiproxy(self.directory / "toxiproxy"))
        ports = {
            "livekit": int(self.livekit.url.rpartition(":")[2]),
            "redis": self.redis.port,
            "s3": self.s3.port,
            "http": self.http.port,
            "engine": self._find_engine(),
        }
        for number in range(1, self._count + 1):
            host = Host(number, self.directory, toxiproxy=toxiproxy, ports=ports, whole=self._whole)
            self.hosts.append(self._undo.enter_context(host))
        for host in self.hosts:
            self.start_worker(host)
        self.wait_for_workers()

    def _find_engine(self) -> int:
        self._engine.wait_for_output('"deepgram"', timeout=30)
        lines = self._engine.output().splitlines()
        address: str = json.loads(next(line for line in lines if line[:1] == "{"))["deepgram"]
        self._engine_port = int(address.rpartition(":")[2])
        return self._engine_port

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._undo.close()


def _lines_in(path: Path) -> list[Line]:
    return [Line.decode(raw) for raw in path.read_bytes().splitlines(keepends=True)]
