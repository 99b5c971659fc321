"""How many calls a caller may make, and how those that come at once are spaced."""

from __future__ import annotations

import pytest

from agents.rpc.limits import MOST_BUCKETS, SHARE, SPACING, Limits, Pace
from agents.rpc.method import Rate
from agents.rpc.methods import STATUS


def test_calls_come_back_with_time_and_are_counted_for_each_caller_and_method() -> None:
    limits = Limits()
    rate = Rate(burst=2, per_second=0.5)
    taken = [limits.take("ada", "tools.list", rate, now=at) for at in (0, 0, 0, 1, 2, 2)]
    assert taken == [0, 0, 2.0, 1.0, 0, 2.0]
    assert limits.take("bob", "tools.list", rate, now=2) == 0
    assert limits.take("ada", "tools.call", rate, now=2) == 0


def test_calls_are_taken_one_after_the_other_and_leave_the_rest_of_the_time() -> None:
    pace = Pace()
    assert pace.wait(7.0) == 0
    pace.took(7.0)
    assert pace.wait(7.0) == pytest.approx(SPACING)
    rest = 0.1 / SHARE - 0.1
    pace.spent(0.1, 7.1)
    assert pace.wait(7.1) == pytest.approx(SPACING + rest)
    pace.took(8.0)
    pace.spent(0.1, 9.0)
    assert pace.wait(9.0) == pytest.approx(rest)


def test_callers_who_have_all_their_calls_left_take_no_memory() -> None:
    limits = Limits()
    for caller in range(3 * MOST_BUCKETS):
        limits.take(str(caller), STATUS.name, STATUS.rate, now=caller)
    assert len(limits._buckets) <= MOST_BUCKETS
