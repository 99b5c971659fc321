"""A TCP proxy in front of a real server that breaks a request at a named place, on command.

It knows one thing about the protocol: how a request begins. What the client sends from there to
the server's answer is one request, so it serves HTTP and Redis alike, and a signature stays valid,
since no byte is changed.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self

FaultKind = Literal[
    "before_send",  # reset before a byte of the request is forwarded
    "mid_body",  # reset after three quarters of the request are forwarded
    "after_commit",  # the server has done it; its reply is swallowed, then reset
    "status",  # the proxy replies in the server's place; nothing is forwarded
    "slow",  # the reply is held back for a while
    "hang",  # the server has done it; nobody ever replies
]

HTTP_WRITE: Final = re.compile(rb"(?:POST|PUT|DELETE) ")
"""How a request that changes something begins, in HTTP."""

REDIS_WRITE: Final = re.compile(rb"\*\d+\r\n\$\d+\r\n(?:EVAL|FCALL|XADD|MULTI)", re.IGNORECASE)
"""The same in Redis' protocol; what a client says when it connects is none."""

UNAVAILABLE: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)
LOADING: Final = b"-LOADING Redis is loading the dataset in memory\r\n"

_CHUNK: Final = 1 << 16
_QUIET: Final = 0.05
"""Seconds without a byte after which a request, or a reply, is taken to be complete."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the next request.

    Args:
        kind: Where it breaks.
        seconds: How long the reply is held back, of ``slow``.
        reply: What the proxy answers, of ``status``.
    """

    kind: FaultKind
    seconds: float = 0.0
    reply: bytes = UNAVAILABLE


class FaultProxy:
    """Forwards to ``127.0.0.1:port``; an async context manager.

    Args:
        port: The real server's; may be set anew when the server has another one.
        begins: What a request begins with; only those are counted.
        breaks: What a request begins with that a fault may meet; by default every one counted.
    """

    def __init__(
        self, port: int, begins: re.Pattern[bytes], breaks: re.Pattern[bytes] | None = None
    ) -> None:
        self.target = port
        self.port = 0
        self.requests = 0
        """Requests seen so far, those that were broken included."""
        self.broken = 0
        """Requests that met a fault."""
        self.connections = 0
        """Connections taken so far."""
        self._begins = begins
        self._breaks = breaks or begins
        self._faults: deque[Fault] = deque()
        self._server: asyncio.Server | None = None
        self._open: set[_Connection] = set()

    def inject(self, fault: Fault, *, times: int = 1) -> None:
        """Break the next ``times`` requests, after those that are already to be broken."""
        self._faults.extend([fault] * times)

    async def refuse(self) -> None:
        """Cut every connection and refuse new ones, as a machine whose server is gone."""
        if self._server is not None:
            self._server.close()
            for connection in list(self._open):
                connection.cut()
            await self._server.wait_closed()
            self._server = None

    async def accept(self) -> None:
        """Take connections, on the same port as before."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self._server = server
        self.port = int(server.sockets[0].getsockname()[1])

    def fault_of(self, begin: bytes) -> Fault | None:
        """Count the request that begins like this; return its fault, if it is to have one."""
        if not self._begins.match(begin):
            return None
        self.requests += 1
        if not self._faults or not self._breaks.match(begin):
            return None
        self.broken += 1
        return self._faults.popleft()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = _Connection(reader, writer)
        self._open.add(connection)
        try:
            await connection.forward(self.target, self.fault_of)
        except* OSError:
            pass  # Either side may vanish at any moment: that is what this proxy is for.
        finally:
            self._open.discard(connection)
            connection.cut()

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.refuse()
        while self._open:  # noqa: ASYNC110 - those that are cut end in the next turns of the loop
            await asyncio.sleep(0.01)


class _OverError(OSError):
    """One side has closed, or the connection met its fault: the other direction ends too."""


class _Connection:
    """One client, and the server's side opened for it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._writers = [writer]
        self._fault: Fault | None = None
        self._answered = True

    async def forward(self, port: int, fault_of: Callable[[bytes], Fault | None]) -> None:
        """Carry both directions until one side closes or a fault cuts them.

        Raises:
            OSError: That is how it ends, alone or in a group.
        """
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
        self._writers.append(server_writer)
        async with asyncio.TaskGroup() as directions:
            directions.create_task(self._requests(server_writer, fault_of))
            directions.create_task(self._replies(server_reader))

    def cut(self) -> None:
        """Reset both sides: the peer sees an error, not an end in good order."""
        for writer in self._writers:
            sock = writer.get_extra_info("socket")
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _requests(
        self, server: asyncio.StreamWriter, fault_of: Callable[[bytes], Fault | None]
    ) -> None:
        while data := await self._reader.read(_CHUNK):
            if self._answered:
                self._answered, self._fault = False, fault_of(data)
            match self._fault:
                case Fault("before_send"):
                    raise _OverError
                case Fault("mid_body"):
                    data += await _read_until_quiet(self._reader)
                    server.write(data[: len(data) * 3 // 4])
                    await server.drain()
                    await asyncio.sleep(_QUIET)  # The server reads it before it is cut off.
                    raise _OverError
                case Fault("status", reply=reply):
                    await self._reply_instead(reply)
            server.write(data)
            await server.drain()
        raise _OverError

    async def _replies(self, server: asyncio.StreamReader) -> None:
        while data := await server.read(_CHUNK):
            match self._fault:
                case Fault("after_commit"):
                    await _read_until_quiet(server)
                    raise _OverError
                case Fault("hang"):
                    continue
                case Fault("slow", seconds=seconds):
                    self._fault = None
                    await asyncio.sleep(seconds)
            self._answered = True
            self._writer.write(data)
            await self._writer.drain()
        raise _OverError

    async def _reply_instead(self, reply: bytes) -> None:
        await _read_until_quiet(self._reader)
        self._writer.write(reply)
        await self._writer.drain()
        # Closed by the client when it has read it; a reset could take it away before.
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while await self._reader.read(_CHUNK):
                    pass
        raise _OverError


async def _read_until_quiet(reader: asyncio.StreamReader) -> bytes:
    read = b""
    with suppress(TimeoutError):
        while data := await asyncio.wait_for(reader.read(_CHUNK), _QUIET):
            read += data
    return read
