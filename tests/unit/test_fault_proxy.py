"""The proxy breaks a request where it is told, and says nothing false about the others."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from bench.fault_proxy import UNAVAILABLE, Fault, FaultProxy

REQUEST = b"PUT " + b"x" * 396 + b"\n"
LEAST = 0.05  # seconds


@dataclass
class LineServer:
    """Answers every whole line with ``done``; keeps what reached it, in pieces too."""

    port: int = 0
    done: int = 0
    received: bytearray = field(default_factory=bytearray)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                self.received += data
                if self.received.endswith(b"\n"):
                    self.done += 1
                    writer.write(b"done\n")
        except ConnectionResetError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[LineServer]:
    lines = LineServer()
    listening = await asyncio.start_server(lines.serve, "127.0.0.1", 0)
    lines.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield lines


@pytest.fixture
async def proxy(server: LineServer) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(server.port, re.compile(b"PUT ")) as proxy:
        yield proxy


async def ask(proxy: FaultProxy, request: bytes = REQUEST) -> bytes:
    """Send one request on a connection of its own and return what came back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(1000), 2.0)
    finally:
        writer.close()


async def test_without_a_fault_requests_pass_and_are_counted(
    proxy: FaultProxy, server: LineServer
) -> None:
    assert await ask(proxy) == b"done\n"
    assert (proxy.requests, proxy.broken, bytes(server.received)) == (1, 0, REQUEST)


async def test_before_send_nothing_reaches_the_server(
    proxy: FaultProxy, server: LineServer
) -> None:
    proxy.inject(Fault("before_send"))
    with pytest.raises(ConnectionResetError):
        await ask(proxy)
    assert server.received == b""


async def test_mid_body_a_part_reaches_the_server(proxy: FaultProxy, server: LineServer) -> None:
    proxy.inject(Fault("mid_body"))
    with pytest.raises(ConnectionResetError):
        await ask(proxy)
    assert 0 < len(server.received) < len(REQUEST)
    assert server.done == 0


async def test_after_commit_the_server_has_done_it_and_the_client_does_not_know(
    proxy: FaultProxy, server: LineServer
) -> None:
    proxy.inject(Fault("after_commit"))
    with pytest.raises(ConnectionResetError):
        await ask(proxy)
    assert server.done == 1


async def test_a_status_is_the_proxys_own_answer(proxy: FaultProxy, server: LineServer) -> None:
    proxy.inject(Fault("status"))
    assert await ask(proxy) == UNAVAILABLE
    assert server.received == b""


async def test_a_slow_reply_comes_whole(proxy: FaultProxy) -> None:
    proxy.inject(Fault("slow", seconds=LEAST))
    began = asyncio.get_running_loop().time()
    assert await ask(proxy) == b"done\n"
    assert asyncio.get_running_loop().time() - began >= LEAST


async def test_a_hanging_request_is_done_and_never_answered(
    proxy: FaultProxy, server: LineServer
) -> None:
    proxy.inject(Fault("hang"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5 * LEAST):
            await ask(proxy)
    assert server.done == 1


async def test_a_fault_waits_for_a_request_of_its_kind_and_is_used_up(
    proxy: FaultProxy, server: LineServer
) -> None:
    proxy.inject(Fault("before_send"))
    assert await ask(proxy, b"HELLO\n") == b"done\n"
    with pytest.raises(ConnectionResetError):
        await ask(proxy)
    assert await ask(proxy) == b"done\n"
    assert (proxy.requests, proxy.broken, server.done) == (2, 1, 2)


async def test_while_it_refuses_nobody_gets_through_and_then_on_the_same_port(
    proxy: FaultProxy,
) -> None:
    reader, _ = await asyncio.open_connection("127.0.0.1", proxy.port)
    await proxy.refuse()
    with pytest.raises(ConnectionResetError):
        await reader.read(1)
    with pytest.raises(ConnectionRefusedError):
        await ask(proxy)
    await proxy.accept()
    assert await ask(proxy) == b"done\n"
