"""What was found window by window, and the sections that it makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.post_meeting.answers import Notes, Overview, Said, parse, response_format
from pipelines.post_meeting.findings import Finding, Found, Kind, evenly, readable
from pipelines.post_meeting.summary import DropReason, summary_schema
from pipelines.post_meeting.windows import Window
from pipelines.transcript.document import Segment

LINES = 20
WINDOW = Window(1, LINES, "")
SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "summary.schema.json"


def found() -> Found:
    segments = [
        Segment(
            id=f"1-{number}",
            speaker="ada",
            name="Ada",
            text="we go on with the budget",
            start_ms=number * 1000,
            end_ms=number * 1000 + 900,
            start="2026-11-21T09:30:00.000Z",
            language="en",
            engine="fake/fake",
            revision=0,
        )
        for number in range(1, LINES + 1)
    ]
    return Found(segments, ["Ada"], "en")


def notes(*sections: tuple[str, int, list[int]], **lists: Any) -> Notes:
    """Return notes of sections: title, first line, one statement for each line."""
    told = [
        {
            "title": title,
            "first_line": first,
            "statements": [{"text": f"They go on after {title}.", "lines": [it]} for it in cited],
        }
        for title, first, cited in sections
    ]
    empty: dict[str, Any] = {"decisions": [], "actions": [], "questions": []}
    return Notes.model_validate({"sections": told, **empty, **lists})


def spans(made: Found, findings: list[Finding]) -> list[tuple[str, int, int, int]]:
    return [
        (one.title, one.start_ms, one.end_ms, len(one.statements))
        for one in made.sections(findings)
    ]


@pytest.mark.parametrize(
    ("sections", "spanned"),
    [
        ([("a", 1, [1]), ("b", 11, [12])], [("a", 1000, 10900, 1), ("b", 11000, 20900, 1)]),
        # The first begins too late, they are out of order, one begins outside.
        ([("b", 11, [12]), ("a", 3, [2])], [("a", 1000, 10900, 1), ("b", 11000, 20900, 1)]),
        ([("a", 1, [1]), ("b", 99, [12])], [("a", 1000, 20900, 1)]),
        ([("a", 99, [1])], [("a", 1000, 20900, 1)]),
        # Nothing holds of one of them: the one before goes on.
        ([("a", 1, [1]), ("b", 11, [])], [("a", 1000, 20900, 1)]),
        ([], [("budget, with", 1000, 20900, 0)]),
    ],
)
def test_sections_leave_no_line_out_and_do_not_overlap(
    sections: list[tuple[str, int, list[int]]], spanned: list[tuple[str, int, int, int]]
) -> None:
    made = found()
    assert spans(made, made.noted(notes(*sections), WINDOW)) == spanned


def test_a_statement_that_cites_the_next_section_is_dropped() -> None:
    made = found()
    made.noted(notes(("a", 1, [1, 11]), ("b", 11, [12])), WINDOW)
    assert [one.reason for one in made.dropped] == [DropReason.OUTSIDE_SECTION]


def test_a_title_that_says_what_was_not_said_gives_way_to_words_that_were() -> None:
    made = found()
    (title, *_) = made.noted(notes(("5,000 euros", 1, [1])), WINDOW)
    assert title.text == "budget, with"


def test_what_is_said_twice_is_left_out_and_noted_as_dropped() -> None:
    made = found()
    said = [{"text": "They go on.", "lines": [line]} for line in (1, 12)]
    findings = made.noted(notes(("a", 1, [1]), ("b", 11, [12]), decisions=said), WINDOW)
    kinds = [one.kind for one in findings]
    again, second = kinds.index(Kind.DECISION) + 1, 2
    left = made.without(findings, {0, 1, second, again})
    # The first title and a statement can't go; the second section goes on with the first.
    assert [one.kind for one in left] == ["section", "statement", "statement", "decision"]
    assert [one.reason for one in made.dropped] == [DropReason.SUPERSEDED]
    assert spans(made, left) == [("a", 1000, 20900, 2)]


def test_a_section_that_no_model_wrote_keeps_its_title() -> None:
    made = found()
    first = made.noted(notes(("a", 1, [1])), Window(1, 10, ""))
    findings = [*first, *made.extracted(Window(11, 20, ""))]
    left = made.without(findings, {2})
    assert [one.extractive for one in made.sections(left)] == [False, True]


def test_an_overview_cites_only_lines_of_the_notes_it_was_shown() -> None:
    made = found()
    shown = made.noted(notes(("a", 1, [1, 2])), WINDOW)
    said = [Said(text="They go on.", lines=(line,)) for line in (1, 2, 3, 1)]
    kept = made.overview(said, shown, most=3)
    assert [one.lines for one in kept] == [(1,), (2,)]


def test_overviews_are_read_before_decisions_where_not_all_fits() -> None:
    text = "word " * 20
    kinds = [Kind.OVERVIEW, Kind.SECTION, Kind.STATEMENT, Kind.QUESTION, Kind.DECISION] * 2
    findings = [Finding(kind, text, (1,)) for kind in kinds]
    assert readable(findings, 10_000) == [0, 3, 4, 5, 8, 9]
    assert readable(findings, 200) == [0, 4, 5]
    assert readable(findings[1:5], 10_000) == [0, 1, 2, 3]


def test_an_overview_that_no_model_wrote_is_spread_over_the_meeting() -> None:
    pair = [Finding(Kind.SECTION, "t", (1,)), Finding(Kind.STATEMENT, "s", (1,))]
    findings = [one for at in range(20) for one in (pair[0], Finding(Kind.STATEMENT, "s", (at,)))]
    assert [one.lines[0] for one in evenly(findings, 4)] == [0, 5, 10, 15]
    assert len(evenly(pair, 4)) == 1


@pytest.mark.parametrize("words", ["{}", "```json\n{}\n```", "Here you are: {} Anything else?"])
def test_an_answer_is_found_among_other_words(words: str) -> None:
    overview = {"overview": [], "same_topic": [], "drop": [], "mood": "sad"}
    assert parse(words.replace("{}", json.dumps(overview)), Overview).drop == ()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("sorry", "it holds no JSON object"),
        ("{secret", "it holds no JSON object"),
        ("{secret}", "it is no valid JSON"),
        ("{" * 10_000 + "}" * 10_000, "it is no valid JSON"),
        ('{"overview": "secret", "drop": []}', "overview: .*; same_topic: Field required"),
    ],
)
def test_an_answer_of_another_shape_is_refused_without_repeating_it(
    words: str, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem) as refused:
        parse(words, Overview)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("answer", [Notes, Overview])
def test_an_answers_schema_is_one_that_strict_servers_take(answer: Any) -> None:
    schema = response_format(answer)["json_schema"]["schema"]
    for part in (schema, *schema.get("$defs", {}).values()):
        assert part["additionalProperties"] is False
        assert sorted(part["required"]) == sorted(part["properties"])


def test_the_schema_in_the_docs_is_that_of_the_code() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == summary_schema()
