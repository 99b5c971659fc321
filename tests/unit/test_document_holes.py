"""Holes in the document: where speech may be missing, each stretch once."""

from __future__ import annotations

import pytest

from pipelines.transcript.line import Line
from tests.unit.meeting_lines import (
    START,
    document,
    hole,
    opened,
    person,
)


def test_a_hole_is_in_the_document_with_all_it_says() -> None:
    lines = [opened(), person("ada", "Ada"), hole(1250, 2500, "ada", "bob", reason="no answer")]
    assert document(*lines).holes[0].model_dump() == {
        "start_ms": 1250,
        "end_ms": 2500,
        "start": "2026-11-21T09:30:01.250Z",
        "cause": "engine",
        "speakers": (
            {"identity": "ada", "name": "Ada"},
            {"identity": "bob", "name": "bob"},
        ),
        "reason": "no answer",
    }


def test_holes_are_in_order_of_start_and_within_the_meeting_as_its_first_epoch_knew_it() -> None:
    later = opened(epoch=2, started_at=START + 10)
    made = document(opened(), later, hole(-500, 900), hole(5000, 4000), hole(0, 2000, epoch=2))
    assert [(one.start_ms, one.end_ms) for one in made.holes] == [
        (0, 900),
        (5000, 5000),
        (10_000, 12_000),
    ]


@pytest.mark.parametrize(
    ("marked", "shown"),
    [
        ([hole(0, 900, "ada"), hole(800, 2000, "ada")], [(0, 2000)]),
        ([hole(0, 900, "ada"), hole(1300, 2000, "ada")], [(0, 2000)]),  # no word is between them
        ([hole(0, 900, "ada"), hole(2000, 2900, "ada")], [(0, 900), (2000, 2900)]),
        ([hole(0, 900, "ada"), hole(800, 2000, "bob")], [(0, 900), (800, 2000)]),
        ([hole(0, 900), hole(800, 2000, cause="restart")], [(0, 900), (800, 2000)]),
        ([hole(0, 5000, cause="restart"), hole(100, 900, "ada"), hole(0, 5000)], [(0, 5000)]),
        ([hole(0, 5000, "ada", "bob"), hole(100, 900, "bob", cause="network")], [(0, 5000)]),
        ([hole(0, 5000, "ada"), hole(100, 900, "bob")], [(0, 5000), (100, 900)]),
        ([hole(0, 5000, "ada"), hole(100, 900)], [(0, 5000), (100, 900)]),
    ],
)
def test_what_several_holes_say_of_the_same_speech_is_shown_once(
    marked: list[Line], shown: list[tuple[int, int]]
) -> None:
    made = document(opened(), *marked)
    assert [(one.start_ms, one.end_ms) for one in made.holes] == shown


def test_who_is_only_in_a_hole_is_no_speaker() -> None:
    assert document(opened(), hole(0, 900, "ada")).speakers == ()
