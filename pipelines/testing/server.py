"""A server on this machine that speaks Deepgram's and OpenAI's protocols, and fails on command.

In a test::

    async with SpeechServer() as server:
        engines = Engines(Settings(openai_base_url=server.openai_url))
        server.faults.add(3, faults.UNAVAILABLE)

As a process: :mod:`pipelines.testing.speech_server`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Self

from aiohttp import web

from pipelines.testing import coded_speech
from pipelines.testing.coded_speech import Word
from pipelines.testing.counts import Counts
from pipelines.testing.deepgram_protocol import Utterance, in_thread, listen, listen_to_file
from pipelines.testing.faults import Fault, FaultKind, Faults, error, spoil
from pipelines.testing.openai_protocol import (
    Chat,
    Voice,
    complete,
    echo,
    one_voice,
    transcribe,
)

_Answer = Callable[[web.Request, Fault | None], Awaitable[web.StreamResponse]]


class SpeechServer:
    """Deepgram's ``/v1/listen``, OpenAI's ``audio/transcriptions`` and ``chat/completions``.

    An async context manager; listens on the loopback address.

    Args:
        hear: Takes int16 samples at 16,000 Hz, returns their text or their timed words; runs on a
            thread. By default it hears coded speech, see :mod:`pipelines.testing.coded_speech`.
        chat: Answers chat completions; by default with the last message.
        voice: Tells the voice of a word, for answers in which voices are told apart.
        key: The only key that is accepted; empty accepts any.
        interims: Send Deepgram's interims, each 0.5 s of audio; every one calls ``hear``.
        settles: Settle words while they are said, each 3 s of audio; else at the end only.
        port: Port to listen on; 0 takes a free one.

    ``faults`` takes trouble, ``counts`` holds what was seen.
    """

    def __init__(
        self,
        hear: Callable[[bytes], str | Sequence[Word]] = coded_speech.hear,
        *,
        chat: Chat = echo,
        voice: Voice = one_voice,
        key: str = "",
        interims: bool = False,
        settles: bool = False,
        port: int = 0,
    ) -> None:
        self.faults = Faults()
        self.counts = Counts()
        self._recognise = partial(in_thread, hear)
        self._chat = chat
        self._voice = voice
        self._interims = interims
        self._settles = settles
        self._key = key
        self._port = port
        self._undo = AsyncExitStack()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_get("/v1/listen", self._answering(self._listen))
        app.router.add_post("/v1/listen", self._answering(self._listen_to_file))
        app.router.add_post("/v1/audio/transcriptions", self._answering(self._transcribe))
        app.router.add_post("/v1/chat/completions", self._answering(self._complete))
        app.router.add_post("/faults", self._add_faults)
        app.router.add_get("/counts", self._show_counts)
        runner = web.AppRunner(app, shutdown_timeout=0.2)
        await runner.setup()
        self._undo.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", self._port)
        await site.start()
        self._port = int(runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._undo.aclose()

    @property
    def deepgram_url(self) -> str:
        """For ``GREFFIER_DEEPGRAM_BASE_URL``."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def openai_url(self) -> str:
        """For ``GREFFIER_OPENAI_BASE_URL``."""
        return f"http://127.0.0.1:{self._port}/v1"

    def _answering(self, answer: _Answer) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            given = request.headers.get("Authorization", "").rpartition(" ")[2]
            fault = self.faults.take()
            if fault is None and self._key and given != self._key:
                self.counts.refused += 1
                return error(401, f"Incorrect API key provided: {given}")  # as OpenAI does
            if fault is not None:
                self.counts.refused += 1
                if spoilt := await spoil(request, fault):
                    return spoilt
            return await answer(request, fault)

        return handle

    async def _listen(self, request: web.Request, fault: Fault | None) -> web.StreamResponse:
        query = {key: ",".join(request.query.getall(key)) for key in request.query}
        self.counts.requests.append(query)
        utterance = Utterance(self._recognise, interims=self._interims, settles=self._settles)
        return await listen(request, utterance, self.counts, fault)

    async def _listen_to_file(self, request: web.Request, fault: Fault | None) -> web.Response:
        self.counts.requests.append(dict(request.query))
        return await listen_to_file(request, self._recognise, self.counts, fault)

    async def _transcribe(self, request: web.Request, fault: Fault | None) -> web.Response:
        return await transcribe(request, self._recognise, self.counts, fault, self._voice)

    async def _complete(self, request: web.Request, fault: Fault | None) -> web.StreamResponse:
        return await complete(request, self._chat, self.counts, fault)

    async def _add_faults(self, request: web.Request) -> web.Response:
        """``{"kind": ..., "times": n}`` and the fields of a fault; no ``kind`` takes all back."""
        try:
            asked = await request.json()
            times = int(asked.pop("times", 1))
            kind = asked.pop("kind", None)
            fault = Fault(FaultKind(kind), **asked) if kind else None
        except (TypeError, ValueError) as problem:
            return error(400, str(problem))
        if fault is None:
            self.faults.always(None)
        elif times < 0:
            self.faults.always(fault)
        else:
            self.faults.add(times, fault)
        return web.json_response({})

    async def _show_counts(self, _: web.Request) -> web.Response:
        return web.json_response(self.counts.as_dict())
