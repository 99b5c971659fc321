"""When an engine is asked, and which one: the circuit breaker and the order of attempts."""

from __future__ import annotations

import math

from pipelines.speech.attempts import DELAYS, Attempts
from pipelines.speech.backlog import Backlog
from pipelines.speech.breaker import FIRST_PAUSE, LONGEST_PAUSE, LONGEST_PROBE, Breaker, State


def broken(at: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(3):
        breaker.failed(at)
    return breaker


def test_three_failures_in_a_row_open_the_circuit() -> None:
    breaker = Breaker()
    breaker.failed(0.0)
    breaker.failed(0.0)
    assert breaker.ask(0.0)
    breaker.answered()
    breaker.failed(0.0)
    breaker.failed(0.0)
    assert breaker.ask(0.0)
    breaker.failed(0.0)
    assert not breaker.ask(FIRST_PAUSE - 0.1)


def test_after_the_pause_one_probe_is_let_through() -> None:
    breaker = broken()
    assert breaker.wait(0.5) == FIRST_PAUSE - 0.5
    assert breaker.ask(FIRST_PAUSE)
    assert breaker.state is State.HALF_OPEN
    assert not breaker.ask(FIRST_PAUSE)
    assert 0.0 < breaker.wait(FIRST_PAUSE) < FIRST_PAUSE


def test_a_probe_that_is_answered_closes_the_circuit() -> None:
    breaker = broken()
    breaker.ask(FIRST_PAUSE)
    breaker.answered()
    assert breaker.ask(FIRST_PAUSE)
    assert breaker.ask(FIRST_PAUSE)


def test_each_probe_that_fails_doubles_the_pause_up_to_the_longest() -> None:
    breaker, at, pauses = broken(), 0.0, []
    for _ in range(7):
        pauses.append(breaker.wait(at))
        at += pauses[-1]
        breaker.ask(at)
        breaker.failed(at)
    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_PAUSE, LONGEST_PAUSE]


def test_a_failure_of_somebody_who_asked_before_does_not_prolong_the_pause() -> None:
    breaker = broken()
    breaker.failed(1.5)
    assert breaker.wait(1.5) == FIRST_PAUSE - 1.5


def test_an_engine_that_says_how_long_to_wait_is_left_alone_so_long() -> None:
    breaker = Breaker()
    breaker.failed(10.0, retry_after=7.0)
    assert breaker.wait(10.0) == 7.0


def test_a_refusal_lasts_until_something_changes() -> None:
    breaker = Breaker()
    breaker.refused()
    assert breaker.wait(1e9) == math.inf
    breaker.reset()
    assert breaker.ask(1e9)


def test_a_probe_that_is_given_up_or_forgotten_makes_way_for_the_next() -> None:
    breaker = broken()
    breaker.ask(5.0)
    breaker.abandoned(6.0)
    assert breaker.ask(6.0)
    assert not breaker.ask(7.0)
    assert breaker.ask(6.0 + LONGEST_PROBE)


def test_an_engine_is_asked_again_at_once_then_the_fallback_is() -> None:
    attempts = Attempts([Breaker(), Breaker()])
    assert attempts.choose(0.0) == (0, 0.0)
    attempts.failed(0, 0.0)
    assert attempts.choose(0.0) == (None, DELAYS[0])
    assert attempts.choose(DELAYS[0]) == (0, 0.0)
    attempts.failed(0, DELAYS[0])
    assert attempts.choose(DELAYS[0]) == (1, 0.0)


def test_after_a_time_out_the_fallback_comes_first() -> None:
    attempts = Attempts([Breaker(), Breaker()])
    attempts.failed(0, 0.0, slow=True)
    assert attempts.choose(0.0) == (1, 0.0)


def test_an_open_circuit_is_passed_by_without_a_wait() -> None:
    assert Attempts([broken(), Breaker()]).choose(0.0) == (1, 0.0)


def test_whoever_may_be_asked_first_is_waited_for() -> None:
    attempts = Attempts([broken(0.0), broken(1.0)])
    assert attempts.choose(1.0) == (None, 1.0)


def test_without_an_engine_that_takes_the_speech_there_is_nothing_to_wait_for() -> None:
    refused = Breaker()
    refused.refused()
    attempts = Attempts([refused, Breaker()])
    attempts.exclude(1)
    assert attempts.choose(0.0) == (None, math.inf)
    attempts.renew()
    assert attempts.choose(0.0) == (1, 0.0)


def test_what_was_settled_makes_the_rest_new_to_an_engine_that_excluded_itself() -> None:
    attempts = Attempts([Breaker(), Breaker()])
    attempts.exclude(0)
    assert not attempts.better_than(1, 0.0)
    attempts.progressed(1)
    assert attempts.better_than(1, 0.0)


class Span:
    def __init__(self) -> None:
        self.told: list[str] = []

    def give_way(self) -> None:
        self.told.append("way")

    def give_up(self) -> None:
        self.told.append("up")


def test_past_the_cap_the_oldest_spans_give_way_one_by_one() -> None:
    backlog, spans = Backlog(cap=100), [Span(), Span(), Span()]
    for span in spans:
        backlog.hold(span, 40)
    assert [span.told for span in spans] == [["way"], [], []]
    backlog.hold(spans[2], 65)
    assert [span.told for span in spans] == [["way"], ["way"], []]


def test_past_twice_the_cap_the_oldest_span_that_holds_anything_is_given_up() -> None:
    backlog, old, new = Backlog(cap=100), Span(), Span()
    backlog.hold(old, 10)
    backlog.hold(new, 191)
    assert old.told[-1] == "up"


def test_a_span_that_is_done_is_forgotten() -> None:
    backlog, done, other = Backlog(cap=100), Span(), Span()
    backlog.hold(done, 90)
    backlog.release(done)
    backlog.hold(other, 90)
    assert (done.told, other.told, backlog.seconds) == ([], [], 90 / 16_000)
