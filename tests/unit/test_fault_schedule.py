"""The schedule of the fault suite."""

from __future__ import annotations

from itertools import islice, pairwise

from bench.soak.schedule import DEADLY, KINDS, schedule


def test_the_same_seed_gives_the_same_schedule() -> None:
    assert list(islice(schedule(7), 50)) == list(islice(schedule(7), 50))
    assert list(islice(schedule(7), 50)) != list(islice(schedule(8), 50))


def test_every_kind_strikes_before_any_strikes_again() -> None:
    strikes = list(islice(schedule(1), 3 * len(KINDS)))
    for begin in range(0, len(strikes), len(KINDS)):
        assert {one.kind for one in strikes[begin : begin + len(KINDS)]} == set(KINDS)
    assert [one.number for one in strikes] == list(range(1, len(strikes) + 1))


def test_jobs_die_no_more_than_every_other_time() -> None:
    kinds = [one.kind for one in islice(schedule(1), 10 * len(KINDS))]
    assert not any(one in DEADLY and other in DEADLY for one, other in pairwise(kinds))


def test_a_schedule_of_some_kinds_has_no_others() -> None:
    assert {one.kind for one in islice(schedule(1, kinds=["job killed"]), 5)} == {"job killed"}
