"""Who spoke when, by a collector's notes, La Suite's file or the live lines."""

from __future__ import annotations

from typing import Any

import pytest

from bench.recording_lines import START, RecordingLines
from pipelines.events import iso
from pipelines.post_meeting.voice_activity import (
    Activity,
    activity_of,
    activity_of_metadata,
    people_of_metadata,
)
from pipelines.transcript.build_document import build_document


def noted(meeting: RecordingLines) -> Activity:
    return activity_of(build_document(meeting.lines, seal=1))


def filed(*events: tuple[str, str, float]) -> Activity:
    listed = [
        {"participant_id": who, "type": kind, "timestamp": iso(START + at), "data": None}
        for who, kind, at in events
    ]
    return activity_of_metadata({"events": listed, "participants": []}, start=START)


def test_notes_of_speech_become_spans() -> None:
    meeting = RecordingLines()
    meeting.say("ada", 2.0, 8.0)
    meeting.say("james", 7.0, 9.0)
    meeting.say("ada", 7.5, 10.0)
    assert noted(meeting) == {"ada": ((2.0, 10.0),), "james": ((7.0, 9.0),)}


def test_who_leaves_in_mid_speech_speaks_no_longer() -> None:
    meeting = RecordingLines()
    meeting.start("ada", 2.0)
    meeting.leave("ada", 6.0)
    meeting.say("james", 600.0, 700.0)
    assert noted(meeting)["ada"] == ((2.0, 6.0),)
    left = filed(
        ("ada", "speech_start", 2.0),
        ("ada", "participant_disconnected", 6.0),
        ("james", "speech_start", 600.0),
        ("james", "speech_end", 700.0),
    )
    assert left["ada"] == ((2.0, 6.0),)


def test_speech_of_a_crashed_job_lasts_as_long_as_it_was_confirmed() -> None:
    meeting = RecordingLines()
    meeting.start("ada", 2.0)
    for at in (7.0, 12.0):
        meeting.note("still_speaking", at, identities=["ada"])
    meeting.say("james", 600.0, 700.0)
    assert noted(meeting)["ada"] == ((2.0, 22.0),)


def test_a_second_start_ends_the_first_speech_and_does_not_lose_it() -> None:
    events = ("ada", "speech_start", 2.0), ("ada", "speech_start", 5.0), ("ada", "speech_end", 6.0)
    assert filed(*events)["ada"] == ((2.0, 6.0),)


def test_speech_that_nothing_ends_lasts_to_the_files_last_event() -> None:
    events = ("ada", "speech_start", 2.0), ("james", "chat_received", 30.0)
    assert filed(*events)["ada"] == ((2.0, 30.0),)


def test_live_lines_tell_where_there_are_no_notes() -> None:
    meeting = RecordingLines()
    final: dict[str, Any] = {"segment": "s1", "revision": 0, "speaker": "ada", "name": "Ada"}
    final |= {"text": "hello", "start_ms": 1000, "end_ms": 2500, "track": "", "language": "en"}
    meeting.line("final", 3.0, {**final, "engine": "fake"})
    assert noted(meeting) == {"ada": ((1.0, 2.5),)}


def test_who_has_no_name_is_called_by_the_identity() -> None:
    listed = [{"participantId": "a", "name": " "}, {"participantId": "b", "name": "Bob"}]
    people = people_of_metadata({"events": [], "participants": listed})
    assert [(one.identity, one.name) for one in people] == [("a", "a"), ("b", "Bob")]


def test_what_is_no_metadata_file_is_refused() -> None:
    with pytest.raises(ValueError, match="not the metadata of a recording"):
        activity_of_metadata({"events": [{"type": "speech_start"}]}, start=START)
