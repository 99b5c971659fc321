"""Which speech is whose, while a job and its successor are both in the room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents.handover import NOTICE
from agents.turn import LONGEST, UNDECIDED, Began, Ceased, Share, Turn
from pipelines.speech.segmenter import Ended, Started
from pipelines.speech.spans import Piece, SpanDetector
from pipelines.speech.vad import SAMPLE_RATE

CHUNK = 0.05
TINY = 1e-6  # seconds, for what floats round
DIFFERENCE = 0.15
"""Seconds by which clocks and detectors of two jobs may differ together."""
AT = 6.0
"""The watershed."""

Span = tuple[float, float]


@dataclass(frozen=True)
class Sound:
    at: float
    speech: float


@dataclass
class Ears:
    """One job's detector and clock, off by ``clock`` seconds; it hears the spans as it does."""

    spans: Sequence[Span]
    since: float
    clock: float
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._at = self.since

    def predict(self, window: npt.NDArray[np.int16]) -> float:
        middle = self._at + len(window) / SAMPLE_RATE / 2
        self._at += len(window) / SAMPLE_RATE
        return 0.9 if any(begin <= middle < end for begin, end in self.spans) else 0.05

    def hear(self, until: float) -> Iterator[tuple[float, Began | Sound | Ceased]]:
        """Iterate over what is found, and up to when was heard then; all by the own clock."""
        detector = SpanDetector(self)
        samples = np.zeros(round(CHUNK * SAMPLE_RATE), np.int16)
        off = self.since + self.clock
        for number in range(round((until - self.since) / CHUNK)):
            heard = off + (number + 1) * CHUNK
            for found in detector.feed(samples)[1]:
                match found:
                    case Started(at):
                        yield heard, Began(at + off)
                    case Piece():
                        yield heard, Sound(found.at + off, found.speech)
                    case Ended(at):
                        yield heard, Ceased(at + off)


def taken(share: Share[Sound], heard: float, found: object, begins: float) -> list[float]:
    """Return the times of what the job takes."""
    match found:
        case Began(at):
            assert len(list(share.began(at, begins=begins))) <= 1
        case Ceased(at):
            assert len(list(share.ceased(at, heard=heard))) <= 1
        case Sound():
            sounds = share.sounds(found, begins=begins)
            return [one.at for one in sounds if isinstance(one, Sound)]
    return []


def hand_over(old: Ears, new: Ears, *, until: float) -> tuple[list[float], list[float], float]:
    """Return what each job takes, by the true clock, and the cut."""
    turn = Turn()
    share: Share[Sound] = Share(turn)
    olds: list[float] = []
    last = 0.0
    for heard, found in [*old.hear(until), (until, None)]:
        if not turn.is_over and heard > AT:
            turn.until = AT
            share.hand_over(max(last, AT))
        last = heard
        if found:
            olds += taken(share, heard, found, -np.inf)
    assert share.cut is not None
    follower: Share[Sound] = Share(Turn(since=AT))
    news = [
        at for heard, found in new.hear(until) for at in taken(follower, heard, found, share.cut)
    ]
    return [at - old.clock for at in olds], [at - new.clock for at in news], share.cut - old.clock


def said(pauses: Sequence[Span]) -> list[Span]:
    """Return when somebody speaks: after each pause for a while."""
    at, spans = 0.0, []
    for pause, length in pauses:
        spans.append((at + pause, at + pause + length))
        at += pause + length
    return spans


def heard_as(spans: Sequence[Span], shifts: Sequence[float]) -> list[Span]:
    """Return the spans with each edge where one job's detector finds it."""
    edges = [
        edge + shifts[number % len(shifts)]
        for number, edge in enumerate(edge for span in spans for edge in span)
    ]
    return list(zip(edges[::2], edges[1::2], strict=True))


half = st.floats(-DIFFERENCE / 4, DIFFERENCE / 4)
"""Two jobs differ in two things, each in both directions."""


