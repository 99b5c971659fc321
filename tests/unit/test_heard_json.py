"""What transcription services answer is read whatever its shape, and what silence said is not."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.post_meeting.heard_json import only_spoken, read_answer
from pipelines.post_meeting.transcription import HeardSegment

WORDS: Any = [
    {"word": "hello", "start": 1.0, "end": 1.4, "speaker": "SPEAKER_01"},
    {"word": "42"},
    {"word": "there", "start": 2.0, "end": None, "speaker": None},
]


def read(body: Any, **options: Any) -> list[HeardSegment]:
    return read_answer(body, **{"offset": 100.0, "seconds": 10.0, "part": 2, **options})


def test_whisperx_tells_words_and_voices() -> None:
    body = {"segments": [{"start": 1, "end": 3, "text": " hello 42 there ", "words": WORDS}]}
    (segment,) = read({**body, "word_segments": WORDS})
    assert (segment.text, segment.start, segment.end, segment.part) == (
        "hello 42 there",
        101.0,
        103.0,
        2,
    )
    assert [(word.text, word.start, word.voice) for word in segment.words] == [
        ("hello", 101.0, "SPEAKER_01"),
        ("42", None, None),
        ("there", 102.0, None),
    ]


@pytest.mark.parametrize("words", [None, [], "none", [{"word": ""}, 7]])
def test_segments_need_no_words(words: Any) -> None:
    (segment,) = read({"segments": [{"start": 1, "end": 3, "text": "hello", "words": words}]})
    assert (segment.words, segment.text) == ((), "hello")


def test_segments_without_bounds_lie_between_their_neighbours() -> None:
    listed = [
        {"text": "one", "start": None, "end": None},
        {"text": "two", "start": 4.0, "end": 5.0},
        {"text": "three"},
        {"text": "four", "start": 8.0, "end": float("nan")},
    ]
    times = [(one.start, one.end) for one in read({"segments": listed}, offset=0.0)]
    assert times == [(0.0, 4.0), (4.0, 5.0), (5.0, 8.0), (8.0, 10.0)]


def test_segments_without_bounds_take_those_of_their_words() -> None:
    (segment,) = read({"segments": [{"text": "hello", "words": WORDS}]}, offset=0.0)
    assert (segment.start, segment.end) == (1.0, 1.4)


def test_openais_words_lie_beside_its_segments() -> None:
    segments = [
        {"start": 0, "end": 1.9, "text": "hello 42"},
        {"start": 2, "end": 3, "text": "there"},
    ]
    found = read({"text": "hello 42 there", "segments": segments, "words": WORDS})
    assert [[word.text for word in one.words] for one in found] == [["hello", "42"], ["there"]]


def test_text_alone_lasts_as_long_as_the_audio() -> None:
    (segment,) = read({"text": "hello", "language": "english"})
    assert (segment.start, segment.end, segment.language) == (100.0, 110.0, "")
    assert read({"text": "hello", "language": "fr"})[0].language == "fr"


def test_times_beyond_the_audio_are_put_into_it() -> None:
    (segment,) = read({"segments": [{"start": -3, "end": 99, "text": "x"}]})
    assert (segment.start, segment.end) == (100.0, 110.0)


@pytest.mark.parametrize("body", [[], "text", {}, {"segments": "none"}, {"text": None}])
def test_what_is_no_answer_is_refused(body: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(body)


def test_blank_segments_are_left_out() -> None:
    assert read({"segments": [{"start": 1, "end": 2, "text": "  "}]}) == []


def test_a_word_whose_time_is_no_number_has_none() -> None:
    words = [{"word": "one", "start": float("nan"), "end": "soon"}, {"word": "two", "start": True}]
    (segment,) = read({"segments": [{"start": 1, "end": 2, "text": "one two", "words": words}]})
    assert [(word.start, word.end) for word in segment.words] == [(None, None), (None, None)]


def test_what_was_heard_in_silence_is_left_out_in_any_language() -> None:
    listed = [
        {"start": 1, "end": 3, "text": "bonjour"},
        {"start": 6, "end": 9, "text": "Sous-titres réalisés par la communauté"},
    ]
    found = only_spoken(read({"segments": listed}, offset=0.0), [(1.0, 3.2), (20.0, 21.0)])
    assert [one.text for one in found] == ["bonjour"]


def test_words_that_were_heard_in_silence_are_left_out_of_their_segment() -> None:
    words = [
        {"word": "Hello.", "start": 1.0, "end": 1.5},
        {"word": "Thank", "start": 5.0, "end": 5.3},
        {"word": "you.", "start": 5.3, "end": 5.6},
    ]
    body = {"segments": [{"start": 1, "end": 6, "text": "Hello. Thank you.", "words": words}]}
    (segment,) = only_spoken(read(body, offset=0.0), [(1.0, 1.6)])
    assert (segment.text, segment.end) == ("Hello.", 1.5)
    chinese = {**body["segments"][0], "text": "Hello.Thankyou."}
    (segment,) = only_spoken(read({"segments": [chinese]}, offset=0.0), [(1.0, 1.6), (5.2, 6.0)])
    assert segment.text == "Hello.Thankyou."
