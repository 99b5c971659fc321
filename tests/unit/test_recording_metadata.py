"""La Suite Meet's metadata of a recording: every rule of its contract, from lines alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from bench.recording_lines import RECORDING, START, RecordingLines, two_hours
from pipelines.events import Hole, HoleCause
from pipelines.transcript.line import Line, hole_data
from pipelines.transcript.recording_metadata import encoded, recording_metadata, recording_of

TYPES = {
    *("participant_connected", "participant_disconnected"),
    *("speech_start", "speech_end", "chat_received"),
}


def times(lines: Sequence[Line], who: str = "") -> list[tuple[str, float]]:
    """Return (type, seconds from the start) of each event, of one participant if given."""
    return [
        (event["type"], round(datetime.fromisoformat(event["timestamp"]).timestamp() - START, 3))
        for event in recording_metadata(lines)["events"]
        if not who or event["participant_id"] == who
    ]


def speech(lines: Sequence[Line], who: str = "ada") -> list[tuple[float, float]]:
    """Return the spans of one participant, and check that each start is followed by its end."""
    events = [one for one in times(lines, who) if one[0].startswith("speech")]
    kinds = [kind for kind, _ in events]
    assert kinds == ["speech_start", "speech_end"] * (len(kinds) // 2)
    starts, ends = [at for _, at in events[::2]], [at for _, at in events[1::2]]
    return list(zip(starts, ends, strict=True))


def test_the_file_is_the_one_that_la_suites_collector_writes() -> None:
    meeting = RecordingLines()
    meeting.join("ada", 1.0, "Ada Lovelace")
    meeting.say("ada", 2.0, 3.25)
    meeting.note("chat_received", 4.0, identity="ada", text="Bonjour à tous 👋")
    meeting.leave("ada", 5.0)
    meeting.finish(6.0)
    body = encoded(recording_metadata(meeting.lines))
    moments = [datetime.fromtimestamp(START + at, UTC).isoformat() for at in (1, 2, 3.25, 4, 5)]
    kinds = [
        ("participant_connected", None),
        ("speech_start", None),
        ("speech_end", None),
        ("chat_received", "Bonjour à tous 👋"),
        ("participant_disconnected", None),
    ]
    assert body.decode() == json.dumps(
        {
            "events": [
                {"participant_id": "ada", "type": kind, "timestamp": at, "data": data}
                for at, (kind, data) in zip(moments, kinds, strict=True)
            ],
            "participants": [{"participantId": "ada", "name": "Ada Lovelace"}],
        },
        indent=2,
    )
    assert all(moment.endswith("+00:00") for moment in moments)


def test_only_la_suites_types_are_in_it_whatever_else_agents_note() -> None:
    meeting = RecordingLines()
    meeting.join("ada", 1.0)
    for kind in ("hand_raised", "hand_lowered", "role"):
        meeting.note(kind, 2.0, identity="ada")
    meeting.note("still_speaking", 2.0, identities=["ada"])
    meeting.line("note", 2.0, {"agent": "wordcount", "kind": "speech_start", "data": {"n": 1}})
    meeting.line("state", 2.0, {"key": "k", "value": 1})
    assert times(meeting.lines) == [("participant_connected", 1.0)]


def test_events_are_in_order_of_time_not_of_writing() -> None:
    meeting = RecordingLines()
    meeting.join("ada", 1.0)
    meeting.join("james", 1.1)
    meeting.start("ada", 2.0)
    meeting.say("james", 2.5, 3.0)
    meeting.note("chat_received", 3.3, identity="james", text="x")
    meeting.end("ada", 2.9, 2.0)
    found = [at for _, at in times(meeting.lines)]
    assert found == sorted(found)
    assert len(found) == 7


def test_names_are_the_last_known_ones_and_never_empty() -> None:
    meeting = RecordingLines()
    meeting.join("ada", 1.0, "Ada")
    meeting.join("guest", 1.0, "")
    meeting.join("james", 1.0, "James")
    meeting.rename("ada", 2.0, "Ada Lovelace")
    meeting.rename("james", 2.0, "  ")
    meeting.leave("ada", 3.0)
    assert recording_metadata(meeting.lines)["participants"] == [
        {"participantId": "ada", "name": "Ada Lovelace"},
        {"participantId": "guest", "name": "guest"},
        {"participantId": "james", "name": "James"},
    ]


def test_speech_is_closed_when_its_speaker_leaves() -> None:
    meeting = RecordingLines()
    meeting.join("ada", 1.0)
    meeting.start("ada", 2.0)
    meeting.leave("ada", 4.0)
    meeting.finish(60.0)
    assert speech(meeting.lines) == [(2.0, 4.0)]


def test_what_a_leaver_said_last_ends_where_its_audio_did_though_that_is_written_later() -> None:
    meeting = RecordingLines()
    meeting.join("ada", 1.0)
    meeting.start("ada", 2.0)
    meeting.leave("ada", 4.0)
    meeting.join("ada", 4.1)
    meeting.start("ada", 4.2)
    meeting.end("ada", 3.5, 2.0)
    meeting.end("ada", 5.0, 4.2)
    assert speech(meeting.lines) == [(2.0, 3.5), (4.2, 5.0)]


def test_an_end_is_never_later_than_the_leave() -> None:
    meeting = RecordingLines()
    meeting.join("ada", 1.0)
    meeting.start("ada", 2.0)
    meeting.leave("ada", 4.0)
    meeting.end("ada", 4.3, 2.0)
    assert speech(meeting.lines) == [(2.0, 4.0)]


def test_a_start_that_a_crash_left_open_ends_with_the_last_line_of_its_epoch() -> None:
    meeting = RecordingLines()
    meeting.join("ada", 1.0)
    meeting.start("ada", 2.0)
    meeting.note("still_speaking", 7.0, identities=["ada"])
    later = RecordingLines(epoch=8, at=9.0)
    later.join("ada", 9.1)
    later.say("ada", 9.2, 20.0)
    later.finish(30.0)
    lines = [*later.lines, *meeting.lines]
    assert speech(lines) == [(2.0, 7.0), (9.2, 20.0)]
    assert [kind for kind, _ in times(lines, "ada")].count("participant_connected") == 1


def test_two_starts_in_a_row_are_two_spans() -> None:
    meeting = RecordingLines()
    meeting.join("ada", 1.0)
    meeting.start("ada", 2.0)
    meeting.say("ada", 5.0, 6.0)
    assert speech(meeting.lines) == [(2.0, 5.0), (5.0, 6.0)]


def test_words_that_two_epochs_heard_are_told_once() -> None:
    old, new = RecordingLines(), RecordingLines(epoch=8, at=3.0)
    old.join("ada", 1.0)
    old.say("ada", 2.0, 6.0)
    new.join("ada", 3.0)
    new.say("ada", 4.0, 8.0)
    assert speech([*old.lines, *new.lines]) == [(2.0, 6.0), (6.0, 8.0)]


def test_an_empty_recording_is_a_valid_file() -> None:
    meeting = RecordingLines()
    meeting.finish(1.0)
    assert recording_metadata(meeting.lines) == {"events": [], "participants": []}


def test_the_recordings_id_is_that_of_the_job_that_opened_it() -> None:
    assert recording_of(RecordingLines().lines) == RECORDING
    assert recording_of([Line("m", 1, 1, "opened", START, {"room": "r"})]) == ""


def assert_keeps_the_contract(lines: Sequence[Line]) -> None:
    metadata = recording_metadata(lines)
    assert list(metadata) == ["events", "participants"]
    moments = []
    for event in metadata["events"]:
        assert list(event) == ["participant_id", "type", "timestamp", "data"]
        assert event["type"] in TYPES
        assert (event["data"] is not None) == (event["type"] == "chat_received")
        moment = datetime.fromisoformat(event["timestamp"])
        assert moment.utcoffset() is not None
        assert event["timestamp"].endswith("+00:00")
        moments.append(moment)
    assert moments == sorted(moments)
    people = {one["participantId"] for one in metadata["participants"]}
    assert {event["participant_id"] for event in metadata["events"]} <= people
    assert all(one["name"] for one in metadata["participants"])
    for who in people:
        spans = speech(lines, who)
        assert all(start <= end for start, end in spans)
        absent = False
        for kind, _ in times(lines, who):
            assert not (absent and kind == "participant_disconnected")
            absent = kind == "participant_disconnected" or (
                absent and kind != "participant_connected"
            )


def test_two_hours_of_a_meeting_keep_every_rule() -> None:
    lines = two_hours(seed=1)
    assert len(lines) > 2000
    assert_keeps_the_contract(lines)


def test_two_hours_cut_by_a_kill_anywhere_keep_every_rule_and_never_tell_less_for_more_lines() -> (
    None
):
    lines = two_hours(seed=5)
    told = 0
    for length in range(0, len(lines), 211):
        cut = lines[:length]
        metadata = recording_metadata(cut)
        assert len(metadata["events"]) >= told
        told = len(metadata["events"])
        if length % 1055 == 0:
            assert_keeps_the_contract(cut)
    half = len(lines) // 2
    later = [Line(one.meeting, 8, one.sequence, one.kind, one.at, one.data) for one in lines[half:]]
    assert_keeps_the_contract([*lines[:half], *later])


def with_hole(start: float, end: float, cause: HoleCause = HoleCause.RESTART) -> list[Line]:
    """Return the lines of a job that came after one that died while ada spoke."""
    later = RecordingLines(epoch=8, at=end - 0.1)
    hole = Hole(START + start, START + end, cause)
    later.line("hole", start, hole_data(hole, meeting_start=START))
    later.join("ada", end)
    later.say("ada", end + 0.1, 20.0)
    later.finish(30.0)
    return later.lines


def test_a_start_that_a_crash_left_open_ends_where_the_marked_hole_begins() -> None:
    meeting = RecordingLines()
    meeting.join("ada", 1.0)
    meeting.start("ada", 2.0)
    meeting.note("still_speaking", 7.0, identities=["ada"])
    assert speech([*meeting.lines, *with_hole(8.5, 10.0)]) == [(2.0, 8.5), (10.1, 20.0)]
    # What the job that died had written is known, wherever the hole begins.
    assert speech([*meeting.lines, *with_hole(2.0, 10.0)]) == [(2.0, 7.0), (10.1, 20.0)]
    # Its own holes are not the one before it.
    assert speech([*meeting.lines, *with_hole(12, 14, HoleCause.ENGINE)])[0] == (2.0, 7.0)


def test_a_job_that_died_before_it_heard_anything_closes_no_speech() -> None:
    meeting = RecordingLines()
    meeting.join("ada", 1.0)
    meeting.start("ada", 2.0)
    between = [
        replace(line, epoch=6 if line.epoch == 7 else 7)
        for line in [*meeting.lines, *RecordingLines(epoch=8, at=9.0).lines]
    ]
    assert speech([*between, *with_hole(8.5, 12.0)]) == [(2.0, 8.5), (12.1, 20.0)]


def test_the_hole_after_the_next_job_is_not_where_speech_before_it_ends() -> None:
    meeting = RecordingLines(epoch=5)
    meeting.join("ada", 1.0)
    meeting.start("ada", 2.0)
    meeting.note("still_speaking", 7.0, identities=["ada"])
    # It came so soon that there was no hole, and listened to a silent room.
    between = RecordingLines(epoch=6, at=7.5)
    lines = [*meeting.lines, *between.lines, *with_hole(600.0, 604.0)]
    assert speech(lines)[0] == (2.0, 7.0)
