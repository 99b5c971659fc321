"""Deepgram's ``/v1/listen`` as LiveKit's plugin uses it: streaming and whole files."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from aiohttp import WSMsgType, web

from pipelines.testing.coded_speech import RATE, Word
from pipelines.testing.counts import Counts, Socket
from pipelines.testing.faults import NOT_JSON, Fault, FaultKind, reset, spoil_answer

BYTES_PER_SECOND: Final = RATE * 2
INTERIM_EVERY: Final = 0.5
"""Seconds of audio."""
SETTLE_EVERY: Final = 3.0
"""Seconds of audio after which what is certain is settled."""
UNCERTAIN: Final = 0.3
"""Seconds at the end of the audio in which a word may not be complete."""

Recognise = Callable[[bytes], Awaitable[Sequence[Word]]]
_REQUEST: Final = "00000000-0000-0000-0000-000000000000"


class Utterance:
    """One streaming connection: audio in, results out.

    Args:
        recognise: Finds the words in audio.
        interims: Show words while they are said.
        settles: Settle them while they are said; else only when told to.
    """

    def __init__(self, recognise: Recognise, *, interims: bool, settles: bool) -> None:
        self._recognise = recognise
        self._interims = interims
        self._settles = settles
        self._pcm = bytearray()
        self._start = self._taken = self._shown = 0  # bytes

    @property
    def seconds(self) -> float:
        """Length of the audio so far."""
        return self._taken / BYTES_PER_SECOND

    async def take(self, pcm: bytes) -> dict[str, Any] | None:
        """Take audio; return an interim or a final where one is due."""
        self._pcm += pcm
        self._taken += len(pcm)
        if self._taken - self._shown < INTERIM_EVERY * BYTES_PER_SECOND:
            return None
        settle = self._settles and len(self._pcm) >= SETTLE_EVERY * BYTES_PER_SECOND
        if not settle and not self._interims:
            return None
        self._shown = self._taken
        words = await self._recognise(bytes(self._pcm))
        if not settle:
            return self._result(words, self._taken, final=False)
        certain = len(self._pcm) / BYTES_PER_SECOND - UNCERTAIN
        settled = [word for word in words if word.end <= certain]
        until = round((settled[-1].end if settled else certain) * RATE) * 2
        return self._settle(settled, self._start + until)

    async def finish(self) -> dict[str, Any] | None:
        """Settle all that was taken; None where that is nothing."""
        if not self._pcm:
            return None
        return self._settle(await self._recognise(bytes(self._pcm)), self._taken)

    def _settle(self, words: Sequence[Word], until: int) -> dict[str, Any]:
        result = self._result(words, until, final=True)
        del self._pcm[: until - self._start]
        self._start, self._shown = until, self._taken
        return result

    def _result(self, words: Sequence[Word], until: int, *, final: bool) -> dict[str, Any]:
        begin = self._start / BYTES_PER_SECOND
        timed = [replace(word, start=begin + word.start, end=begin + word.end) for word in words]
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "start": begin,
            "duration": until / BYTES_PER_SECOND - begin,
            "is_final": final,
            "speech_final": final,
            "from_finalize": final,
            "metadata": {"request_id": _REQUEST},
            "channel": {"alternatives": [alternative(timed)]},
        }


def alternative(words: Sequence[Word]) -> dict[str, Any]:
    """Return words as an alternative of Deepgram's."""
    return {
        "transcript": " ".join(word.text for word in words),
        "confidence": 1.0,
        "words": [
            {
                "word": word.text.lower(),
                "punctuated_word": word.text,
                "start": word.start,
                "end": word.end,
                "confidence": 1.0,
            }
            for word in words
        ],
    }


async def listen(
    request: web.Request, utterance: Utterance, counts: Counts, fault: Fault | None
) -> web.StreamResponse:
    """Serve one streaming connection."""
    kind = fault.kind if fault else None
    left = fault.after if fault and kind is FaultKind.CUT else None
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    with Socket(counts):
        async for message in socket:
            results: list[dict[str, Any]] = []
            closing = False
            if message.type == WSMsgType.BINARY:
                counts.take(message.data, len(message.data) / BYTES_PER_SECOND)
                if result := await utterance.take(message.data):
                    results.append(result)
            elif message.type == WSMsgType.TEXT:
                told = json.loads(message.data)["type"]
                closing = told == "CloseStream"
                if told in ("Finalize", "CloseStream") and (result := await utterance.finish()):
                    results.append(result)
            if kind is FaultKind.HANG:
                continue  # Until the other side goes away.
            for result in results:
                if left == 0:
                    reset(request)
                    return socket
                left = None if left is None else left - 1
                await _answer(socket, result, counts, garbage=kind is FaultKind.GARBAGE)
            if closing:
                await _answer(socket, _metadata(utterance), counts, garbage=False)
                break
        await socket.close()
    return socket


async def _answer(
    socket: web.WebSocketResponse, message: dict[str, Any], counts: Counts, *, garbage: bool
) -> None:
    if garbage:
        await socket.send_str(NOT_JSON)
        return
    if message.get("is_final"):
        counts.words += message["channel"]["alternatives"][0]["transcript"].split()
    await socket.send_json(message)


async def listen_to_file(
    request: web.Request, recognise: Recognise, counts: Counts, fault: Fault | None
) -> web.Response:
    """Answer a whole file."""
    pcm = read_wav(await request.read())
    counts.take(pcm, len(pcm) / BYTES_PER_SECOND)
    if fault and (spoilt := await spoil_answer(request, fault)):
        return spoilt
    words = await recognise(pcm)
    counts.words += [word.text for word in words]
    channel = {"alternatives": [alternative(words)]}
    return web.json_response(
        {
            "metadata": {"request_id": _REQUEST, "duration": len(pcm) / BYTES_PER_SECOND},
            "results": {"channels": [channel]},
        }
    )


def read_wav(data: bytes) -> bytes:
    """Return the samples of a WAV file.

    Raises:
        ValueError: It is not 16 kHz mono.
    """
    with wave.open(io.BytesIO(data), "rb") as audio:
        if audio.getframerate() != RATE or audio.getnchannels() != 1:
            raise ValueError("not 16 kHz mono")
        return audio.readframes(audio.getnframes())


def _metadata(utterance: Utterance) -> dict[str, Any]:
    return {"type": "Metadata", "request_id": _REQUEST, "duration": utterance.seconds}


async def in_thread(hear: Callable[[bytes], str | Sequence[Word]], pcm: bytes) -> Sequence[Word]:
    """Call ``hear`` on a thread; words that it gives as text are spread over the audio evenly."""
    heard = await asyncio.to_thread(hear, pcm)
    if not isinstance(heard, str):
        return heard
    texts = heard.split()
    each = len(pcm) / BYTES_PER_SECOND / max(1, len(texts))
    return [Word(text, each * at, each * (at + 1)) for at, text in enumerate(texts)]
