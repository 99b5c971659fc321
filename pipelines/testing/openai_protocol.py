"""OpenAI's transcriptions and chat completions, as their clients use them; WhisperX's answers."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from pipelines.testing.audio_upload import read_upload
from pipelines.testing.coded_speech import Word
from pipelines.testing.counts import Counts
from pipelines.testing.deepgram_protocol import BYTES_PER_SECOND, Recognise
from pipelines.testing.faults import Fault, FaultKind, error, reset, spoil_answer

SHORTEST: Final = 0.1
"""Seconds of audio that OpenAI takes at least."""

_UNITS: Final = ("timestamp_granularities", "timestamp_granularities[]")
_PAUSE: Final = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model answers.

    Args:
        text: Its words; may be empty beside tool calls.
        tools: The tools that it calls: names and arguments; as text, they are sent as they are,
            for a model that writes no JSON.
        refusal: Why it will not answer, where it will not.
        finish: Why it stopped, where that is none of the usual: ``length``, ``content_filter``.
    """

    text: str = ""
    tools: Sequence[tuple[str, Mapping[str, Any] | str]] = ()
    refusal: str = ""
    finish: str = ""


Chat = Callable[[Mapping[str, Any]], Reply]
"""Takes the body of a request, returns what the model answers."""


def echo(body: Mapping[str, Any]) -> Reply:
    """Answer with the last message."""
    content = body["messages"][-1].get("content") or ""
    if not isinstance(content, str):
        content = " ".join(part.get("text", "") for part in content)
    return Reply(content)


Voice = Callable[[Word], str | None]
"""Takes a word, returns the label of the voice that said it."""


def one_voice(_: Word) -> str:
    """Take everything for one voice's."""
    return "SPEAKER_00"


async def transcribe(
    request: web.Request,
    recognise: Recognise,
    counts: Counts,
    fault: Fault | None,
    voice: Voice = one_voice,
) -> web.Response:
    """Answer ``POST /v1/audio/transcriptions``; ``diarized_json`` as WhisperX does."""
    form = await request.post()
    upload = form["file"]
    try:
        if not isinstance(upload, web.FileField):
            raise TypeError("file is not a file")  # noqa: TRY301 - answered below
        pcm = read_upload(upload.file.read())
    except (TypeError, ValueError) as problem:
        return error(400, str(problem))
    seconds = len(pcm) / BYTES_PER_SECOND
    if seconds < SHORTEST:
        return error(400, "Audio file is too short. Minimum audio length is 0.1 seconds.")
    counts.take(pcm, seconds)
    fields = {key: value for key, value in form.items() if isinstance(value, str)}
    counts.requests.append({**fields, "seconds": f"{seconds:.3f}"})
    if fault and (spoilt := await spoil_answer(request, fault)):
        return spoilt
    words = await recognise(pcm)
    counts.words += [word.text for word in words]
    units = {str(one) for name in _UNITS for one in form.getall(name, ())}
    answer_format = fields.get("response_format", "json")
    return web.json_response(_transcription(words, answer_format, units, seconds, voice))


def _transcription(
    words: Sequence[Word],
    answer_format: str,
    units: Container[str],
    seconds: float,
    voice: Voice,
) -> dict[str, Any]:
    text = {"text": " ".join(word.text for word in words)}
    segments = [_segment(run, voice) for run in _runs(words, voice)]
    if answer_format == "diarized_json":  # WhisperX
        return {"segments": segments, "word_segments": [w for s in segments for w in s["words"]]}
    if answer_format != "verbose_json":
        return text
    more: dict[str, Any] = {"task": "transcribe", "language": "english", "duration": seconds}
    if "segment" in units:
        kept = ("start", "end", "text")
        more["segments"] = [{key: one[key] for key in kept} for one in segments]
    if "word" in units:
        more["words"] = [_times(word) for word in words]
    return {**more, **text}


def _runs(words: Sequence[Word], voice: Voice) -> list[list[Word]]:
    """Part words where the voice changes or is silent."""
    runs: list[list[Word]] = []
    for word in words:
        last = runs[-1][-1] if runs else None
        if last and voice(last) == voice(word) and word.start - last.end < _PAUSE:
            runs[-1].append(word)
        else:
            runs.append([word])
    return runs


