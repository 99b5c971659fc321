"""The schedule of the fault suite."""

from __future__ import annotations

import json
from itertools import islice, pairwise
from pathlib import Path

from bench.soak.__main__ import left_of, rows
from bench.soak.meeting import Held, Struck
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


def test_a_soak_that_was_cut_off_goes_on_with_what_is_not_in_its_file(tmp_path: Path) -> None:
    strikes = list(islice(schedule(7), 5))
    held = Held("soak-7", struck=[Struck(one) for one in strikes[:3]])
    out = tmp_path / "soak.jsonl"
    out.write_text("".join(json.dumps(row) + "\n" for row in rows(held, 7)))
    assert left_of(strikes, 7, out) == strikes[3:]
    assert left_of(strikes, 8, out) == strikes
