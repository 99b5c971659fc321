"""La Suite Meet's summary service names every speaker right by our file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.la_suite_assignment import Interval, Words, participants
from bench.la_suite_assignment import named as named_by_la_suite
from bench.recording_lines import START, RecordingLines
from pipelines.transcript.line import Line
from pipelines.transcript.recording_metadata import recording_metadata


def named(
    metadata: Mapping[str, Any], transcript: Mapping[str, Sequence[tuple[Interval, Words]]]
) -> dict[str, str]:
    return named_by_la_suite(metadata, transcript, started_at=START, ended_at=START + 3600)


def segments(*spans: Interval) -> list[tuple[Interval, Words]]:
    """Make segments with words of half a second."""
    made: list[tuple[Interval, Words]] = []
    for start, end in spans:
        count = int((end - start) / 0.5)
        words = [(start + n * 0.5, start + n * 0.5 + 0.45) for n in range(count)]
        made.append(((start, end), words))
    return made


def scripted_meeting() -> list[Line]:
    """A leave in mid-speech, a rejoin, two people of one name, an empty name, an overlap."""
    meeting = RecordingLines()
    meeting.join("ada", 0.5, "Ada Lovelace")
    meeting.join("john-1", 0.6, "John Smith")
    meeting.join("john-2", 0.7, "John Smith")
    meeting.join("anonymous", 0.8, "")
    meeting.say("ada", 2.0, 8.0)
    meeting.say("john-1", 9.0, 15.0)
    meeting.start("ada", 16.0)
    meeting.leave("ada", 20.0)  # in mid-speech, for ten minutes
    meeting.say("john-2", 21.0, 40.0)
    meeting.say("anonymous", 38.0, 50.0)
    meeting.say("john-1", 60.0, 90.0)
    meeting.join("ada", 620.0, "Ada Lovelace")
    meeting.say("ada", 622.0, 630.0)
    meeting.say("anonymous", 640.0, 660.0)
    meeting.finish(700.0)
    return meeting.lines


def test_every_speaker_of_a_meeting_with_comings_and_goings_is_named_right() -> None:
    transcript = {
        "SPEAKER_00": segments((2.1, 8.0), (16.1, 19.9), (622.1, 629.8)),
        "SPEAKER_01": segments((9.1, 14.9), (60.2, 89.0)),
        "SPEAKER_02": segments((21.1, 39.8)),
        "SPEAKER_03": segments((38.4, 49.9), (640.1, 659.9)),
    }
    assert named(recording_metadata(scripted_meeting()), transcript) == {
        "SPEAKER_00": "Ada Lovelace",
        "SPEAKER_01": "John Smith (SPEAKER_01)",
        "SPEAKER_02": "John Smith (SPEAKER_02)",
        "SPEAKER_03": "anonymous",
    }


def test_who_left_in_mid_speech_does_not_get_what_others_said_after() -> None:
    metadata = recording_metadata(scripted_meeting())
    timelines = participants(metadata, START, START + 700)
    assert timelines["ada"] == [(2.0, 8.0), (16.0, 20.0), (622.0, 630.0)]


def test_the_rules_would_name_the_wrong_speaker_were_speech_not_closed_on_leave() -> None:
    metadata = recording_metadata(scripted_meeting())
    events = metadata["events"]
    own = [one for one in events if one["participant_id"] == "ada" and "speech" in one["type"]]
    for event in own[3:5]:  # the end at the leave, and the start after the rejoin
        events.remove(event)
    transcript = {"SPEAKER_02": segments((21.1, 39.8))}
    assert named(metadata, transcript) == {"SPEAKER_02": "Ada Lovelace"}


def test_a_crash_in_mid_speech_names_its_speaker_and_nobody_else() -> None:
    old = RecordingLines()
    old.join("ada", 0.5, "Ada Lovelace")
    old.join("james", 0.6, "James Clerk Maxwell")
    old.start("ada", 2.0)
    old.note("still_speaking", 12.0, identities=["ada"])
    new = RecordingLines(epoch=8, at=15.0)
    new.join("ada", 15.1, "Ada Lovelace")
    new.join("james", 15.1, "James Clerk Maxwell")
    new.say("james", 16.0, 40.0)
    new.finish(50.0)
    transcript = {
        "SPEAKER_00": segments((2.1, 13.5)),
        "SPEAKER_01": segments((14.0, 40.0)),
    }
    assert named(recording_metadata([*old.lines, *new.lines]), transcript) == {
        "SPEAKER_00": "Ada Lovelace",
        "SPEAKER_01": "James Clerk Maxwell",
    }


def test_speech_from_before_the_recording_is_clamped_to_its_start() -> None:
    metadata = recording_metadata(scripted_meeting())
    timelines = participants(metadata, START + 5.0, START + 700)
    assert timelines["ada"][0] == (0.0, 3.0)
