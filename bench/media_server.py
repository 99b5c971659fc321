"""A server of recordings that misbehaves where it is asked to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiohttp import web


class MediaServer:
    """Serves a directory, and what no directory has: redirects, and a length of 5 GB."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[MediaServer]:
        """Serve on the loopback address."""
        app = web.Application()
        app.router.add_get("/to", self._redirect)
        app.router.add_get("/circle", self._circle)
        app.router.add_get("/5-gb", self._claims)
        app.router.add_get("/breaks-off", self._breaks_off)
        app.router.add_get("/slow", self._slow)
        app.router.add_get("/status/{status}", self._status)
        app.router.add_static("/", self._directory)
        runner = web.AppRunner(app, shutdown_timeout=0.2)
        async with AsyncExitStack() as undo:
            await runner.setup()
            undo.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self

    async def _redirect(self, request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": request.query["url"]})

    async def _circle(self, _: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "/circle"})

    async def _claims(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": str(5 * 10**9)})
        await answer.prepare(request)
        await answer.write(b"\0" * 1000)
        return answer

    async def _breaks_off(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100000"})
        await answer.prepare(request)
        await answer.write(b"\0" * 1000)
        assert request.transport
        request.transport.abort()
        return answer

    async def _slow(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while request.transport and not request.transport.is_closing():
            await answer.write(b"\0" * 1000)
            await asyncio.sleep(0.1)
        return answer

    async def _status(self, request: web.Request) -> web.Response:
        return web.Response(status=int(request.match_info["status"]))


def refused_addresses(server: str) -> tuple[tuple[str, str, str], ...]:
    """Return name, address and code of the error of what is not to be fetched."""
    port = server.rpartition(":")[2]
    metadata = "http://169.254.169.254/latest/meta-data/"
    return (
        ("claims 5 GB", f"{server}/5-gb", "media_too_large"),
        ("redirect to a metadata service", f"{server}/to?url={metadata}", "media_refused"),
        (
            "redirect to a private name",
            f"{server}/to?url=http://localhost:{port}/",
            "media_refused",
        ),
        (
            "redirect to a mapped address",
            f"{server}/to?url=http://[::ffff:10.0.0.1]/",
            "media_refused",
        ),
        ("redirect to a number", f"{server}/to?url=http://2130706433:{port}/", "media_refused"),
        ("redirect to a file", f"{server}/to?url=file:///etc/passwd", "media_refused"),
        ("redirects in a circle", f"{server}/circle", "media_refused"),
        ("expired", f"{server}/status/403", "media_refused"),
        ("gone", f"{server}/status/404", "media_not_found"),
        ("in trouble", f"{server}/status/503", "media_unavailable"),
        ("breaks off", f"{server}/breaks-off", "media_unavailable"),
        ("never ends", f"{server}/slow", "media_unavailable"),
    )
