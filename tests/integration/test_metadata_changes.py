"""The metadata of a running room changes: agents start, stop and take new settings at once."""

from __future__ import annotations

import asyncio
import json
import time

from livekit import rtc

from bench.sealed_transcript import find_seals
from tests.integration.switchboard_rooms import (
    NAME,
    SPEAKER,
    TRANSCRIBER,
    Held,
    Hold,
    Stage,
    notices,
    until,
)

OFTEN = 50  # rounds: people who go on talking until they are stopped


async def test_an_agent_is_started_in_the_running_room(hold_room: Hold) -> None:
    async with hold_room({"agents": {}}) as here:
        here.speak(OFTEN)
        here.reader.wait_for("came", lambda line: line["name"] == SPEAKER)
        await here.set_metadata(TRANSCRIBER)
        await here.wait_told("captions", state="started", engine="echo")
        await here.wait_captions()


async def test_an_agent_is_stopped_in_the_running_room(hold_room: Hold) -> None:
    async with hold_room(TRANSCRIBER) as here:
        people = here.speak(OFTEN)
        await here.wait_captions()
        switched = time.time()
        await here.set_metadata({"agents": {"metadata": True}})
        await here.wait_told("captions", state="stopped")
        stopped = time.time()
        assert stopped - switched < 10  # seconds; what was being said is settled first
        said = len(people.truth("speech_ended"))
        await until(lambda: len(people.truth("speech_ended")) >= said + 2)
        captions = here.reader.received("caption")
        assert [line for line in captions if line["at"] > stopped + 1.0] == []


async def test_an_agent_takes_new_settings_in_the_running_room(hold_room: Hold) -> None:
    async with hold_room(TRANSCRIBER) as here:
        here.speak(OFTEN)
        await here.wait_captions()
        await here.set_metadata({"agents": {"transcriber": {"engine": "pocketsphinx"}}})
        await asyncio.to_thread(
            here.reader.wait_for, "caption", lambda line: "government" in line["text"]
        )
        document = await here.end()
    engines = [one["engine"].partition("/")[0] for one in document["segments"]]
    assert set(engines) == {"echo", "pocketsphinx"}
    assert engines == sorted(engines)  # First one, then the other.


async def test_what_is_wanted_of_the_summary_changes_in_the_running_room(
    hold_room: Hold, switchboard: Stage
) -> None:
    async with hold_room({"agents": {}, "summary": {"template": "decisions"}}) as here:
        await here.set_metadata({**TRANSCRIBER, "summary": {"deliver": ["team-mail"]}})
        await here.wait_told("captions", state="started")
        await here.end()
    (seal,) = [one for one in find_seals(switchboard.store) if one.document()["room"] == here.room]
    wanted = json.loads((seal.directory / "wanted.json").read_text())
    assert wanted == {"deliver": ["team-mail"]}


async def test_the_language_of_the_room_changes_in_the_running_room(hold_room: Hold) -> None:
    english = {"agents": {"transcriber": {"engine": "pocketsphinx"}}}
    async with hold_room(english) as here:
        await here.wait_told("captions", state="started")
        await here.set_metadata({**english, "language": "fr"})
        await here.wait_told("captions", state="failed")
        (failed,) = [one for one in here.told("captions") if one["state"] == "failed"]
        assert "understands English only, not 'fr'" in failed["reason"]


async def test_metadata_that_breaks_later_leaves_the_last_valid_settings(hold_room: Hold) -> None:
    async with hold_room(TRANSCRIBER) as here:
        here.speak(OFTEN)
        await here.wait_captions()
        await here.set_metadata('{"agents": {')
        await here.wait_told("error", source="metadata")
        await here.wait_captions(2)
        assert len(here.told("error")) == len(here.logged_errors()) == 1
        assert here.told("captions") == [{"state": "started", "engine": "echo"}]
        document = await here.end()
    # The default agents would have written some.
    assert {note["agent"] for note in document["notes"]} == {"transcriber"}


async def test_who_comes_after_metadata_is_mended_is_told_of_no_error(hold_room: Hold) -> None:
    async with hold_room({"agents": {"transcribr": {}}}) as here:
        await here.wait_told("error", source="metadata")
        early = here.join("early")
        await asyncio.to_thread(early.wait_for, "status", lambda line: "transcribr" in line["text"])
        await here.set_metadata({"agents": {"metadata": True}})
        await here.wait_told("captions", state="stopped")
        late = here.join("late")
        await asyncio.to_thread(late.wait_for, "status")
        assert notices(late, "error") == []


async def send_chat(here: Held, *texts: str) -> None:
    guest = rtc.Room()
    await guest.connect(here.rooms.url, here.rooms.token(here.room, "guest", name="Mary Shelley"))
    for text in texts:
        await guest.local_participant.send_text(text, topic="lk.chat")
    await asyncio.sleep(1.0)
    await guest.disconnect()


async def test_chat_is_kept_from_when_metadata_asks_for_it(hold_room: Hold) -> None:
    async with hold_room({"agents": {"metadata": True}}) as here:
        here.reader.wait_for("came", lambda line: line["identity"] == f"{NAME}-{here.room}")
        await send_chat(here, "not for the record")
        await here.set_metadata({"agents": {"metadata": {"chat": True}, "transcriber": True}})
        await here.wait_told("captions", state="started")
        await send_chat(here, "for the record")
        document = await here.end()
    kept = [note for note in document["notes"] if note["kind"] == "chat_received"]
    assert [note["data"]["text"] for note in kept] == ["for the record"]
    assert "not for the record" not in json.dumps(document)


async def test_no_log_tells_what_was_said_or_written_or_by_whom(hold_room: Hold) -> None:
    metadata = {"agents": {"metadata": {"chat": True}, "transcriber": {"engine": "pocketsphinx"}}}
    async with hold_room(metadata) as here:
        await here.wait_told("captions", state="started")
        await asyncio.gather(here.say_it(), send_chat(here, "a word in confidence"))
        document = await here.end()
    (said,) = [segment["text"] for segment in document["segments"]]
    assert "a word in confidence" in json.dumps(document)
    log = here.log()
    assert "meeting sealed" in log
    for private in (said, "government", "a word in confidence", SPEAKER, "Mary Shelley"):
        assert private not in log
