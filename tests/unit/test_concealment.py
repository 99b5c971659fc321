"""When no audio came, by WebRTC's counters of what it made up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.speech.concealment import LEAST, RATE, Concealment

Cut = tuple[float, float]


def looks(
    *cuts: Cut, every: float = 2.0, until: float = 20.0, silent: bool = False, clock: float = 0.0
) -> list[Cut]:
    """Return what is told of ``cuts`` by looks every ``every`` seconds from second 0 on.

    Args:
        cuts: From when to when no packet came.
        every: Seconds between two looks.
        until: Second of the last look.
        silent: Packets come for silence only, 2.5 a second, and nothing is made up for it.
        clock: Seconds by which WebRTC's clock is behind.
    """
    concealment = Concealment()
    found: list[Cut | None] = []
    for number in range(round(until / every) + 1):
        at = number * every
        made_up = 0.0 if silent else sum(min(end, at) - begin for begin, end in cuts if begin < at)
        begun = 0 if silent else sum(begin < at for begin, _ in cuts)
        packets = 0.4 * (at // 0.4) if silent else at
        packet_at = min([packets, *(begin for begin, end in cuts if begin < at < end)])
        found.append(
            concealment.look(
                at, concealed=round(made_up * RATE), events=begun, packet_at=packet_at - clock
            )
        )
    return [(round(begin, 3), round(end, 3)) for begin, end in [*filter(None, found)]]


def look(concealment: Concealment, at: float, *, concealed: int, events: int) -> Cut | None:
    """Look while packets come."""
    return concealment.look(at, concealed=concealed, events=events, packet_at=at)


def test_a_cut_over_several_looks_has_its_own_times() -> None:
    assert looks((3.5, 9.25)) == [(3.5, 9.25)]


def test_a_cut_between_two_looks_has_their_times() -> None:
    assert looks((4.2, 5.7)) == [(4.0, 6.0)]


@pytest.mark.parametrize("cut", [(4.2, 5.3), (5.5, 6.6)])
def test_a_short_cut_is_not_told(cut: Cut) -> None:
    assert looks(cut) == []


def test_a_cut_that_begins_in_silence_is_told_up_to_the_look_after_it() -> None:
    assert looks((4.9, 7.1), silent=True) == [(4.9, 8.0)]
    assert looks((4.9, 13.5), silent=True, clock=5.0) == [(4.9, 14.0)]
    assert looks(silent=True) == []


def test_a_cut_for_which_something_is_made_up_late_begins_with_its_last_packet() -> None:
    concealment = Concealment()
    for at, made_up, packet_at in ((0, 0, 0), (2, 0, 1.0), (4, 1.5, 1.0), (6, 2.0, 6.0)):
        concealed = round(made_up * RATE)
        events = int(made_up > 0)
        assert concealment.look(at, concealed=concealed, events=events, packet_at=packet_at) is None
    assert look(concealment, 8.0, concealed=2 * RATE, events=1) == (1.0, 4.5)


def test_silence_before_the_first_look_is_no_cut() -> None:
    concealment = Concealment()
    concealment.look(10.0, concealed=0, events=0, packet_at=1.0)
    assert look(concealment, 12.0, concealed=0, events=0) is None


def test_two_cuts_are_told_one_by_one() -> None:
    assert looks((1.0, 3.0), (7.5, 13.0)) == [(1.0, 3.0), (7.5, 13.0)]


def test_packets_that_come_late_now_and_then_are_no_cut_however_many() -> None:
    late = [(0.2 * n, 0.2 * n + 0.14) for n in range(100)]
    assert looks(*late) == []


def test_a_process_that_was_stopped_itself_looks_late_and_finds_the_whole() -> None:
    concealment = Concealment()
    look(concealment, 0.0, concealed=0, events=0)
    look(concealment, 5.0, concealed=3 * RATE, events=1)
    assert look(concealment, 7.0, concealed=3 * RATE, events=1) == (0.0, 5.0)


def test_a_first_look_after_that_may_come_before_all_is_counted() -> None:
    concealment = Concealment()
    look(concealment, 0.0, concealed=0, events=0)
    look(concealment, 5.0, concealed=RATE, events=1)
    look(concealment, 7.0, concealed=round(1.4 * RATE), events=1)
    assert look(concealment, 9.0, concealed=round(1.4 * RATE), events=1) == (0.0, 5.4)


def test_what_was_made_up_before_the_first_look_or_by_another_receiver_is_no_cut() -> None:
    concealment = Concealment()
    assert look(concealment, 0.0, concealed=90 * RATE, events=1) is None
    assert look(concealment, 2.0, concealed=0, events=0) is None
    assert look(concealment, 4.0, concealed=0, events=0) is None
    assert concealment.since is None


def test_a_cut_that_is_not_over_is_known_and_told_at_the_end() -> None:
    concealment = Concealment()
    for at in (0.0, 2.0, 4.0):
        made_up = max(0.0, at - 1.0)
        look(concealment, at, concealed=round(made_up * RATE), events=int(at > 1.0))
    assert concealment.since == 1.0
    assert concealment.end() == (1.0, 4.0)
    assert concealment.end() is None


@given(begin=st.floats(0.0, 8.0), length=st.floats(LEAST + 0.01, 9.0))
def test_a_cut_lies_in_what_is_told_of_it(begin: float, length: float) -> None:
    ((told_from, told_to),) = looks((begin, begin + length), until=24.0)
    assert told_from - 0.001 <= begin
    assert told_to + 0.001 >= begin + length
    assert told_to - told_from <= length + 4.0
