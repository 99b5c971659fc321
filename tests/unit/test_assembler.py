"""From an engine's results to captions."""

from __future__ import annotations

from itertools import count

from pipelines.events import CaptionFinal, CaptionInterim
from pipelines.speech.stt import Heard
from pipelines.transcript.assembler import Assembler


def receive(*results: Heard) -> list[CaptionInterim | CaptionFinal | None]:
    numbers = count(1)
    assembler = Assembler(
        began=1000.0,
        identity="ada",
        track="TR_1",
        engine="e/m",
        new_segment=lambda: f"s{next(numbers)}",
    )
    return [assembler.receive(heard) for heard in results]


def test_a_segment_keeps_its_id_from_first_interim_to_final() -> None:
    first, final = receive(
        Heard("good", final=False, start=0.5, end=1.0),
        Heard("good morning", final=True, start=0.5, end=1.5, language="en"),
    )
    assert isinstance(first, CaptionInterim)
    assert isinstance(final, CaptionFinal)
    assert first.segment == final.segment == "s1"
    assert (final.at, final.end, final.language, final.engine) == (1000.5, 1001.5, "en", "e/m")


def test_each_part_of_a_long_span_is_a_segment_of_its_own() -> None:
    results = receive(
        Heard("one", final=True, start=0.0, end=1.0, part=0),
        Heard("two", final=False, start=1.0, end=2.0, part=1),
        Heard("two", final=True, start=1.0, end=2.0, part=1),
    )
    assert [caption.segment for caption in results if caption] == ["s1", "s2", "s2"]


def test_what_says_nothing_new_is_no_caption() -> None:
    results = receive(
        Heard(" ", final=False, start=0.0, end=0.5),
        Heard("good", final=False, start=0.0, end=1.0),
        Heard("good ", final=False, start=0.0, end=1.2),
        Heard("", final=True, start=0.0, end=1.0, part=1),
    )
    assert [caption is None for caption in results] == [True, False, True, True]


def test_a_final_of_nothing_withdraws_an_interim_that_was_seen() -> None:
    _, final = receive(
        Heard("uh", final=False, start=0.0, end=0.5), Heard("", final=True, start=0.0, end=0.5)
    )
    assert isinstance(final, CaptionFinal)
    assert final.text == ""
