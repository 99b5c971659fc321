"""When a room gets its agent back: decisions only, seconds are numbers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agents.failover import (
    ARRIVES_WITHIN,
    LONG_PAUSE,
    PAUSES,
    WINDOW,
    Fate,
    Lack,
    OpenRoom,
    Sight,
    Watch,
    fate,
    lack,
    restart,
)
from pipelines.lease import Lease, LeaseKey, Tombstone

TTL = 3.0
STEP = TTL / 6


def lease(room: str = "weekly", *, left: float = -1.0) -> Lease:
    key = LeaseKey("room", (room, "greffier", ""))
    return Lease(key, epoch=7, holder="job", state={}, left=left, age=4.0)


DEAD = [lease()]


class Looks:
    """A watch that looks every half a second, at clocks that go as they are told."""

    def __init__(self) -> None:
        self.watch = Watch(TTL)
        self.now = 100.0
        self.clock = 1_000.0

    def look(self, leases: Sequence[Lease] = DEAD, *, after: float = STEP) -> list[Lease]:
        self.now += after
        self.clock += after
        return self.watch.look(leases, now=self.now, clock=self.clock)

    def settle(self) -> None:
        while self.watch.sight is not Sight.CLEAR:
            self.look([])


def seconds_until_taken(looks: Looks) -> float:
    began = looks.now
    while not looks.look():
        pass
    return looks.now - began


def test_after_a_start_nobody_is_taken_for_dead_before_one_ttl() -> None:
    assert seconds_until_taken(Looks()) == pytest.approx(TTL + STEP)


def test_once_the_watch_has_settled_an_expired_lease_is_taken_at_the_next_look() -> None:
    looks = Looks()
    looks.settle()
    assert looks.look() == DEAD
    assert looks.look([lease(left=0.1)]) == []


def test_after_the_leases_were_away_every_living_job_gets_one_ttl_to_beat() -> None:
    looks = Looks()
    looks.settle()
    looks.watch.away()
    assert looks.watch.sight is Sight.BLIND
    assert seconds_until_taken(looks) == pytest.approx(TTL + STEP)


@pytest.mark.parametrize("leap", [3600.0, TTL, -TTL, -3600.0])
def test_a_clock_of_the_leases_that_leaps_kills_nobody(leap: float) -> None:
    looks = Looks()
    looks.settle()
    looks.clock += leap
    assert looks.look() == []
    assert seconds_until_taken(looks) == pytest.approx(TTL)


def test_a_clock_that_is_a_little_off_is_none_that_leaps() -> None:
    looks = Looks()
    looks.settle()
    looks.clock += TTL / 3
    assert looks.look() == DEAD


def test_a_watcher_that_slept_waits_for_those_that_slept_with_it() -> None:
    looks = Looks()
    looks.settle()
    assert looks.look(after=TTL / 2 + 0.1) == []
    assert looks.watch.sight is Sight.SETTLING


def test_a_worker_that_has_looked_on_takes_over_the_watch_at_once() -> None:
    looks = Looks()
    for _ in range(20):  # Another worker sees to the leases.
        assert looks.look([]) == []
    assert looks.look() == DEAD


def test_of_a_dead_host_so_many_rooms_a_second_are_taken_and_the_longest_dead_first() -> None:
    looks = Looks()
    looks.settle()
    waiting = [lease(f"room-{n}", left=-n) for n in range(1, 31)]
    taken: list[tuple[float, Lease]] = []
    while waiting:
        for one in looks.look(waiting):
            taken.append((looks.now, one))
            waiting.remove(one)
    assert [one.left for _, one in taken] == sorted(one.left for _, one in taken)
    assert max(sum(at <= when < at + 1 for when, _ in taken) for at, _ in taken[5:]) == 5
    assert taken[-1][0] - taken[0][0] == pytest.approx((30 - 5) / 5)


def test_rooms_that_are_not_replaced_now_use_up_nothing() -> None:
    looks = Looks()
    looks.settle()
    waiting = [lease(f"room-{n}") for n in range(30)]
    for _ in range(10):
        given = looks.look(waiting)
        assert len(given) == 5
        for _ in given:
            looks.watch.spare()


def test_a_room_that_was_not_looked_at_yet_comes_first() -> None:
    looks = Looks()
    looks.settle()
    waiting = [lease(f"room-{n}", left=-100.0) for n in range(10)]
    seen = {one.key: float(n) for n, one in enumerate(waiting)}
    given = looks.watch.look(
        [*waiting, lease("dead")], now=looks.now + STEP, clock=looks.clock + STEP, seen=seen
    )
    assert [one.key.parts[0] for one in given] == ["dead", *(f"room-{n}" for n in range(4))]


def deaths(lived: Sequence[float]) -> list[float]:
    """Seconds of pause after each death of jobs that lived so long."""
    restarts: tuple[float, ...] = ()
    now = 0.0
    pauses = []
    for life in lived:
        now += life
        decided = restart(restarts, now)
        assert decided.loops == (decided.after == LONG_PAUSE)
        restarts = decided.restarts
        now += decided.after
        pauses.append(decided.after)
    return pauses


def test_a_job_that_died_is_asked_for_at_once() -> None:
    assert deaths([1000.0]) == [0.0]


def test_a_job_that_dies_at_start_is_asked_for_later_and_later_and_then_hardly_ever() -> None:
    assert deaths([1.0] * 8) == [*PAUSES, LONG_PAUSE, LONG_PAUSE, LONG_PAUSE]


def test_whoever_lives_for_a_while_after_a_long_pause_begins_anew() -> None:
    assert deaths([1.0] * 6 + [WINDOW, 1.0])[-3:] == [LONG_PAUSE, PAUSES[0], PAUSES[1]]


def test_deaths_far_from_each_other_are_no_loop() -> None:
    assert deaths([WINDOW + 1] * 20) == [0.0] * 20


def test_what_is_remembered_of_restarts_does_not_grow() -> None:
    restarts: tuple[float, ...] = ()
    for now in range(100):
        restarts = restart(restarts, float(now)).restarts
    assert len(restarts) == len(PAUSES) + 1


PEOPLE = OpenRoom("RM_1", people=2, asks=True, age=100.0)
EMPTY = OpenRoom("RM_1", people=0, asks=True, age=100.0)
ANEW = OpenRoom("RM_2", people=2, asks=True, age=1.0)


@pytest.mark.parametrize(
    ("room", "silent", "expected"),
    [
        (PEOPLE, 3.0, Fate.REPLACE),
        (PEOPLE, 3600.0, Fate.REPLACE),
        (EMPTY, 3.0, Fate.WAIT),
        (EMPTY, 3600.0, Fate.WAIT),
        (ANEW, 60.0, Fate.REPLACE),
        (ANEW, 61.0, Fate.FORGET),
        (None, 3.0, Fate.WAIT),
        (None, 60.0, Fate.WAIT),
        (None, 61.0, Fate.FORGET),
    ],
)
def test_a_silent_room_is_served_again_once_people_are_in_it_and_let_go_when_it_closed_for_good(
    room: OpenRoom | None, silent: float, expected: Fate
) -> None:
    assert fate(room, sid="RM_1", silent=silent, continues=60.0) is expected


@pytest.mark.parametrize(
    ("room", "held", "tombstone", "expected"),
    [
        (PEOPLE, None, None, Lack.AGENT),
        (PEOPLE, None, "empty", Lack.AGENT),
        (PEOPLE, None, "withdrawn", Lack.NONE),
        (PEOPLE, lease(left=2.0), None, Lack.NONE),
        (PEOPLE, lease(left=-2.0), None, Lack.NONE),
        (EMPTY, None, None, Lack.NONE),
        (EMPTY, None, "empty", Lack.NONE),
        (OpenRoom("RM_1", people=2, asks=False, age=100.0), None, None, Lack.NONE),
        (OpenRoom("RM_1", people=2, asks=True, age=ARRIVES_WITHIN - 1), None, None, Lack.SOON),
        (
            OpenRoom("RM_1", people=2, asks=True, age=100.0, dispatched=ARRIVES_WITHIN - 1),
            None,
            None,
            Lack.SOON,
        ),
        (
            OpenRoom("RM_1", people=2, asks=True, age=100.0, dispatched=ARRIVES_WITHIN),
            None,
            None,
            Lack.AGENT,
        ),
    ],
)
def test_the_sweep_finds_rooms_with_people_that_ask_for_an_agent_and_have_none(
    room: OpenRoom, held: Lease | None, tombstone: Tombstone | None, expected: Lack
) -> None:
    assert lack(room, held, tombstone, explicit=False) is expected


def test_the_sweep_never_dispatches_what_only_who_asks_for_it_gets() -> None:
    assert lack(PEOPLE, None, None, explicit=True) is Lack.NONE
