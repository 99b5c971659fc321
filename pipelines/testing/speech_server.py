"""A server on this machine that speaks Deepgram's and OpenAI's transcription protocols."""

from __future__ import annotations

import asyncio
import json
import wave
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final, Self

from aiohttp import WSMsgType, web

RATE: Final = 16_000
_BYTES_PER_SECOND: Final = RATE * 2
SHORTEST: Final = 0.1
"""Seconds of audio that OpenAI takes at least."""
_INTERIM_EVERY: Final = 0.5


class SpeechServer:
    """Deepgram's streaming ``/v1/listen`` and OpenAI's ``POST /v1/audio/transcriptions``.

    An async context manager; listens on a free port of the loopback address.

    Args:
        hear: Takes int16 samples at 16,000 Hz, returns their text; runs on a thread.
        key: The only key that is accepted; empty accepts any.
        interims: Send Deepgram's interims, each 0.5 s of audio; every one calls ``hear``.
    """

    def __init__(
        self, hear: Callable[[bytes], str], *, key: str = "", interims: bool = False
    ) -> None:
        self.requests: list[dict[str, str]] = []
        """Query or form of each request that was answered, files left out."""
        self.refused = 0
        """How many requests were told to fail, or had another key."""
        self._hear = hear
        self._interims = interims
        self._key = key
        self._failures: list[int] = []
        self._break_after: float | None = None
        self._port = 0
        self._undo = AsyncExitStack()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_get("/v1/listen", self._listen)
        app.router.add_post("/v1/audio/transcriptions", self._transcriptions)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        self._undo.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
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

    def fail_next(self, count: int, status: int = 500) -> None:
        """Answer the next ``count`` requests with the HTTP status ``status``."""
        self._failures += [status] * count

    def break_next_after(self, seconds: float) -> None:
        """Cut the next streaming connection once it has taken ``seconds`` of audio."""
        self._break_after = seconds

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Return what is answered instead, where a fault is due or the key is wrong."""
        given = request.headers.get("Authorization", "").rpartition(" ")[2]
        if self._failures:
            refusal = _error(self._failures.pop(0), "told to fail")
        elif self._key and given != self._key:
            refusal = _error(401, f"Incorrect API key provided: {given}")  # as OpenAI does
        else:
            return None
        self.refused += 1
        return refusal

    async def _transcriptions(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        form = await request.post()
        upload = form["file"]
        if not isinstance(upload, web.FileField):
            return _error(400, "file is not a file")
        with wave.open(upload.file, "rb") as audio:
            if audio.getframerate() != RATE or audio.getnchannels() != 1:
                return _error(400, "not 16 kHz mono")
            pcm = audio.readframes(audio.getnframes())
        seconds = len(pcm) / _BYTES_PER_SECOND
        if seconds < SHORTEST:
            return _error(400, "Audio file is too short. Minimum audio length is 0.1 seconds.")
        fields = {key: value for key, value in form.items() if isinstance(value, str)}
        self.requests.append({**fields, "seconds": f"{seconds:.3f}"})
        text = await asyncio.to_thread(self._hear, pcm)
        if fields.get("response_format") != "verbose_json":
            return web.json_response({"text": text})
        return web.json_response(
            {"task": "transcribe", "language": "english", "duration": seconds, "text": text}
        )

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._refusal(request):
            return refusal
        self.requests.append({key: ",".join(request.query.getall(key)) for key in request.query})
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        pcm = bytearray()
        start = taken = shown = 0  # bytes
        async for message in socket:
            if message.type == WSMsgType.BINARY:
                pcm += message.data
                taken += len(message.data)
                if self._break_after is not None and _seconds(taken) >= self._break_after:
                    self._break_after = None
                    assert request.transport is not None
                    request.transport.abort()
                    break
                if self._interims and _seconds(taken - shown) >= _INTERIM_EVERY:
                    shown = taken
                    text = await asyncio.to_thread(self._hear, bytes(pcm))
                    await socket.send_json(
                        _results(text, _seconds(start), _seconds(taken), final=False)
                    )
            elif message.type == WSMsgType.TEXT:
                kind = json.loads(message.data)["type"]
                if kind in ("Finalize", "CloseStream") and pcm:
                    text = await asyncio.to_thread(self._hear, bytes(pcm))
                    await socket.send_json(
                        _results(text, _seconds(start), _seconds(taken), final=True)
                    )
                    pcm.clear()
                    start = shown = taken
                if kind == "CloseStream":
                    await socket.send_json({"type": "Metadata", "duration": _seconds(taken)})
                    break
        await socket.close()
        return socket


def _seconds(pcm: int) -> float:
    return pcm / _BYTES_PER_SECOND


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status)


def _results(text: str, start: float, end: float, *, final: bool) -> dict[str, Any]:
    words = text.split()
    each = (end - start) / max(1, len(words))
    timed = [
        {
            "word": word.lower(),
            "punctuated_word": word,
            "start": start + each * at,
            "end": start + each * (at + 1),
            "confidence": 1.0,
        }
        for at, word in enumerate(words)
    ]
    return {
        "type": "Results",
        "channel_index": [0, 1],
        "start": start,
        "duration": end - start,
        "is_final": final,
        "speech_final": final,
        "from_finalize": final,
        "metadata": {"request_id": "00000000-0000-0000-0000-000000000000"},
        "channel": {"alternatives": [{"transcript": text, "confidence": 1.0, "words": timed}]},
    }
