r"""A server on this machine that keeps lines as a back-end would: our own contract and MeetAI's.

It is a process of its own, that may be killed at any moment without losing what it acknowledged::

    python -m pipelines.testing.store_server --port 8090 --dir kept \
        --secret whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY= --meetai-secret handshake

``POST /lines``, ``GET /lines``
    Our own contract, ``docs/store.openapi.yaml``; each line is kept once.
``POST /api/agent-transcript``
    A MeetAI-style backend's; what comes is appended blindly, doubles and all.
``POST /faults``
    The next requests fail in a way that no network can; the body is a :class:`Fault`.

What it keeps is in its directory, in the form of :mod:`pipelines.testing.kept_lines`.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import os
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Final, Literal, Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from pipelines.testing.kept_lines import KeptLines, MeetaiPost, Page, Post

LISTENS: Final = "listening on "
"""Written to stdout, before the address, as soon as it takes requests."""

_MOST_BODY: Final = 1024 * 1024  # bytes, as nginx and aiohttp have it by default
_FOREVER: Final = 3600.0  # seconds; whoever waits has given up long before


class Fault(BaseModel):
    """What happens to the next ``count`` requests for lines, whichever contract they speak.

    ``status`` answers that status and keeps nothing; ``hang`` keeps nothing and does not answer;
    ``half`` keeps the first half of the batch and answers 500. The others keep the batch:
    ``slow`` answers after ``seconds``, ``cut`` closes the connection in place of an answer,
    ``die`` is SIGKILL in place of an answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["status", "hang", "half", "slow", "cut", "die"]
    count: int = Field(default=1, ge=1)
    status: int = Field(default=503, ge=200, le=599)
    seconds: float = Field(default=1.0, ge=0)


_NO_FAULT: Final = Fault(kind="slow", seconds=0.0)


