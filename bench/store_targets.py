"""What the faults are tried on: a store with its real server, or disk, that can be broken."""

# ruff: noqa: D102
# The methods of a target are documented once, in its protocol.

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Literal, Protocol, Self, get_args

from bench.fault_proxy import UNAVAILABLE, Fault, FaultProxy
from pipelines.transcript.line import Line
from pipelines.transcript.stores.store import Store

FaultName = Literal[
    "none",
    "before send",
    "mid-body",
    "after commit",
    "5xx",
    "time-out",
    "slow",
    "wrong key",
    "gone and back",
    "replayed",
]
FAULTS: Final[Sequence[FaultName]] = get_args(FaultName)

TIMEOUT: Final = 2.0
"""Seconds that one call of a store may take where it is to take too long."""

PATIENCE: Final = 10.0
"""Seconds that it may take elsewhere, as in production: a busy machine is no fault."""

SLOW: Final = 1.0
"""Seconds that a slow reply takes: it comes before the time-out."""


class Target(Protocol):
    """One store as one cell of the table sees it."""

    @property
    def asked(self) -> int:
        """How often it was asked so far: requests that write, or connections if those are more."""

    @property
    def broken(self) -> int:
        """How many faults struck so far."""

    def open_store(self, *, wrong_key: bool = False) -> Store:
        """Return a new store object, as after a restart."""

    def strike(self, fault: FaultName) -> None:
        """Let ``fault`` hit the next batch."""

    async def leave(self) -> None:
        """Take the server, or the disk, away."""

    async def come_back(self) -> None:
        """Bring it back, with what it had."""

    def fact(self, line: Line) -> bytes | None:
        """Return what the server is to have of a line, or None if it keeps no such kind."""

    def kept(self, meeting: str) -> list[bytes]:
        """Return the facts that the server has, read behind the store's back, doubles included."""


class Process(Protocol):
    """What runs a server."""

    def start(self) -> object:
        """Start it, with the data it had."""

    def stop(self) -> object:
        """End it in good order."""

    def kill(self) -> object:
        """End it with SIGKILL."""


class StoreServer(ABC):
    """The real server of one kind of store, and how its truth is read.

    Args:
        process: Runs the server; a context manager around this starts and stops it.
        begins: How a request that writes begins.
        breaks: How one begins that holds a batch, where that is not the same.
        unavailable: What it replies when it can't serve.
    """

    def __init__(
        self,
        process: Process,
        *,
        begins: re.Pattern[bytes],
        breaks: re.Pattern[bytes] | None = None,
        unavailable: bytes = UNAVAILABLE,
    ) -> None:
        self.process = process
        self.begins = begins
        self.breaks = breaks or begins
        self.unavailable = unavailable

    @property
    @abstractmethod
    def port(self) -> int:
        """Where it listens now."""

    @abstractmethod
    def open_store(self, port: int, *, wrong_key: bool) -> Store:
        """Return a store that reaches the server at ``port``."""

    def fact(self, line: Line) -> bytes | None:
        """Return what the server is to have of a line; see :meth:`Target.fact`."""
        return line.encode()

    @abstractmethod
    def kept(self, meeting: str) -> list[bytes]:
        """Return what it has of a meeting; see :meth:`Target.kept`."""

    def __enter__(self) -> Self:
        self.process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()


class ServerTarget:
    """A server behind a proxy of faults.

    Args:
        server: Started.
        proxy: In front of it.
    """

    def __init__(self, server: StoreServer, proxy: FaultProxy) -> None:
        self._server = server
        self._proxy = proxy
        self._faults: Mapping[FaultName, Fault] = {
            "before send": Fault("before_send"),
            "mid-body": Fault("mid_body"),
            "after commit": Fault("after_commit"),
            "5xx": Fault("status", reply=server.unavailable),
            "time-out": Fault("hang"),
            "slow": Fault("slow", seconds=SLOW),
        }

    @property
    def asked(self) -> int:
        return max(self._proxy.requests, self._proxy.connections)

    @property
    def broken(self) -> int:
        return self._proxy.broken

    def open_store(self, *, wrong_key: bool = False) -> Store:
        return self._server.open_store(self._proxy.port, wrong_key=wrong_key)

    def strike(self, fault: FaultName) -> None:
        if fault in self._faults:
            self._proxy.inject(self._faults[fault])

    async def leave(self) -> None:
        await self._proxy.refuse()
        await asyncio.to_thread(self._server.process.kill)

    async def come_back(self) -> None:
        await asyncio.to_thread(self._server.process.start)
        self._proxy.target = self._server.port
        await self._proxy.accept()

    def fact(self, line: Line) -> bytes | None:
        return self._server.fact(line)

    def kept(self, meeting: str) -> list[bytes]:
        return self._server.kept(meeting)


@asynccontextmanager
async def behind_proxy(server: StoreServer) -> AsyncIterator[ServerTarget]:
    """Put a proxy of its own in front of a started server."""
    async with FaultProxy(server.port, server.begins, server.breaks) as proxy:
        yield ServerTarget(server, proxy)
