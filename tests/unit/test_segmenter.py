"""The state table of speech: seconds in, spans out."""

from __future__ import annotations

from pipelines.speech.segmenter import Ended, Segmenter, Started

WINDOW = 0.032


def run(segmenter: Segmenter, *parts: tuple[float, float]) -> list[Started | Ended]:
    """Feed (seconds, probability) parts and return what was settled."""
    at = 0.0
    found = []
    for seconds, probability in parts:
        for _ in range(round(seconds / WINDOW)):
            if change := segmenter.process(probability, at, at + WINDOW):
                found.append(change)
            at += WINDOW
    return found


def test_a_span_has_the_times_at_which_speech_began_and_ended_not_of_the_decision() -> None:
    found = run(Segmenter(), (0.96, 0.0), (1.92, 0.9), (0.96, 0.0))
    assert [type(change) for change in found] == [Started, Ended]
    assert abs(found[0].at - 0.96) < WINDOW
    assert abs(found[1].at - 2.88) < WINDOW


def test_a_click_is_no_speech() -> None:
    assert run(Segmenter(), (0.32, 0.0), (0.064, 0.9), (0.96, 0.0)) == []


def test_a_breath_does_not_end_a_span() -> None:
    found = run(Segmenter(), (0.96, 0.9), (0.32, 0.0), (0.96, 0.9), (0.96, 0.0))
    assert [type(change) for change in found] == [Started, Ended]


def test_between_the_thresholds_nothing_changes() -> None:
    assert run(Segmenter(), (3.2, 0.42)) == []
    assert [type(c) for c in run(Segmenter(), (0.96, 0.9), (3.2, 0.42))] == [Started]


def test_a_soft_beginning_belongs_to_the_span_unless_a_pause_is_between_or_it_is_too_long() -> None:
    def began(*parts: tuple[float, float]) -> float:
        return run(Segmenter(), (0.96, 0.0), *parts, (0.96, 0.9))[0].at

    assert abs(began((0.256, 0.2)) - 0.96) < WINDOW
    assert abs(began((0.256, 0.2), (0.064, 0.0)) - 1.28) < WINDOW
    assert abs(began((3.2, 0.2)) - (4.16 - 0.4)) < WINDOW


def test_the_end_of_audio_ends_an_open_span() -> None:
    segmenter = Segmenter()
    run(segmenter, (0.96, 0.9))
    assert segmenter.finish(0.96) == Ended(0.96)
    assert segmenter.finish(0.96) is None


def test_the_end_of_audio_in_a_pause_ends_the_span_where_the_pause_began() -> None:
    segmenter = Segmenter()
    run(segmenter, (0.96, 0.9), (0.32, 0.0))
    ended = segmenter.finish(1.28)
    assert ended is not None
    assert abs(ended.at - 0.96) < WINDOW