class StoreServer:
    """The server, in this process: an async context manager.

    Args:
        directory: Takes what is kept; another server may have written to it before.
        secret: ``whsec_...`` of our own contract.
        meetai_secret: The MeetAI backend's ``INTERNAL_HANDSHAKE_SECRET``.
        port: Of the loopback address; 0 takes a free one.
        meetai_meetings: The meetings that the MeetAI backend knows; empty knows every one.
    """

    def __init__(
        self,
        directory: Path,
        *,
        secret: str,
        meetai_secret: str,
        port: int = 0,
        meetai_meetings: Sequence[str] = (),
    ) -> None:
        self.kept = KeptLines(directory)
        self.requests: list[str] = []
        """``webhook-id`` of each request for our own contract that was signed as it must be."""
        self._webhook = Webhook(secret)
        self._meetai_secret = meetai_secret
        self._port = port
        self._meetings = frozenset(meetai_meetings)
        self._faults: deque[Fault] = deque()
        self._writing = asyncio.Lock()
        self._undo = AsyncExitStack()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port``."""
        return f"http://127.0.0.1:{self._port}"

    def fail(self, fault: Fault) -> None:
        """Let the next requests fail; faults follow one another."""
        self._faults += [fault] * fault.count

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_MOST_BODY)
        app.router.add_post("/lines", self._post)
        app.router.add_get("/lines", self._get)
        app.router.add_post("/api/agent-transcript", self._post_meetai)
        app.router.add_post("/faults", self._order_faults)
        runner = web.AppRunner(app, shutdown_timeout=0.5)
        await runner.setup()
        self._undo.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", self._port)
        await site.start()
        self._port = int(runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._undo.aclose()

    async def _post(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        if not self._is_signed(request, body):
            return _error(HTTPStatus.UNAUTHORIZED, "not signed with the secret of this server")
        try:
            post = Post.model_validate_json(body)
        except ValidationError as error:
            return _error(HTTPStatus.BAD_REQUEST, _problems(error))

        async def keep(share: float) -> web.Response:
            await self.kept.add(post, share=share)
            return web.Response(status=HTTPStatus.NO_CONTENT)

        return await self._answer(request, keep)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        if not self._is_signed(request, f'"{request.rel_url.raw_query_string}"'):
            return _error(HTTPStatus.UNAUTHORIZED, "not signed with the secret of this server")
        try:
            page = Page.model_validate(dict(request.query))
        except ValidationError as error:
            return _error(HTTPStatus.BAD_REQUEST, _problems(error))

        async def read(_share: float) -> web.Response:
            return web.json_response(await self.kept.page(page))

        return await self._answer(request, read)

    async def _post_meetai(self, request: web.Request) -> web.StreamResponse:
        try:
            post = MeetaiPost.model_validate_json(await request.text())
        except ValidationError as error:
            return _error(HTTPStatus.BAD_REQUEST, _problems(error))
        if not hmac.compare_digest(post.secret.encode(), self._meetai_secret.encode()):
            return _error(HTTPStatus.UNAUTHORIZED, "Unauthorized")
        if self._meetings and post.meeting not in self._meetings:
            return _error(HTTPStatus.NOT_FOUND, "Meeting not found")

        async def keep(share: float) -> web.Response:
            stored = await self.kept.append_meetai(post, share=share)
            return web.json_response({"success": True, "stored": stored})

        return await self._answer(request, keep)

    async def _order_faults(self, request: web.Request) -> web.Response:
        try:
            self.fail(Fault.model_validate_json(await request.text()))
        except ValidationError as error:
            return _error(HTTPStatus.BAD_REQUEST, _problems(error))
        return web.Response(status=HTTPStatus.NO_CONTENT)

    def _is_signed(self, request: web.Request, payload: str) -> bool:
        try:
            self._webhook.verify(payload, dict(request.headers), json_parse=False)
        except (WebhookVerificationError, ValueError):  # the latter for what is no base64
            return False
        self.requests.append(request.headers["webhook-id"])
        return True

    async def _answer(
        self, request: web.Request, do: Callable[[float], Awaitable[web.Response]]
    ) -> web.StreamResponse:
        """Do what was asked for, unless the next fault has it otherwise."""
        fault = self._faults.popleft() if self._faults else _NO_FAULT
        if fault.kind == "status":
            return _error(fault.status, "told to fail")
        if fault.kind == "hang":
            await asyncio.sleep(_FOREVER)
        async with self._writing:  # One after the other: a retry's doubles are there to count.
            answer = await do(0.5 if fault.kind == "half" else 1.0)
        match fault.kind:
            case "half":
                return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "told to fail in the middle")
            case "slow":
                await asyncio.sleep(fault.seconds)
            case "cut":
                assert request.transport is not None
                request.transport.abort()
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
        return answer


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


def _problems(error: ValidationError) -> str:
    problems = error.errors(include_input=False, include_url=False)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems)


async def _serve(server: StoreServer) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with server:
        sys.stdout.write(f"{LISTENS}{server.url}\n")
        sys.stdout.flush()
        await stopped.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.testing.store_server",
        description=__doc__.partition("\n")[0],
        epilog=f"POST /faults takes a JSON object of kind, count, status, seconds. {Fault.__doc__}",
    )
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1; by default a free one")
    parser.add_argument("--dir", type=Path, required=True, help="takes what is kept")
    parser.add_argument("--secret", required=True, help="whsec_..., of our own contract")
    parser.add_argument("--meetai-secret", required=True, help="of the MeetAI backend")
    parser.add_argument(
        "--meetai-meeting",
        action="append",
        default=[],
        help="a meeting that the MeetAI backend knows; by default it knows every one",
    )
    given = parser.parse_args(arguments)
    asyncio.run(
        _serve(
            StoreServer(
                given.dir,
                secret=given.secret,
                meetai_secret=given.meetai_secret,
                port=given.port,
                meetai_meetings=given.meetai_meeting,
            )
        )
    )


if __name__ == "__main__":
    main()
