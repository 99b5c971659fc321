"""La Suite Meet's summary service names every speaker right by our file.

Its rules of assignment are written here from their description in its contract: participants'
timelines from the file, speakers' timelines from the transcript, the best overlap from a half up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bench.recording_lines import START, RecordingLines
from pipelines.transcript.line import Line
from pipelines.transcript.recording_metadata import recording_metadata

Interval = tuple[float, float]
Words = Sequence[Interval]

LONGEST_WORD = 1.0
THRESHOLD = 0.5


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    result: list[Interval] = []
    for start, end in sorted(intervals):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def overlap(one: Iterable[Interval], other: Iterable[Interval]) -> float:
    pairs = [(a, b) for a in one for b in other]
    return sum(max(0.0, min(a[1], b[1]) - max(a[0], b[0])) for a, b in pairs)


def participants(
    metadata: Mapping[str, Any], started_at: float, ended_at: float
) -> dict[str, list[Interval]]:
    """Pair starts and ends, clamp to the recording, drop what is empty, close what is open."""
    open_: dict[str, float] = {}
    found: dict[str, list[Interval]] = {}
    for event in metadata["events"]:
        who = event["participant_id"]
        at = datetime.fromisoformat(event["timestamp"]).timestamp() - started_at
        if event["type"] == "speech_start":
            open_[who] = max(at, 0.0)
        elif event["type"] == "speech_end" and who in open_:
            found.setdefault(who, []).append((open_.pop(who), max(at, 0.0)))
    for who, start in open_.items():
        found.setdefault(who, []).append((start, max(ended_at - started_at, 0.0)))
    proper = {who: [(a, b) for a, b in spans if b > a] for who, spans in found.items()}
    return {who: merged(spans) for who, spans in proper.items() if spans}


def speaker_intervals(words: Words, segment: Interval) -> list[Interval]:
    """Split a segment where a word is longer than words are."""
    if not words:
        return [segment]
    start: float | None = segment[0]
    result: list[Interval] = []
    for word in words:
        start = word[0] if start is None else start
        if word[1] - word[0] > LONGEST_WORD:
            result.append((start, word[0] + LONGEST_WORD))
            start = None
    if start is not None:
        result.append((start, min(words[-1][1], words[-1][0] + LONGEST_WORD)))
    return [one for one in result if one[1] > one[0]]


def named(
    metadata: Mapping[str, Any],
    transcript: Mapping[str, Sequence[tuple[Interval, Words]]],
    *,
    started_at: float = START,
    ended_at: float = START + 3600,
) -> dict[str, str]:
    """Return diarised speaker -> the name that the transcript shows."""
    timelines = participants(metadata, started_at, ended_at)
    names = {one["participantId"]: one["name"] for one in metadata["participants"]}
    assigned: dict[str, str] = {}
    for speaker, segments in transcript.items():
        spans = merged(
            span for segment, words in segments for span in speaker_intervals(words, segment)
        )
        length = sum(end - start for start, end in spans)
        scores = {who: overlap(spans, timeline) / length for who, timeline in timelines.items()}
        best = max(scores, key=lambda who: scores[who], default=None)
        if best is not None and scores[best] >= THRESHOLD:
            assigned[speaker] = names.get(best, best)
    times = Counter(assigned.values())
    return {
        speaker: f"{assigned[speaker]} ({speaker})"
        if times.get(assigned.get(speaker, ""), 0) > 1
        else assigned.get(speaker, speaker)
        for speaker in transcript
    }


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
