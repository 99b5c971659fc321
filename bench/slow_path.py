"""A TCP path that takes its time: every byte arrives some ms later, in order, both ways."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK = 1 << 16


class SlowPath:
    """Forwards to ``127.0.0.1:port``; an async context manager.

    LiveKit's signalling through it is late while media, which is UDP, is not.

    Args:
        port: Of the server.
        seconds: How late each byte is, each way.
    """

    def __init__(self, port: int, seconds: float) -> None:
        self._port = port
        self._seconds = seconds
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._idle = asyncio.Event()

    @property
    def url(self) -> str:
        """The address of LiveKit behind it."""
        assert self._server
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server
        self._server.close()
        while self._open:
            for writer in self._open:
                writer.transport.abort()
            self._idle.clear()
            await self._idle.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        there, answer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._forward(reader, answer))
                tasks.create_task(self._forward(there, writer))
        except* ConnectionError:
            pass  # Either side may go at any moment.
        finally:
            writer.close()
            answer.close()
            self._open.discard(writer)
            self._idle.set()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        now = asyncio.get_running_loop().time
        on_its_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, data = await on_its_way.get()
                await asyncio.sleep(due - now())
                if not data:
                    with suppress(OSError):
                        writer.write_eof()
                    return
                writer.write(data)
                await writer.drain()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(deliver())
            while True:
                data = await reader.read(_CHUNK)
                on_its_way.put_nowait((now() + self._seconds, data))
                if not data:
                    return
