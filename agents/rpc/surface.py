"""Answers our RPC methods: checks the size, the rate, the role and the payload of every call.

A hidden agent's answer holds 15 KB only; a longer one goes as a text stream to the caller alone,
and the answer names the stream by its attribute ``greffier.request``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import uuid4

from livekit import rtc
from pydantic import ValidationError

from agents.meeting import Desk
from agents.plugin import RpcCall
from agents.rpc.callers import Caller, Callers
from agents.rpc.errors import Code, RpcProblem
from agents.rpc.limits import LONGEST_QUEUE, Limits, Pace
from agents.rpc.messages import Streamed
from agents.rpc.method import Rep, Req, RpcMethod
from agents.rpc.stepwise import stepwise

log = logging.getLogger(__name__)

REQUEST: Final = "greffier.request"

MAX_REQUEST: Final = 64 * 1024
"""Bytes of a payload: the arguments of a tool and room to spare."""

MAX_HIDDEN_REPLY: Final = 15_000
"""Bytes of an answer; of a hidden agent LiveKit carries 15,360."""

MAX_SENTENCE: Final = 250
"""Characters of an error's message: LiveKit cuts at 256 bytes."""

Handler = Callable[[Caller, Req], Awaitable[Rep]]


class RpcSurface:
    """The RPC methods of one meeting, in the job's loop; all of them end with :meth:`close`.

    Args:
        desk: The meeting.
        callers: Tells who calls.
        hidden: Whether the agent is hidden.
    """

    def __init__(self, desk: Desk, callers: Callers, *, hidden: bool) -> None:
        self._desk = desk
        self._callers = callers
        self._hidden = hidden
        self._limits = Limits()
        self._pace = Pace()
        self._queue = asyncio.Lock()
        self._owners: set[str] = set()

    def serve(self, owner: str, method: RpcMethod[Req, Rep], handler: Handler[Req, Rep]) -> None:
        """Answer calls of ``method`` with ``handler``, which may raise :class:`RpcProblem`.

        The call is cancelled when the caller waits no longer: what must be finished is not the
        handler's to do.

        Raises:
            ValueError: The method is served already.
        """

        async def answer(call: RpcCall) -> str:
            try:
                _check_size(call.payload)
                await self._turn(call.caller, method)
                return await stepwise(self._answer(call, method, handler), self._spent)
            except RpcProblem as problem:
                told = problem
            except Exception as error:
                # Its message may quote speech or a secret: only its kind is logged and told.
                cause = {"method": method.name, "cause": type(error).__name__}
                log.error("RPC call failed", extra=cause)
                told = RpcProblem(Code.INTERNAL, "Something went wrong here; try again.")
            raise rtc.RpcError(told.code, told.sentence[:MAX_SENTENCE], told.encode()) from None

        self._desk.register_rpc(owner, method.name, answer)
        self._owners.add(owner)

    def close(self) -> None:
        """Answer no more calls."""
        for owner in self._owners:
            self._desk.unregister_rpc(owner)
        self._owners.clear()

    async def _answer(
        self, call: RpcCall, method: RpcMethod[Req, Rep], handler: Handler[Req, Rep]
    ) -> str:
        caller = await self._caller(call.caller, method)
        reply = await handler(caller, _request(method, call.payload))
        return await self._encoded(call.caller, method, reply.model_dump_json())

    async def _turn(self, caller: str, method: RpcMethod[Any, Any]) -> None:
        """Return when the call may be taken: not more often than its rate, not all at once."""
        again = self._limits.take(caller, method.name, method.rate, now=_now())
        if again:
            raise _too_often(round(again, 1))
        try:
            async with asyncio.timeout(LONGEST_QUEUE), self._queue:
                await asyncio.sleep(self._pace.wait(_now()))
                self._pace.took(_now())
        except TimeoutError:
            raise _too_often(1.0) from None

    def _spent(self, seconds: float) -> None:
        self._pace.spent(seconds, _now())

    async def _caller(self, identity: str, method: RpcMethod[Any, Any]) -> Caller:
        caller = await self._callers.seen(identity)
        if not method.admits(caller.role, self._callers.least(method.name)):
            raise RpcProblem(
                Code.FORBIDDEN,
                f"Your role in this meeting, {caller.role}, may not do this.",
                role=caller.role,
            )
        return caller

    async def _encoded(self, caller: str, method: RpcMethod[Any, Any], reply: str) -> str:
        if not self._hidden or len(reply.encode()) <= MAX_HIDDEN_REPLY:
            return reply
        stream = uuid4().hex
        await self._desk.rtc_room.local_participant.send_text(
            reply,
            topic=method.topic,
            destination_identities=[caller],
            attributes={REQUEST: stream},
        )
        return Streamed(stream=stream).model_dump_json()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _check_size(payload: str) -> None:
    # A character is a byte at least: what is too long is not even encoded.
    if len(payload) > MAX_REQUEST or len(payload.encode()) > MAX_REQUEST:
        raise RpcProblem(
            Code.TOO_LARGE,
            f"A request holds at most {MAX_REQUEST // 1024} KB.",
            most=MAX_REQUEST,
        )


def _too_often(seconds: float) -> RpcProblem:
    sentence = f"That was too often; try again in {seconds or 0.1:g} s."
    return RpcProblem(Code.RATE_LIMITED, sentence, retry_after=seconds or 0.1)


def _request(method: RpcMethod[Req, Any], payload: str) -> Req:
    try:
        return method.request.model_validate_json(payload or "{}")
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(map(str, problem["loc"])) or "payload"
        if field == "version":
            raise RpcProblem(
                Code.UNSUPPORTED_VERSION,
                f"{method.name}: this agent speaks version 1.",
                versions=[1],
            ) from None
        sentence = f"{method.name}: {field}: {problem['msg']}"
        raise RpcProblem(Code.BAD_REQUEST, sentence, field=field) from None
