"""What a room's metadata asks for is done, and what is wrong with it is told."""

from __future__ import annotations

import json

import pytest

from tests.integration.switchboard_rooms import (
    NAME,
    SPEAKER,
    TRANSCRIBER,
    Hold,
    Metadata,
)

LIMIT = 524_288  # bytes that livekit-server takes

MEET_AI = {
    "meetingData": {
        "id": "V1StGXR8_Z5jdHi6B-myT",
        "name": "Planning",
        "agentId": "a1",
        "createdByUserId": "james",
        "status": "upcoming",
    },
    "agentData": {"id": "a1", "name": "Ada", "userId": "james", "instructions": "Be brief."},
}
LA_SUITE = {
    "recording_mode": "transcript",
    "recording_status": "started",
    "configuration": {"can_publish_sources": ["microphone"], "everyone_can_mute": False},
    "access_level": "restricted",
}


def as_large_as_can_be() -> str:
    empty = len(json.dumps({**TRANSCRIBER, "filler": ""}))
    return json.dumps({**TRANSCRIBER, "filler": "x" * (LIMIT - empty)})


@pytest.mark.parametrize(
    ("metadata", "meeting", "notes"),
    [
        (TRANSCRIBER, None, set()),
        (MEET_AI, "V1StGXR8_Z5jdHi6B-myT", {"participant_connected", "speech_start"}),
        (LA_SUITE, None, {"participant_connected", "speech_start"}),
        (as_large_as_can_be(), None, set()),
    ],
    ids=["greffier", "meetai", "la-suite-meet", "as-large-as-can-be"],
)
async def test_valid_metadata_of_any_backend_runs_the_agents_it_asks_for(
    hold_room: Hold,
    metadata: Metadata,
    meeting: str | None,
    notes: set[str],
) -> None:
    async with hold_room(metadata) as here:
        await here.say_it()
        await here.wait_told("captions", state="started", engine="echo")
        assert len(here.reader.finals()) == 1
        assert here.told("error") == []
        document = await here.end()
    assert here.logged_errors() == []
    assert [one["name"] for one in document["segments"]] == [SPEAKER]
    assert document["meeting"] == meeting or document["meeting"].startswith(f"{here.room}/RM_")
    kinds = {note["kind"] for note in document["notes"] if note["agent"] == "metadata"}
    assert notes <= kinds
    assert bool(notes) == bool(kinds)


async def test_an_empty_agents_object_runs_none(hold_room: Hold) -> None:
    async with hold_room({"agents": {}}) as here:
        await here.say_it()
        here.reader.wait_for("came", lambda line: line["identity"] == f"{NAME}-{here.room}")
        told = [json.loads(line["text"])["type"] for line in here.reader.received("status")]
        assert here.reader.received("caption") == []
        assert set(told) <= {"history"}  # That may be asked for in every room.
        document = await here.end()
    assert document["segments"] == document["notes"] == []
    assert here.logged_errors() == []


ELSEWHERE = "https://elsewhere.example"

REFUSED = {
    "broken-json": ('{"agents": {"transcriber"', "not valid JSON at line 1 column 26"),
    "wrong-type": ({"agents": {"transcriber": {"language": 7}}}, "agents.transcriber.language"),
    "unknown-agent": ({"agents": {"transcribr": {}}}, "agents.transcribr: no such agent"),
    "destination": (
        {"agents": {"metadata": {"deliver": ELSEWHERE}}},
        "agents.metadata.deliver: unknown key",
    ),
    "base-url": (
        {"agents": {"transcriber": {"engine": "openai", "base_url": ELSEWHERE}}},
        "agents.transcriber.base_url: unknown key",
    ),
    "import-path": (
        {"agents": {"transcriber": {"engine": "pipelines.testing:EchoSTT"}}},
        "agents.transcriber.engine",
    ),
}


@pytest.mark.parametrize(("metadata", "problem"), REFUSED.values(), ids=REFUSED.keys())
async def test_wrong_metadata_is_one_error_that_names_the_field_and_the_default_agents_run(
    hold_room: Hold,
    metadata: Metadata,
    problem: str,
) -> None:
    async with hold_room(metadata) as here:
        await here.wait_told("error", source="metadata")
        await here.wait_told("captions", state="started", engine="echo")
        (error,) = here.told("error")
        assert error["message"].startswith(f"room metadata: {problem}")
    (logged,) = here.logged_errors()
    assert (logged["message"], logged["cause"]) == ("metadata refused", error["message"])


async def test_captions_come_though_metadata_is_broken(hold_room: Hold) -> None:
    async with hold_room("[") as here:
        await here.say_it()
        await here.wait_told("error", source="metadata")
        assert len(here.reader.finals()) == 1


async def test_an_engine_that_the_operator_does_not_allow_is_refused_by_name(
    hold_room: Hold,
) -> None:
    metadata = {"agents": {"transcriber": {"engine": "elsewhere/large"}}}
    async with hold_room(metadata) as here:
        await here.say_it()
        await here.wait_told("captions", state="failed")
        (failed,) = here.told("captions")
        assert failed["reason"].startswith("engine 'elsewhere/large' is not allowed here")
        assert here.reader.received("caption") == []
    assert len(here.logged_errors()) == 1