@settings(max_examples=40, deadline=None)
@given(
    pauses=st.lists(st.tuples(st.floats(0.3, 1.5), st.floats(0.3, 3.0)), min_size=4, max_size=12),
    clocks=st.tuples(half, half),
    shifts=st.tuples(
        st.lists(half, min_size=7, max_size=7), st.lists(half, min_size=7, max_size=7)
    ),
)
@example(
    pauses=[(4.0, 1.5), (0.51, 2.0), (0.51, 2.0)], clocks=(0, 0), shifts=([0.03, 0], [0, 0.03])
)
@example(pauses=[(5.98, 1.5), (0.6, 2.0)], clocks=(0.05, -0.05), shifts=([0.0], [0.0]))
@example(pauses=[(6.02, 1.5), (0.6, 2.0)], clocks=(0.05, -0.05), shifts=([0.0], [0.0]))
@example(pauses=[(5.92, 1.5), (0.6, 2.0)], clocks=(0.0, 0.0), shifts=([0.0], [0.0]))
@example(pauses=[(5.0, 14.0), (0.6, 2.0)], clocks=(0.05, -0.05), shifts=([0.0], [0.0]))
def test_all_that_is_said_is_taken_by_one_job_and_only_by_one(
    pauses: list[Span], clocks: Span, shifts: tuple[list[float], list[float]]
) -> None:
    spans = said(pauses)
    old = Ears(heard_as(spans, shifts[0]), since=0.0, clock=clocks[0])
    new = Ears(heard_as(spans, shifts[1]), since=AT - NOTICE, clock=clocks[1])
    until = max(spans[-1][1], AT + LONGEST) + 3.0
    olds, news, cut = hand_over(old, new, until=until)
    near = [begin - 0.1 < cut < end + 0.1 for begin, end in spans]
    assert cut > AT + LONGEST - DIFFERENCE or not any(near)
    both = (olds, news)
    for begin, end in spans:
        for at in np.arange(begin + DIFFERENCE, end - DIFFERENCE, CHUNK / 2):
            if abs(at - cut) < DIFFERENCE:  # It is cut in the middle, as it does not end.
                continue
            by = [any(one - TINY <= at <= one + CHUNK + TINY for one in ones) for ones in both]
            assert sum(by) == 1, (at, by, cut)
    assert not any(at < cut - DIFFERENCE for at in news)
    assert not any(at > AT + LONGEST + DIFFERENCE for at in olds)


def test_the_new_job_has_heard_all_that_the_old_one_may_leave_to_it() -> None:
    assert NOTICE > UNDECIDED + 2 * DIFFERENCE


def test_a_job_alone_takes_everything_at_once() -> None:
    turn = Turn()
    share: Share[Sound] = Share(turn)
    assert turn.begins("ada") == -np.inf
    assert list(share.began(1.0, begins=-np.inf)) == [Began(1.0)]
    sound = Sound(0.5, 0.1)
    assert list(share.sounds(sound, begins=-np.inf)) == [sound]
    assert list(share.ceased(2.0, heard=2.5)) == [Ceased(2.0)]
    assert share.cut is None


def test_who_was_never_heard_by_the_predecessor_is_heard_from_the_start() -> None:
    turn = Turn(cuts={"ada": 7.0, "james": None})
    assert [turn.begins(who) for who in ("ada", "james", "grace")] == [7.0, None, -np.inf]
    assert Turn(cuts=None).begins("ada") is None


def test_a_job_that_ends_before_it_knows_its_share_leaves_the_rest_to_its_predecessor() -> None:
    turn, untold = Turn(cuts={"ada": 7.0, "james": None}), Turn(cuts=None)
    for one in (turn, untold):
        one.leave_the_rest()
    assert [turn.begins(who) for who in ("ada", "james", "grace")] == [7.0, np.inf, -np.inf]
    assert untold.begins("ada") == np.inf


@given(st.floats(AT - 60, AT + 60))
@example(AT)
def test_what_is_no_speech_is_exactly_one_jobs(at: float) -> None:
    assert Turn(until=AT).has(at) != Turn(since=AT).has(at)
