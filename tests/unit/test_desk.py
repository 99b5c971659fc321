"""What the agents of a meeting share: holes while a job may have a successor."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from agents.meeting import Desk
from pipelines.events import AudioMissed, Hole, HoleCause


def test_a_job_that_has_lost_its_room_marks_no_hole_that_its_successor_marks() -> None:
    kept: list[Hole] = []
    part = cast("Any", SimpleNamespace(append_hole=kept.append, tell=lambda *_: None))
    desk = Desk(part, part, part, part, part, part, part, spread=lambda _: None)
    first, second = (Hole(at, at + 2, HoleCause.ENGINE, ("ada",)) for at in (7.0, 9.0))
    desk.mark_hole(first)
    desk.lost_room = True
    desk.mark_hole(second)
    desk.missed(AudioMissed(9.0, "ada", 12.0))
    assert kept == [first]
    assert desk.held_back == [second, Hole(9.0, 12.0, HoleCause.NETWORK, ("ada",))]
