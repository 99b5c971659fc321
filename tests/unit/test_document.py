"""The document that a meeting's lines make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pipelines.transcript.document import document_schema
from pipelines.transcript.line import Line
from tests.unit.meeting_lines import (
    START,
    correction,
    document,
    ended,
    final,
    line,
    note,
    opened,
    person,
    texts,
)

SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "transcript.schema.json"


def test_a_final_becomes_a_segment_with_all_it_says() -> None:
    segment = document(opened(), final("s1", "hello", start_ms=1250, end_ms=2000)).segments[0]
    assert segment.model_dump() == {
        "id": "s1",
        "speaker": "ada",
        "name": "Ada",
        "text": "hello",
        "start_ms": 1250,
        "end_ms": 2000,
        "start": "2026-11-21T09:30:01.250Z",
        "language": "en",
        "engine": "fake/fake",
        "revision": 0,
        "source": "live",
        "correction": None,
    }


def test_a_segment_that_a_person_corrected_says_who_and_when_and_what_it_was() -> None:
    (segment,) = document(final("s1", "helo"), correction("s1", "hello")).segments
    assert (segment.text, segment.source) == ("hello", "person")
    assert segment.correction
    assert segment.correction.model_dump() == {
        "by": {"identity": "grace", "name": "Grace"},
        "at": "2026-11-21T09:31:00.000Z",
        "original": "helo",
    }


@given(st.permutations([0, 1, 2, 3, 4]))
def test_no_machine_overwrites_a_person_and_the_last_correction_counts_in_whatever_order(
    order: list[int],
) -> None:
    lines = [
        final("s1", "machine"),
        correction("s1", "first"),
        correction("s1", "second"),
        final("s1", "machine again", revision=1),
        final("s1", "", revision=2),  # Withdrawn by the machine.
    ]
    (segment,) = document(*(lines[index] for index in order)).segments
    assert segment.text == "second"


def test_the_audit_trail_is_in_the_document_in_the_order_of_keeping() -> None:
    asked = line("action", at=START + 2, event="requested", id="a1", tool="poll", to="ada")
    refused = line("action", at=START + 1, event="refused", tool="format_disk")
    actions = [one.model_dump() for one in document(opened(), refused, asked).actions]
    assert actions == [
        {"event": "requested", "id": "a1", "ms": 2000, "data": {"tool": "poll", "to": "ada"}}
        | {"at": "2026-11-21T09:30:02.000Z"},
        {"event": "refused", "id": "", "ms": 1000, "data": {"tool": "format_disk"}}
        | {"at": "2026-11-21T09:30:01.000Z"},
    ]


def test_segments_are_in_order_of_start_then_epoch_then_sequence() -> None:
    late = final("late", "4", start_ms=900)
    same_start = [final("c", "3", epoch=2), final("a", "1"), final("b", "2")]
    assert texts(late, *same_start) == ["1", "2", "3", "4"]


def test_a_line_that_is_there_twice_counts_once() -> None:
    said = final("s1")
    assert texts(said, said) == ["hello"]


def test_a_final_that_two_epochs_kept_counts_once_as_first_kept() -> None:
    assert texts(final("s1", "second", epoch=2), final("s1", "first", epoch=1)) == ["first"]


def test_a_revision_does_not_move_a_segment_behind_one_that_starts_with_it() -> None:
    said = [final("s1"), final("s2", "2"), final("s1", "1", revision=1)]
    assert texts(*said) == ["1", "2"]


@given(st.permutations([0, 1, 2]))
def test_the_highest_revision_counts_in_whatever_order_they_come(order: list[int]) -> None:
    said = [final("s1", f"revision {number}", revision=number) for number in order]
    assert texts(*said) == ["revision 2"]


@pytest.mark.parametrize("nothing", ["", " \n"])
def test_a_revision_that_says_nothing_withdraws_the_segment(nothing: str) -> None:
    assert texts(final("s1"), final("s1", nothing, revision=1)) == []


def test_a_withdrawn_segment_comes_back_with_a_higher_revision() -> None:
    said = [final("s1"), final("s1", "", revision=1), final("s1", "again", revision=2)]
    assert texts(*said) == ["again"]


def test_who_leaves_and_returns_is_one_speaker() -> None:
    made = document(
        person("ada", "Ada"),
        final("s1"),
        person("ada", "Ada", after_s=60, epoch=2),
        final("s2", start_ms=61_000, epoch=2),
    )
    assert [speaker.identity for speaker in made.speakers] == ["ada"]


def test_speakers_are_in_the_order_of_their_first_words() -> None:
    made = document(
        person("ada", "Ada"), final("s1", start_ms=500), final("s2", speaker="bob", name="Bob")
    )
    assert [speaker.name for speaker in made.speakers] == ["Bob", "Ada"]


def test_who_was_there_and_said_nothing_is_a_participant_and_no_speaker() -> None:
    made = document(person("eve", "Eve"), final("s1"))
    assert [person.name for person in made.participants] == ["Eve", "Ada"]
    assert [person.name for person in made.speakers] == ["Ada"]


def test_a_renamed_speaker_has_the_last_name_everywhere() -> None:
    made = document(
        person("ada", "Countess", after_s=90, epoch=1),
        person("ada", "Ada", after_s=0, epoch=2),  # Written later, told earlier.
        final("s1", name="Ada"),
        final("s2", start_ms=95_000, name="Ada"),
    )
    assert [made.speakers[0].name, *(it.name for it in made.segments)] == ["Countess"] * 3


def test_a_name_that_only_captions_tell_is_taken_from_the_last_of_them() -> None:
    made = document(final("s1", name="Ada"), final("s2", name="Countess", start_ms=5000))
    assert [made.speakers[0].name, *(it.name for it in made.segments)] == ["Countess"] * 3


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_name_falls_back_to_the_identity(empty: str) -> None:
    made = document(person("ada", empty), final("s1", name=empty))
    assert [made.speakers[0].name, made.segments[0].name] == ["ada", "ada"]


def test_an_empty_name_does_not_hide_an_earlier_one() -> None:
    made = document(person("ada", "Ada"), person("ada", "", after_s=5), final("s1", name=""))
    assert made.segments[0].name == "Ada"


def test_overlapping_segments_keep_their_own_times() -> None:
    made = document(
        final("s1", start_ms=0, end_ms=5000), final("s2", start_ms=1000, end_ms=2000, speaker="bob")
    )
    assert [(it.start_ms, it.end_ms) for it in made.segments] == [(0, 5000), (1000, 2000)]


def test_no_segment_ends_before_it_starts() -> None:
    segment = document(final("s1", start_ms=700, end_ms=300)).segments[0]
    assert (segment.start_ms, segment.end_ms) == (700, 700)


def test_no_segment_starts_before_the_meeting() -> None:
    segment = document(opened(), final("s1", start_ms=-40, end_ms=300)).segments[0]
    assert (segment.start_ms, segment.end_ms, segment.start) == (0, 300, "2026-11-21T09:30:00.000Z")


def test_the_meeting_starts_where_the_earliest_epoch_says() -> None:
    made = document(opened(epoch=1, started_at=START), opened(epoch=2, started_at=START - 30))
    assert made.started_at == "2026-11-21T09:29:30.000Z"


def test_times_of_an_epoch_that_knew_a_later_start_keep_their_wall_time() -> None:
    made = document(
        opened(epoch=1, started_at=START),
        final("s1", start_ms=1000, end_ms=1500, epoch=1),
        opened(epoch=2, started_at=START - 30),
    )
    segment = made.segments[0]
    assert (segment.start_ms, segment.end_ms) == (31_000, 31_500)
    assert segment.start == "2026-11-21T09:30:01.000Z"


def test_the_meeting_ends_when_its_last_epoch_ends() -> None:
    made = document(opened(), final("s1"), ended(after_s=5), ended(after_s=9, epoch=2))
    assert made.ended_at == "2026-11-21T09:30:09.000Z"


def test_the_meeting_ends_with_the_last_words_when_no_later_end_is_known() -> None:
    made = document(opened(), ended(after_s=0.5), final("s1", end_ms=2500, epoch=2))
    assert made.ended_at == "2026-11-21T09:30:02.500Z"


def test_every_epoch_is_named_once_in_order() -> None:
    made = document(opened(epoch=7), opened(epoch=3), final("s1", epoch=7))
    assert made.epochs == (3, 7)


def test_notes_are_in_the_order_of_time() -> None:
    made = document(opened(), note("chat", {"n": 2}, after_s=2), note("chat", {"n": 1}, after_s=1))
    assert [it.model_dump() for it in made.notes] == [
        {
            "agent": "metadata",
            "kind": "chat",
            "at": f"2026-11-21T09:30:0{n}.000Z",
            "ms": n * 1000,
            "data": {"n": n},
        }
        for n in (1, 2)
    ]


def test_an_agents_state_is_not_in_the_document() -> None:
    made = document(opened(), line("state", key="secret", value="x"))
    assert "secret" not in made.model_dump_json()


def test_a_meeting_where_nobody_spoke_has_a_document() -> None:
    made = document(opened(), ended(after_s=60))
    assert not any((made.segments, made.speakers, made.participants, made.notes))
    assert (made.meeting, made.room, made.started_at, made.ended_at) == (
        "standup",
        "room",
        "2026-11-21T09:30:00.000Z",
        "2026-11-21T09:31:00.000Z",
    )


def test_no_lines_make_a_document_without_times() -> None:
    made = document()
    assert (made.meeting, made.epochs, made.started_at, made.ended_at) == ("", (), None, None)


def test_lines_of_two_meetings_are_refused() -> None:
    other = Line("retrospective", 1, 1, "ended", START, {"reason": ""})
    with pytest.raises(ValueError, match="2 meetings"):
        document(opened(), other)


def test_lone_surrogates_become_replacement_characters() -> None:
    made = document(
        opened(),
        final("s1", 'a\ud83d"b', name="\udfff", speaker="\ud800"),
        note("chat", {"\ud800": ["\udc00"]}),
    )
    written = json.loads(made.model_dump_json().encode("utf-8"))
    assert written["segments"][0]["text"] == 'a\ufffd"b'
    assert written["speakers"] == [{"identity": "\ufffd", "name": "\ufffd"}]
    assert written["notes"][0]["data"] == {"\ufffd": ["\ufffd"]}


@given(
    st.lists(
        st.builds(
            final,
            st.sampled_from("abc"),
            st.sampled_from(["", "hello", "world"]),
            start_ms=st.integers(-100, 100),
            end_ms=st.integers(-100, 100),
            epoch=st.integers(1, 3),
            revision=st.integers(0, 2),
            speaker=st.sampled_from(["ada", "bob"]),
        )
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_in_which_lines_come_does_not_matter(lines: list[Line], random: Any) -> None:
    said = [opened(), *lines]
    shuffled = random.sample(said * 2, k=len(said) * 2)
    assert document(*shuffled) == document(*said)


def test_the_schema_file_is_up_to_date() -> None:
    how = "run: python -m pipelines.transcript.document > docs/transcript.schema.json"
    assert SCHEMA_FILE.read_text(encoding="utf-8") == document_schema(), how


def test_a_document_obeys_its_schema() -> None:
    schema = json.loads(document_schema())
    Draft202012Validator.check_schema(schema)
    made = document(opened(), person("eve", "Eve"), final("s1"), note("chat", [1, None, "x"]))
    Draft202012Validator(schema).validate(json.loads(made.model_dump_json()))
