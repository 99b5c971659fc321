"""A language model on this machine that answers by a script: late, in a small context, one by one.

In a test::

    async with ScriptedLLM(answer, latency=2.0, context=8000, slots=8) as model:
        settings = Settings(llm_model="scripted", llm_base_url=model.url)
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from aiohttp import web

from pipelines.testing.counts import Counts
from pipelines.testing.faults import Faults, spoil
from pipelines.testing.openai_protocol import Chat, Reply, complete

# The pieces that GPT-2's tokenizer cuts a text into before it looks for pairs.
_PIECES: Final = re.compile(r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d{1,3}| ?(?:[^\w\s]|_)+|\s+")
_BYTES_PER_TOKEN: Final = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, times in seconds of the monotonic clock.

    Args:
        shape: Name of the answer's JSON Schema.
        prompt: Tokens of the request by the model's own count.
        arrived: When it came.
        began: When a slot was free for it.
        ended: When it was answered.
        refused: It was too long.
    """

    shape: str
    prompt: int
    arrived: float
    began: float
    ended: float
    refused: bool = False


class ScriptedLLM:
    """OpenAI's ``chat/completions``; an async context manager on the loopback address.

    Args:
        chat: Takes the body of a request, returns what the model answers.
        latency: Seconds that an answer takes.
        context: Tokens that a request and its answer may have; None is no limit.
        slots: Requests that are answered at the same time; the others wait. None is no limit.

    ``faults`` takes trouble, ``asked`` has what was asked, in the order of the answers.
    """

    def __init__(
        self,
        chat: Chat,
        *,
        latency: float = 0.0,
        context: int | None = None,
        slots: int | None = None,
    ) -> None:
        self.faults = Faults()
        self.asked: list[Asked] = []
        self._chat = chat
        self._latency = latency
        self._context = context
        self._slots = asyncio.Semaphore(slots or 10_000)
        self._port = 0
        self._undo = AsyncExitStack()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.2)
        await runner.setup()
        self._undo.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._port = int(runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._undo.aclose()

    @property
    def url(self) -> str:
        """For ``GREFFIER_LLM_BASE_URL``."""
        return f"http://127.0.0.1:{self._port}/v1"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        arrived = time.monotonic()
        body = await request.json()
        fault = self.faults.take()
        if fault and (spoilt := await spoil(request, fault)):
            return spoilt
        room = int(body.get("max_completion_tokens") or 1)
        asked = Asked(_shape(body), prompt_tokens(body), arrived, arrived, arrived)
        if self._context is not None and asked.prompt + room > self._context:
            self.asked.append(replace(asked, refused=True))
            return _too_long(self._context, asked.prompt + room)
        async with self._slots:
            began = time.monotonic()
            await asyncio.sleep(self._latency)
            reply = _cut(self._chat(body), room)
            answer = await complete(request, lambda _: reply, Counts(), fault)
        self.asked.append(replace(asked, began=began, ended=time.monotonic()))
        return answer


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """Count a request's tokens: messages and schema."""
    messages = sum(text_tokens(str(message.get("content"))) for message in body["messages"])
    return messages + text_tokens(json.dumps(body.get("response_format", "")))


def text_tokens(text: str) -> int:
    """Count a text's tokens: one for every four bytes of a piece, at least one."""
    pieces = (len(piece.encode()) for piece in _PIECES.findall(text))
    return sum(-(-size // _BYTES_PER_TOKEN) for size in pieces)


def depth(asked: Sequence[Asked]) -> int:
    """Return the most requests of which each came when the one before had been answered."""
    longest = 0
    chains: list[tuple[float, int]] = []
    for one in sorted(asked, key=lambda it: it.arrived):
        here = 1 + max((length for ended, length in chains if ended <= one.arrived), default=0)
        chains.append((one.ended, here))
        longest = max(longest, here)
    return longest


def _shape(body: Mapping[str, Any]) -> str:
    return str(body.get("response_format", {}).get("json_schema", {}).get("name", ""))


def _cut(reply: Reply, room: int) -> Reply:
    if text_tokens(reply.text) <= room:
        return reply
    return replace(reply, text=reply.text[: room * _BYTES_PER_TOKEN // 2], finish="length")


def _too_long(most: int, asked: int) -> web.Response:
    problem = {
        "message": f"This model's maximum context length is {most} tokens, not {asked}.",
        "code": "context_length_exceeded",
    }
    return web.json_response({"error": problem}, status=400)
