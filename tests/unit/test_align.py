"""The text of a recording gets the names of those who said it, or none."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from bench.alignment import LEAST_ASSIGNED, MOST_WRONG, la_suites, ours
from bench.recorded_meeting import START, Trouble, bare_document, recorded_meeting
from pipelines.events import iso
from pipelines.post_meeting.align import align
from pipelines.post_meeting.clock_fit import fit_clock
from pipelines.post_meeting.transcription import (
    HeardSegment,
    HeardWord,
    Transcription,
    Unheard,
)
from pipelines.post_meeting.voice_activity import Activity, activity_of_metadata
from pipelines.transcript.document import (
    Hole,
    Person,
    Segment,
    SegmentSource,
    TranscriptDocument,
)

ADA, JAMES = "ada", "james"


def document(
    *segments: Segment, names: Sequence[tuple[str, str]] = ((ADA, "Ada"), (JAMES, "James"))
) -> TranscriptDocument:
    people = tuple(Person(identity=identity, name=name) for identity, name in names)
    bare = bare_document(meeting="m", started_at=START, seconds=60, participants=people)
    return bare.model_copy(update={"segments": segments})


def line(
    speaker: str, text: str, start: float, end: float, source: SegmentSource = "live"
) -> Segment:
    return Segment(
        id=f"{speaker}-{start}",
        speaker=speaker,
        name=speaker.title(),
        text=text,
        start_ms=round(start * 1000),
        end_ms=round(end * 1000),
        start=iso(START + start),
        language="en",
        engine="live/engine",
        revision=0,
        source=source,
    )


def said(
    text: str, start: float, end: float, voice: str | None = None, **more: Any
) -> HeardSegment:
    return HeardSegment(text=text, start=start, end=end, voice=voice, **more)


def heard(
    *segments: HeardSegment,
    started_at: str | None = iso(START),
    seconds: float = 60,
    unheard: Sequence[tuple[float, float]] = (),
) -> Transcription:
    return Transcription(
        engine="batch/engine",
        language="en",
        started_at=started_at,
        seconds=seconds,
        segments=segments,
        unheard=tuple(Unheard(start=start, end=end, reason="gone") for start, end in unheard),
    )


def named(aligned: TranscriptDocument) -> list[tuple[str, str]]:
    return [(one.name, one.text) for one in aligned.segments]


TALK: Activity = {ADA: ((1.0, 5.0), (20.0, 30.0)), JAMES: ((8.0, 15.0),)}


def test_each_segment_gets_the_name_of_who_spoke() -> None:
    result = align(
        document(), heard(said("one two", 1, 4), said("three four", 8.5, 14)), activity=TALK
    )
    assert named(result) == [("Ada", "one two"), ("James", "three four")]
    assert [one.source for one in result.segments] == ["recording", "recording"]
    assert [one.identity for one in result.speakers] == [ADA, JAMES]
    assert result.segments[1].start == iso(START + 8.5)


def test_a_segment_of_two_speakers_is_parted_between_their_words() -> None:
    words = [("so", 3.0), ("much.", 4.0), ("Thank", 9.0), ("you.", 9.5)]
    timed = tuple(HeardWord(text=text, start=at, end=at + 0.4) for text, at in words)
    one = said("So much. Thank you.", 3.0, 9.9, words=timed)
    assert named(align(document(), heard(one), activity=TALK)) == [
        ("Ada", "so much."),
        ("James", "Thank you."),
    ]


def test_words_without_times_are_named_with_their_neighbours() -> None:
    words = (
        HeardWord(text="room", start=9.0, end=9.4),
        HeardWord(text="42"),
        HeardWord(text="please", start=10.2),
    )
    one = said("room 42 please", 9.0, 11.0, words=words)
    assert named(align(document(), heard(one), activity=TALK)) == [("James", "room 42 please")]


def test_where_nobody_spoke_nobody_is_named() -> None:
    result = align(document(), heard(said("who is this", 40, 42, "SPEAKER_07")), activity=TALK)
    (segment,) = result.segments
    assert (segment.speaker, segment.name, result.speakers) == ("", "SPEAKER_07", ())


def test_what_may_be_either_of_two_is_nobodys() -> None:
    both: Activity = {ADA: ((8.0, 15.0),), JAMES: ((8.0, 15.0),)}
    result = align(document(), heard(said("either of us", 9, 12)), activity=both)
    assert [one.speaker for one in result.segments] == [""]


def test_where_two_speak_at_once_the_voice_tells_them_apart() -> None:
    activity: Activity = {ADA: ((1.0, 20.0),), JAMES: ((12.0, 35.0),)}
    alone = "many words by which a voice is known " * 3
    result = align(
        document(),
        heard(
            said(alone, 1.5, 11, "A"),
            said("and I go on", 13, 18, "A"),
            said("let me say", 13.2, 18, "B"),
            said(alone, 22, 34, "B"),
        ),
        activity=activity,
    )
    assert [one.speaker for one in result.segments] == [ADA, ADA, JAMES, JAMES]


def test_who_has_the_same_name_is_still_somebody_else() -> None:
    people = document(names=((ADA, "John Smith"), (JAMES, "John Smith")))
    result = align(people, heard(said("one", 2, 3), said("two", 9, 10)), activity=TALK)
    assert [(one.speaker, one.name) for one in result.segments] == [
        (ADA, "John Smith"),
        (JAMES, "John Smith"),
    ]


def test_two_people_at_one_microphone_are_kept_apart() -> None:
    room: Activity = {"room": tuple((10.0 * n, 10.0 * n + 8) for n in range(6))}
    segments = [
        said("five words of one speaker", 10.0 * n + 1, 10.0 * n + 7, "AB"[n % 2]) for n in range(6)
    ]
    result = align(document(names=(("room", "Room"),)), heard(*segments), activity=room)
    assert [one.name for one in result.segments] == ["Room (A)", "Room (B)"] * 3
    assert {one.speaker for one in result.segments} == {"room"}


def test_a_confused_voice_does_not_split_a_microphone() -> None:
    activity: Activity = {ADA: ((0.0, 30.0),), JAMES: ((31.0, 60.0),)}
    segments = [
        said("five words of one speaker", 6.0 * n + 1, 6.0 * n + 5, "A" if n < 5 else "B")
        for n in range(10)
    ]
    segments[2] = segments[2].model_copy(update={"voice": "B"})
    result = align(document(), heard(*segments), activity=activity)
    assert [one.name for one in result.segments] == ["Ada"] * 5 + ["James"] * 5


def test_the_same_label_in_another_part_is_another_voice() -> None:
    activity: Activity = {ADA: ((0.0, 30.0),), JAMES: ((31.0, 60.0),)}
    segments = [
        said("five words of one speaker", 6.0 * n + 1, 6.0 * n + 5, "A", part=n // 5)
        for n in range(10)
    ]
    result = align(document(), heard(*segments), activity=activity)
    assert [one.name for one in result.segments] == ["Ada"] * 5 + ["James"] * 5


def test_a_hole_in_the_live_lines_is_filled_and_says_so() -> None:
    live = document(line(ADA, "won two", 1, 4))
    result = align(
        live, heard(said("one two", 1, 4), said("what was missed", 21, 28)), activity=TALK
    )
    assert [(one.text, one.source) for one in result.segments] == [
        ("one two", "recording"),
        ("what was missed", "recording"),
    ]


def test_a_live_line_stays_where_the_recording_has_nothing_of_its_speaker() -> None:
    live = document(line(ADA, "before the recording", 1, 4), line(JAMES, "heard", 8, 15))
    result = align(live, heard(said("heard better", 8, 15)), activity=TALK)
    assert [(one.text, one.source) for one in result.segments] == [
        ("before the recording", "live"),
        ("heard better", "recording"),
    ]


def sources(aligned: TranscriptDocument) -> list[tuple[str, str]]:
    return [(one.text, one.source) for one in aligned.segments]


LONG = line(ADA, "first we buy a boat and then we sell the house", 20, 30)


def test_a_live_line_stays_where_the_recording_was_not_heard() -> None:
    hole = heard(said("First we buy a boat and then we", 20, 25.4), unheard=[(25.5, 29)])
    assert sources(align(document(LONG), hole, activity=TALK)) == [(LONG.text, "live")]
    tiny = heard(said("First we bought a boat and sold it all.", 20, 29), unheard=[(29, 29.4)])
    assert sources(align(document(LONG), tiny, activity=TALK)) == [
        ("First we bought a boat and sold it all.", "recording")
    ]


def test_a_live_line_stays_that_runs_past_an_end_of_the_recording() -> None:
    short = heard(said("First we buy a boat and then we", 20, 26.9), seconds=27)
    assert sources(align(document(LONG), short, activity=TALK)) == [(LONG.text, "live")]
    late = heard(said("boat and then we sell the house", 0, 6.5), started_at=iso(START + 23.5))
    assert sources(align(document(LONG), late, activity=TALK)) == [(LONG.text, "live")]


def test_a_live_line_stays_whose_words_the_recording_lacks() -> None:
    poor = heard(said("Hm.", 20, 30))
    assert sources(align(document(LONG), poor, activity=TALK)) == [
        (LONG.text, "live"),
        ("Hm.", "recording"),
    ]


def test_what_a_person_corrected_stays_and_is_there_once() -> None:
    live = document(line(ADA, "we need 200,000", 1, 5, "person"), line(JAMES, "live", 8, 15))
    result = align(
        live, heard(said("we need twenty", 1.2, 4.8), said("batch", 8, 15)), activity=TALK
    )
    assert [(one.text, one.source) for one in result.segments] == [
        ("we need 200,000", "person"),
        ("batch", "recording"),
    ]


ROOM: Activity = {"room": ((1.0, 5.0), (10.0, 16.0)), JAMES: ((8.0, 15.0),)}


def test_a_correction_has_what_was_heard_at_the_microphone_that_people_share() -> None:
    live = document(line(ADA, "we need 200,000", 1, 5, "person"))
    result = align(live, heard(said("we need twenty", 1.2, 4.8)), activity=ROOM)
    assert sources(result) == [("we need 200,000", "person")]


def test_a_correction_has_what_nobody_is_known_for() -> None:
    both: Activity = {ADA: ((40.0, 45.0),), JAMES: ((40.0, 45.0),)}
    live = document(line(ADA, "we need 200,000", 40, 45, "person"))
    result = align(live, heard(said("we need twenty", 40.2, 44.8)), activity=both)
    assert sources(result) == [("we need 200,000", "person")]


def test_a_correction_has_nothing_of_who_spoke_at_the_same_time() -> None:
    activity: Activity = {ADA: ((1.0, 20.0),), JAMES: ((12.0, 35.0),)}
    alone = "many words by which a voice is known " * 3
    live = document(line(ADA, "and I WENT on", 13, 18, "person"))
    result = align(
        live,
        heard(
            said(alone, 1.5, 11, "A"),
            said("and I go on", 13, 18, "A"),
            said("let me say", 13.2, 18, "B"),
            said(alone, 22, 34, "B"),
        ),
        activity=activity,
    )
    assert [one.text for one in result.segments][1:3] == ["and I WENT on", "let me say"]
    own = document(
        line(ADA, "we need 200,000", 10.5, 16, "person"), line(JAMES, "stop", 11, 13, "live")
    )
    quiet: Activity = {JAMES: ((8.0, 15.0),)}
    kept = align(own, heard(said("stop now", 11, 13)), activity=quiet)
    assert ("stop now", "recording") in sources(kept)


def test_a_time_without_a_zone_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        naive = heard(said("one two", 1, 4), started_at=iso(START).removesuffix("Z"))
        (segment,) = align(document(), naive, activity={}).segments
    finally:
        monkeypatch.undo()
        time.tzset()
    assert segment.start_ms == 1000


def test_a_correction_in_the_middle_of_what_was_heard_stays() -> None:
    live = document(line(ADA, "TWO", 21.9, 22.6, "person"))
    words = [("one", 20.7, 22.0), ("to", 22.0, 22.4), ("three", 23.0, 23.8)]
    timed = tuple(HeardWord(text=text, start=start, end=end) for text, start, end in words)
    result = align(live, heard(said("one to three", 20.7, 23.8, words=timed)), activity=TALK)
    assert [(one.text, one.source) for one in result.segments] == [
        ("one", "recording"),
        ("TWO", "person"),
        ("three", "recording"),
    ]


def test_words_that_are_nobodys_are_named_by_the_live_line_that_has_them() -> None:
    both: Activity = {ADA: ((8.0, 15.0),), JAMES: ((8.0, 15.0),)}
    live = document(line(ADA, "a station by winter", 8, 15), line(JAMES, "no money at all", 8, 15))
    result = align(live, heard(said("The station by winter.", 9, 12)), activity=both)
    assert named(result) == [("James", "no money at all"), ("Ada", "The station by winter.")]


def test_a_recording_is_put_to_the_meetings_clock() -> None:
    meeting = recorded_meeting(Trouble(offset=-3.0, drift=50e-6), seconds=1800, seed=4)
    activity = activity_of_metadata(meeting.metadata(), start=START)
    voices: dict[str, list[tuple[float, float]]] = {}
    for one in meeting.heard.segments:
        voices.setdefault(one.voice or "", []).append((one.start, one.end))
    for expected in (0.0, None):
        fit = fit_clock(activity, voices, expected=expected)
        assert fit(0.0) == pytest.approx(-3.0, abs=0.1)
        assert fit(1800.0) == pytest.approx(1797.0 + 0.09, abs=0.1)


def test_what_is_promised_holds_for_a_meeting_of_ten() -> None:
    meeting = recorded_meeting(Trouble(), seconds=1200, seed=6)
    score = ours(meeting)
    assert score.wrong <= MOST_WRONG
    assert score.assigned >= LEAST_ASSIGNED
    assert la_suites(meeting).wrong > MOST_WRONG


def test_without_any_activity_voices_keep_their_labels() -> None:
    result = align(document(), heard(said("one", 1, 2, "A"), said("two", 3, 4), started_at=None))
    assert named(result) == [("A", "one"), ("", "two")]


def test_the_same_input_gives_the_same_document() -> None:
    meeting = recorded_meeting(Trouble(), seconds=120, seed=2)
    once, again = (
        align(document(), meeting.heard, activity=meeting.activity).model_dump_json() for _ in "12"
    )
    assert once == again
    ids = [one.id for one in align(document(), meeting.heard, activity=meeting.activity).segments]
    assert len(set(ids)) == len(ids)


def test_what_was_said_before_the_meeting_begins_at_its_start() -> None:
    early = heard(said("too early", 0, 2), started_at=iso(START - 5))
    (segment,) = align(document(), early, activity={ADA: ((50.0, 51.0),)}).segments
    assert (segment.start_ms, segment.end_ms >= 0, segment.start) == (0, True, iso(START))


def test_a_recording_in_which_nothing_was_said_leaves_the_live_lines() -> None:
    live = document(line(ADA, "one", 1, 4))
    assert align(live, heard(), activity=TALK).segments == live.segments


def missing(document: TranscriptDocument, *holes: Hole) -> TranscriptDocument:
    return document.model_copy(update={"holes": holes})


def hole(start: float, end: float, cause: str = "restart", *names: str) -> Hole:
    return Hole(
        start_ms=round(start * 1000),
        end_ms=round(end * 1000),
        start=iso(START + start),
        cause=cause,
        speakers=tuple(Person(identity=name, name=name.title()) for name in names),
        reason="",
    )


def test_of_a_hole_stays_what_the_recording_lacks_too() -> None:
    holes = (hole(1, 4), hole(18, 22), hole(30, 33), hole(58, 70))
    recorded = heard(said("one two", 1, 4), unheard=[(20, 25), (32.8, 40)])
    result = align(missing(document(), *holes), recorded, activity=TALK)
    assert result.holes == (hole(20, 22), hole(60, 70))


def test_where_no_audio_came_a_recording_fills_what_it_has_words_of() -> None:
    lost, had = hole(1, 5, "network", ADA), hole(8, 14, "network", JAMES)
    recorded = heard(said("three four", 8.5, 14))
    result = align(missing(document(), lost, had), recorded, activity=TALK)
    assert result.holes == (lost,)