def _segment(words: Sequence[Word], voice: Voice) -> dict[str, Any]:
    return {
        "start": words[0].start,
        "end": words[-1].end,
        "text": " ".join(word.text for word in words),
        "speaker": voice(words[0]),
        "words": [{**_times(word), "score": 1.0, "speaker": voice(word)} for word in words],
    }


def _times(word: Word) -> dict[str, Any]:
    return {"word": word.text, "start": word.start, "end": word.end}


async def complete(
    request: web.Request, chat: Chat, counts: Counts, fault: Fault | None
) -> web.StreamResponse:
    """Answer ``POST /v1/chat/completions``, whole or as server-sent events."""
    body = await request.json()
    counts.requests.append({"model": str(body.get("model", "")), "stream": str(body.get("stream"))})
    cut = fault is not None and fault.kind is FaultKind.CUT
    streamed = bool(body.get("stream"))
    if fault and not (cut and streamed) and (spoilt := await spoil_answer(request, fault)):
        return spoilt
    reply = await asyncio.to_thread(chat, body)
    if streamed:
        return await _stream(request, body, reply, fault.after if fault and cut else None)
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
    if reply.refusal:
        message["refusal"] = reply.refusal
    if reply.tools:
        message["tool_calls"] = [_call(*tool) for tool in reply.tools]
    choice = {"index": 0, "message": message, "finish_reason": _finish(reply)}
    return web.json_response(
        {**_head(body, "chat.completion"), "choices": [choice], "usage": _usage(body, reply)}
    )


async def _stream(
    request: web.Request, body: Mapping[str, Any], reply: Reply, cut_after: int | None
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    head = _head(body, "chat.completion.chunk")
    for sent, delta in enumerate(_deltas(reply)):
        if sent == cut_after:
            reset(request)
            return response
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        await _event(response, {**head, "choices": [choice]})
    last = {"index": 0, "delta": {}, "finish_reason": _finish(reply)}
    await _event(response, {**head, "choices": [last]})
    if (body.get("stream_options") or {}).get("include_usage"):
        await _event(response, {**head, "choices": [], "usage": _usage(body, reply)})
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def _deltas(reply: Reply) -> list[dict[str, Any]]:
    """Return the pieces in which a reply comes: word by word, arguments in two halves.

    As OpenAI has them: only the first piece of a call has its id and name, and pieces of several
    calls are told apart by their index.
    """
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    words = reply.text.split(" ") if reply.text else []
    deltas += [{"content": word if not at else f" {word}"} for at, word in enumerate(words)]
    if reply.refusal:
        deltas.append({"refusal": reply.refusal})
    for number, tool in enumerate(reply.tools):
        call = _call(*tool)
        arguments = call["function"]["arguments"]
        half = len(arguments) // 2
        begin = {**call, "index": number, "function": {**call["function"], "arguments": ""}}
        deltas.append({"tool_calls": [begin]})
        for part in (arguments[:half], arguments[half:]):
            deltas.append({"tool_calls": [{"index": number, "function": {"arguments": part}}]})
    return deltas


async def _event(response: web.StreamResponse, chunk: Mapping[str, Any]) -> None:
    await response.write(f"data: {json.dumps(chunk)}\n\n".encode())


_ids = itertools.count(1)


def _head(body: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{next(_ids)}",
        "object": kind,
        "created": int(time.time()),
        "model": body.get("model", ""),
    }


def _call(name: str, arguments: Mapping[str, Any] | str) -> dict[str, Any]:
    sent = arguments if isinstance(arguments, str) else json.dumps(arguments)
    # No two calls of a conversation have the same id.
    called = {"id": f"call_{next(_ids)}", "type": "function"}
    return {**called, "function": {"name": name, "arguments": sent}}


def _finish(reply: Reply) -> str:
    return reply.finish or ("tool_calls" if reply.tools else "stop")


def _usage(body: Mapping[str, Any], reply: Reply) -> dict[str, int]:
    asked = sum(len(str(message.get("content") or "").split()) for message in body["messages"])
    said = len(reply.text.split()) + 5 * len(reply.tools)
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
