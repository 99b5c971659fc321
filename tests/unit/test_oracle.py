"""The oracle of the fault suite: what it finds where something is lost, doubled or not marked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.soak.counting import NUMBER, NUMBERS, Voice, numbers_in, words_of
from bench.soak.oracle import (
    Caption,
    Evidence,
    MarkedHole,
    Said,
    Unheard,
    in_the_room,
    judge,
    unheard_after,
)
from pipelines.testing import coded_speech

WHO = "person-0"


def said(*numbers: int, start: float = 100.0, who: str = WHO) -> list[Said]:
    return [
        Said(who, number, start + place * NUMBER, start + (place + 1) * NUMBER)
        for place, number in enumerate(numbers)
    ]


def caption(*numbers: int, segment: str = "", who: str = WHO) -> Caption:
    text = " ".join(word for number in numbers for word in words_of(number))
    return Caption(segment or f"s{numbers[0]}", 0, who, text)


def evidence(spoken: list[Said], *captions: Caption) -> Evidence:
    """Everything went well: whatever was captioned was seen, sealed and stored."""
    numbers = {number for one in captions for number in numbers_in(one.text)}
    return Evidence(
        said=spoken,
        heard=numbers,
        journalled=captions,
        seen=captions,
        sealed=captions,
        stores={"redis": captions},
        holes=(),
    )


def test_every_number_has_words_of_its_own_and_is_heard_in_a_voice() -> None:
    assert len({words_of(number) for number in range(NUMBERS)}) == NUMBERS
    numbers = [0, 1, 77, NUMBERS - 1]
    sound = Voice(0.5).say(numbers, rate=coded_speech.RATE)
    heard = coded_speech.hear(sound.tobytes())
    assert numbers_in(" ".join(word.text for word in heard)) == numbers


def test_half_a_number_is_none() -> None:
    first, second = words_of(5)
    assert numbers_in(f"{second} {first}") == []
    assert numbers_in(f"{first} {first} {second}") == [5]


def test_a_meeting_in_which_all_went_well_is_kept() -> None:
    verdict = judge(evidence(said(1, 2, 3), caption(1, 2), caption(3)))
    assert verdict.kept
    assert (verdict.said, verdict.heard, verdict.published, verdict.sealed) == (3, 3, 3, 3)


def test_a_meeting_in_which_nobody_saw_anything_proves_nothing() -> None:
    assert not judge(evidence([])).kept


def test_what_was_seen_and_is_not_sealed_is_lost() -> None:
    whole = evidence(said(1, 2, 3), caption(1, 2), caption(3))
    verdict = judge(replace(whole, sealed=[caption(1, 2)]))
    assert (verdict.lost_finals, verdict.lost_numbers) == (("s3",), (3,))
    assert not verdict.kept


def test_what_is_sealed_with_another_text_is_lost() -> None:
    whole = evidence(said(1, 2), caption(1, 2, segment="a"))
    assert judge(replace(whole, sealed=[caption(1, segment="a")])).lost_finals == ("a",)


def test_what_was_seen_and_a_store_lacks_is_told_of_that_store() -> None:
    whole = evidence(said(1, 2), caption(1), caption(2))
    verdict = judge(replace(whole, stores={"redis": [caption(1)], "s3": whole.sealed}))
    assert verdict.not_stored == {"redis": ("s2",), "s3": ()}
    assert not verdict.kept


def test_a_segment_that_is_twice_in_the_transcript_is_doubled() -> None:
    whole = evidence(said(1), caption(1))
    assert judge(replace(whole, sealed=[caption(1), caption(1)])).doubled_finals == ("s1",)


def test_a_number_in_two_segments_is_doubled_though_their_ids_differ() -> None:
    verdict = judge(evidence(said(1, 2), caption(1, 2, segment="a"), caption(2, segment="b")))
    assert (verdict.doubled_finals, verdict.doubled_numbers) == ((), (2,))
    assert not verdict.kept


def test_a_later_revision_of_a_segment_doubles_nothing() -> None:
    first = caption(1, segment="a")
    second = replace(caption(1, 2, segment="a"), revision=1)
    assert judge(evidence(said(1, 2), first, second)).kept


def test_a_number_under_another_name_is_foreign() -> None:
    assert judge(evidence(said(1), caption(1, who="person-1"))).foreign == (1,)


@pytest.mark.parametrize(
    ("hole", "unmarked"),
    [
        ((), (2, 3, 4)),
        ((MarkedHole(100.4, 101.7),), ()),
        ((MarkedHole(100.4, 101.7, (WHO,)),), ()),
        ((MarkedHole(100.4, 101.7, ("person-1",)),), (2, 3, 4)),
        ((MarkedHole(110.0, 120.0),), (2, 3, 4)),
    ],
    ids=["none", "everybody's", "the speaker's", "somebody else's", "at another time"],
)
def test_what_nobody_heard_must_lie_in_a_marked_hole(
    hole: tuple[MarkedHole, ...], unmarked: tuple[int, ...]
) -> None:
    gap = evidence(said(1, 2, 3, 4, 5), caption(1), caption(5))
    verdict = judge(replace(gap, holes=hole))
    assert verdict.unmarked == unmarked
    assert verdict.in_holes == (0 if unmarked else 3)
    assert verdict.kept == (not unmarked)


def test_a_hole_that_is_wider_than_what_nobody_heard_is_told() -> None:
    whole = evidence(said(1, 2, 3, 4), caption(1, 2, 3, 4))
    assert judge(replace(whole, holes=[MarkedHole(99.0, 110.0)])).heard_in_holes == 4
    assert judge(replace(whole, holes=[MarkedHole(100.4, 101.3)])).heard_in_holes == 0


def test_a_gap_that_is_too_short_to_be_marked_is_counted_apart() -> None:
    verdict = judge(evidence(said(1, 2, 3, 4), caption(1), caption(4)))
    assert (verdict.short, verdict.unmarked, verdict.kept) == (2, (), True)


def test_what_a_strike_cost_is_told_by_the_gaps_after_it() -> None:
    gap = evidence(said(1, 2, 3, 4, 5), caption(1), caption(5))
    cost = unheard_after(gap, 100.5, 200.0)
    assert (cost.until, cost.gap) == pytest.approx((4 * NUMBER - 0.5, 3 * NUMBER))
    assert unheard_after(gap, 150.0, 200.0) == Unheard()
    assert unheard_after(evidence(said(1, 2, 3), caption(1), caption(3)), 100.0, 200.0) == Unheard()


def test_who_is_out_of_the_room_says_nothing_in_it() -> None:
    spoken = said(1, 2, 3, start=100.0) + said(4, start=110.0) + said(5, start=120.0)
    comings = [(90.0, WHO, True), (100.5, WHO, False), (108.0, WHO, True), (119.0, WHO, False)]
    assert [one.number for one in in_the_room(spoken, comings, back=1.0)] == [1, 4]
