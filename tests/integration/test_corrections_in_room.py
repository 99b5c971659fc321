"""A caption that people correct in a real room: shown to all, through a crash, into the exports."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from livekit import rtc

from agents.rpc.errors import Code
from bench.audio_file import read_clip
from bench.microphone import Microphone
from bench.rooms import Rooms, dispatch_to
from bench.script import SCRIPTED_MEETING
from bench.sealed_transcript import wait_for_seal
from tests.integration.guest import Guest, Stream

if TYPE_CHECKING:
    from tests.integration.conftest import StartWorker

TIMEOUT = 60.0  # seconds for what takes a few
ECHO = {
    "GREFFIER_ENGINE": "echo",
    "GREFFIER_ENGINE_PLUGINS": "echo=pipelines.testing:EchoSTT",
    "GREFFIER_DEFAULT_AGENTS": "transcriber",
}


def finals(streams: Sequence[Stream]) -> list[Stream]:
    return [one for one in streams if one.attributes["lk.transcription_final"] == "true"]


async def say(guest: Guest, clip: Path) -> None:
    microphone = Microphone()
    await microphone.publish(guest.room)
    await microphone.play_silence(microphone.next_sample_at + 1.0)
    await microphone.play(read_clip(clip, Microphone.RATE).speech)
    await microphone.play_silence(microphone.next_sample_at + 1.5)


async def correct(guest: Guest, segment: str, text: str) -> dict[str, Any]:
    return await guest.call("transcript.correct", segment=segment, text=text)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not true():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.05)


async def test_a_correction_is_shown_to_all_survives_the_job_and_is_in_the_exports(
    rooms: Rooms, room: str, agent_name: str, start_worker: StartWorker, tmp_path: Path
) -> None:
    worker = await asyncio.to_thread(start_worker, **ECHO)
    metadata = {"agents": {"transcriber": {}}, "roles": {"grace": "moderator"}}
    await rooms.create(room, metadata=metadata, agents=[dispatch_to(agent_name)])
    async with (
        Guest(rooms, room, "ada") as ada,
        Guest(rooms, room, "eve") as eve,
        Guest(rooms, room, "grace") as grace,
    ):
        read = eve.reads("lk.transcription")
        await until(lambda: eve.agent)
        await say(ada, SCRIPTED_MEETING.parent / "05-james.ogg")
        await until(lambda: finals(read))
        first, agent = finals(read)[0], eve.agent
        segment = first.attributes["lk.segment_id"]

        with pytest.raises(rtc.RpcError) as caught:
            await correct(eve, segment, "Eve was here.")
        assert caught.value.code == Code.FORBIDDEN
        await correct(ada, segment, "We ship on Friday.")
        kept = await correct(grace, segment, "We ship on Monday.")
        await until(lambda: len(finals(read)) >= 3)
        texts = [one.text for one in finals(read)]
        assert texts == [first.text, "We ship on Friday.", kept["text"]]
        shown = finals(read)[-1].attributes
        assert (shown["lk.segment_id"], shown["greffier.corrected_by"]) == (segment, "grace")
        assert shown["greffier.corrected_at"] == kept["at"]

        (job,) = worker.job_pids()
        os.kill(job, signal.SIGKILL)
        await until(lambda: eve.agent not in ("", agent))
        page = await answered(eve)
        told = [one for one in page["segments"] if one["segment"] == segment]
        assert {one["text"] for one in told} == {"We ship on Monday."}
        await rooms.delete(room)
    seal = await asyncio.to_thread(wait_for_seal, tmp_path / "data" / "transcripts")
    (one,) = seal.document()["segments"]
    assert (one["text"], one["source"]) == ("We ship on Monday.", "person")
    correction = one["correction"]
    assert (correction["by"]["identity"], correction["original"]) == ("grace", first.text)
    for file in seal.files:
        assert "on Monday" in file.read_text(encoding="utf-8"), file.name


async def answered(guest: Guest) -> dict[str, Any]:
    """Ask for the history until the new job, which is in the room first, answers calls."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            try:
                return await guest.call("transcript.history")
            except rtc.RpcError as error:
                if error.code != rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD:
                    raise
            await asyncio.sleep(0.1)
