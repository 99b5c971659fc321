"""The double of Deepgram and OpenAI, asked by the services' own clients."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from bench.long_speech import Server
from pipelines.testing import Reply, SpeechServer, coded_speech, faults


def answer(body: Mapping[str, Any]) -> Reply:
    """Look something up first, then say it."""
    if body["messages"][-1]["role"] == "tool":
        return Reply(f"It is {body['messages'][-1]['content']}.")
    return Reply("One moment", tools=[("look_up", {"what": "the time", "where": ["here"]})])


@pytest.fixture
async def server() -> AsyncIterator[SpeechServer]:
    async with SpeechServer(chat=answer) as server:
        yield server


@pytest.fixture
async def client(server: SpeechServer) -> AsyncIterator[openai.AsyncClient]:
    async with openai.AsyncClient(
        api_key="key", base_url=server.openai_url, max_retries=0, timeout=5.0
    ) as client:
        yield client


ASK: Any = {"model": "gpt", "messages": [{"role": "user", "content": "What time is it?"}]}


async def test_a_chat_answers_whole_with_tool_calls_and_after_them(
    client: openai.AsyncClient,
) -> None:
    first = (await client.chat.completions.create(**ASK)).choices[0]
    assert (first.message.content, first.finish_reason) == ("One moment", "tool_calls")
    call: Any = (first.message.tool_calls or [])[0]
    assert call.function.name == "look_up"
    assert json.loads(call.function.arguments) == {"what": "the time", "where": ["here"]}
    told = [
        *ASK["messages"],
        first.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "noon"},
    ]
    last = await client.chat.completions.create(model="gpt", messages=told)
    assert last.choices[0].message.content == "It is noon."
    assert last.usage


async def test_a_chat_streams_words_and_the_arguments_of_tools_in_pieces(
    client: openai.AsyncClient,
) -> None:
    text, arguments, names, finish = "", "", [], None
    stream = await client.chat.completions.create(
        **ASK, stream=True, stream_options={"include_usage": True}
    )
    async for chunk in stream:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            for call in choice.delta.tool_calls or []:
                assert call.function
                names += [call.function.name] if call.function.name else []
                arguments += call.function.arguments or ""
            finish = choice.finish_reason or finish
    assert (text, names, finish) == ("One moment", ["look_up"], "tool_calls")
    assert json.loads(arguments)["what"] == "the time"
    assert chunk.usage


async def test_a_chat_fails_on_command(server: SpeechServer, client: openai.AsyncClient) -> None:
    server.faults.add(1, faults.busy(2.0))
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(**ASK)
    assert caught.value.response.headers["Retry-After"] == "2"
    server.faults.add(1, faults.cut(after=2))
    stream = await client.chat.completions.create(**ASK, stream=True)
    with pytest.raises(openai.APIConnectionError):
        _ = [chunk async for chunk in stream]
    server.faults.add(1, faults.REFUSE)
    with pytest.raises(openai.APIConnectionError):
        await client.chat.completions.create(**ASK)
    assert (await client.chat.completions.create(**ASK)).choices
    assert server.counts.refused == 3


def wav(samples: Any) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(coded_speech.RATE)
        audio.writeframes(samples.tobytes())
    return file.getvalue()


async def test_a_file_is_heard_by_both_protocols_and_counted(
    server: SpeechServer, client: openai.AsyncClient
) -> None:
    words = coded_speech.words(5)
    data = wav(coded_speech.say(words))
    heard = await client.audio.transcriptions.create(model="whisper", file=("a.wav", data))
    assert heard.text.split() == words
    async with aiohttp.ClientSession() as session:
        url = f"{server.deepgram_url}/v1/listen?model=nova-3"
        async with session.post(url, data=data) as response:
            channel = (await response.json())["results"]["channels"][0]
    assert channel["alternatives"][0]["transcript"].split() == words
    assert server.counts.words == words * 2
    assert server.counts.audio_seconds == pytest.approx(2 * 5 * coded_speech.WORD)


async def test_as_a_process_it_is_told_its_faults_and_tells_its_counts(tmp_path: Path) -> None:
    with Server(tmp_path / "server.log") as process:
        address = process.urls["deepgram"]
        async with aiohttp.ClientSession(address) as session:
            fault = {"kind": "status", "status": 503, "times": 1}
            assert (await session.post("/faults", json=fault)).status == 200
            assert (await session.post("/faults", json={"kind": "flood"})).status == 400
            data = wav(coded_speech.say("w001 w002"))
            statuses = [
                (await session.post("/v1/listen?model=nova-3", data=data)).status for _ in "12"
            ]
            counts = await (await session.get("/counts")).json()
    assert statuses == [503, 200]
    assert (counts["words"], counts["refused"]) == (["w001", "w002"], 1)
    await asyncio.sleep(0)
