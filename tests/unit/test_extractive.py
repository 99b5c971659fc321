"""The summary that no model wrote."""

from __future__ import annotations

from itertools import pairwise

from pipelines.post_meeting.extractive import OVERVIEW, extractive_summary
from pipelines.post_meeting.summary import EXTRACTIVE, Summary
from pipelines.transcript.document import Segment, TranscriptDocument

TALK = "yes i see that and i think so too"


def meeting(*texts: str, every_ms: int = 10_000) -> TranscriptDocument:
    segments = tuple(
        Segment(
            id=f"1-{at}",
            speaker="ada",
            name="Ada",
            text=text,
            start_ms=at * every_ms,
            end_ms=at * every_ms + 5000,
            start="2026-11-21T09:30:00.000Z",
            language="en",
            engine="fake/fake",
            revision=0,
        )
        for at, text in enumerate(texts)
    )
    return TranscriptDocument(
        meeting="m",
        room="r",
        seal=1,
        epochs=(1,),
        started_at=None,
        ended_at=None,
        participants=(),
        speakers=(),
        segments=segments,
        notes=(),
    )


def summary(document: TranscriptDocument) -> Summary:
    return extractive_summary(document, language="en", template="general")


def test_it_says_that_no_model_wrote_it() -> None:
    made = summary(meeting("hello"))
    assert made.made_by == EXTRACTIVE
    assert all(section.extractive for section in made.sections)


def test_each_statement_is_a_line_as_it_was_said() -> None:
    document = meeting("the budget of the launch\nis too small", TALK, "the launch needs a budget")
    lines = {one.id: f"Ada: {' '.join(one.text.split())}" for one in document.segments}
    statements = list(summary(document).statements())
    assert statements
    assert all([lines[one.cites[0]]] == [one.text] for one in statements)


def test_a_line_of_somebody_unknown_has_no_name_before_it() -> None:
    document = meeting("the budget of the launch is too small")
    nobody = document.segments[0].model_copy(update={"speaker": "", "name": ""})
    made = summary(document.model_copy(update={"segments": (nobody,)}))
    assert [one.text for one in made.overview] == ["the budget of the launch is too small"]


def test_what_is_talked_about_more_than_once_is_worth_more_than_small_talk() -> None:
    told = ["the budget of the launch is too small", "then the launch needs another budget"]
    made = summary(meeting(*[TALK] * 8, told[0], *[TALK] * 8, told[1], *[TALK] * 8))
    assert {f"Ada: {one}" for one in told} <= {one.text for one in made.overview}


def test_a_line_that_only_repeats_another_is_not_chosen_before_a_new_one() -> None:
    same, new = "the budget is too small again", "hiring starts when hiring is allowed"
    made = summary(meeting(*[same] * 10, new, new))
    assert f"Ada: {new}" in {one.text for one in made.overview}


def test_a_long_meeting_has_sections_that_leave_no_line_out() -> None:
    document = meeting(*["the budget is too small"] * 360)  # an hour
    sections = summary(document).sections
    assert 4 <= len(sections) <= 8
    assert sections[0].start_ms == 0
    assert sections[-1].end_ms == document.segments[-1].end_ms
    for one, after in pairwise(sections):
        assert one.end_ms <= after.start_ms
        assert after.start_ms - one.end_ms < 10_000


def test_the_overview_is_short_and_in_order() -> None:
    document = meeting(*[f"topic number{at} goes on" for at in range(100)])
    cites = [int(one.cites[0].split("-")[1]) for one in summary(document).overview]
    assert len(cites) == OVERVIEW
    assert cites == sorted(cites)


def test_a_meeting_without_a_word_has_an_empty_summary() -> None:
    made = summary(meeting())
    assert not made.sections
    assert not list(made.statements())


def test_other_scripts_are_summarised_too() -> None:
    assert summary(meeting("我们决定把会议推迟到下周", "Мы решили перенести встречу")).overview
