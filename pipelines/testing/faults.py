"""Trouble on command: what a double of a service does wrong, and for how many requests."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aiohttp import web


class FaultKind(StrEnum):
    """What goes wrong."""

    REFUSE = "refuse"
    """The connection is reset before there is an answer."""
    HANG = "hang"
    """The request is taken, and never answered."""
    STATUS = "status"
    """An HTTP error: 401, 429, 500..."""
    CUT = "cut"
    """The connection is reset in the middle of the answer, or of the sentence."""
    GARBAGE = "garbage"
    """The answer is none."""
    SLOW = "slow"
    """The answer is right, and late."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One request's trouble.

    Args:
        kind: What goes wrong.
        status: HTTP status of ``STATUS``.
        retry_after: Seconds in the ``Retry-After`` header of ``STATUS``, where it is sent.
        after: Results that still come before ``CUT``.
        seconds: How late ``SLOW`` is.
    """

    kind: FaultKind
    status: int = 500
    retry_after: float | None = None
    after: int = 1
    seconds: float = 2.0


REFUSE: Final = Fault(FaultKind.REFUSE)
HANG: Final = Fault(FaultKind.HANG)
GARBAGE: Final = Fault(FaultKind.GARBAGE)
WRONG_KEY: Final = Fault(FaultKind.STATUS, status=401)
UNAVAILABLE: Final = Fault(FaultKind.STATUS, status=503)

NOT_JSON: Final = "<html><body>502 Bad Gateway</body></html>"


def busy(retry_after: float | None = None) -> Fault:
    """Return HTTP 429."""
    return Fault(FaultKind.STATUS, status=429, retry_after=retry_after)


def cut(after: int = 1) -> Fault:
    """Return a connection that breaks after so many results."""
    return Fault(FaultKind.CUT, after=after)


def slow(seconds: float) -> Fault:
    """Return an answer that is late."""
    return Fault(FaultKind.SLOW, seconds=seconds)


class Faults:
    """The faults that are due, one for each request that comes."""

    def __init__(self) -> None:
        self._due: deque[Fault] = deque()
        self._always: Fault | None = None

    def add(self, times: int, fault: Fault) -> None:
        """Have the next ``times`` requests fail."""
        self._due.extend([fault] * times)

    def always(self, fault: Fault | None) -> None:
        """Have every request fail until it is called with None, which takes back all faults."""
        self._always = fault
        if fault is None:
            self._due.clear()

    def take(self) -> Fault | None:
        """Return the fault of the request that comes now."""
        return self._due.popleft() if self._due else self._always


def error(status: int, message: str, retry_after: float | None = None) -> web.Response:
    """Return an error as OpenAI words it; Deepgram's is read for its status only."""
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    return web.json_response({"error": {"message": message}}, status=status, headers=headers)


def reset(request: web.Request) -> None:
    """Break the connection."""
    if request.transport is not None:
        request.transport.abort()


async def spoil(request: web.Request, fault: Fault) -> web.Response | None:
    """Do what a fault does before the answer; return the answer where that is all there is."""
    match fault.kind:
        case FaultKind.REFUSE:
            reset(request)
            return web.Response()
        case FaultKind.STATUS:
            return error(fault.status, "told to fail", fault.retry_after)
        case FaultKind.SLOW:
            await asyncio.sleep(fault.seconds)
    return None


async def spoil_answer(request: web.Request, fault: Fault) -> web.Response | None:
    """Do what a fault does to an answer that is not streamed, once the request was read."""
    match fault.kind:
        case FaultKind.HANG:
            await hang(request)
            return web.Response()
        case FaultKind.CUT:
            reset(request)
            return web.Response()
        case FaultKind.GARBAGE:
            return web.Response(text=NOT_JSON, content_type="application/json")
    return None


async def hang(request: web.Request) -> None:
    """Return when the other side has gone away."""
    while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110 - aiohttp tells a handler of it by no event
        await asyncio.sleep(0.05)
