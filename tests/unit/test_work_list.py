"""What is next for a sealed meeting, and when a failed step is tried again."""

from __future__ import annotations

import pytest

from pipelines.post_meeting.sweep import Nudge, lost
from pipelines.post_meeting.work import (
    ALIGNED,
    DOCUMENT,
    MINUTES,
    RECORDING,
    RETRIES,
    SOURCE,
    SUMMARY,
    SUMMARY_MARKDOWN,
    Agenda,
    Failure,
    after_failure,
    agenda,
    plan,
    under_way,
)
from pipelines.transcript.paths import Sealed

LIVE = plan(recorded=False, heard_live=True, deliver=["mail", "hook"])
RECORDED = plan(recorded=True, heard_live=True, deliver=[])
FILE = plan(recorded=True, heard_live=False, deliver=[])
NOW = 1000.0


def failed(due: float | None) -> Failure:
    return Failure(1, "engine_unavailable", "it is away", at=NOW - 5, due=due)


def names(found: Agenda) -> list[str]:
    return [step.name for step in found.ready]


def test_one_step_follows_the_other_until_nothing_is_left() -> None:
    steps = plan(recorded=True, heard_live=True, deliver=["mail"])
    there = {DOCUMENT, SOURCE}
    order = []
    while not (now := agenda(steps, present=there, failures={}, now=NOW)).rests:
        (step,) = now.ready
        order.append(step.name)
        there |= set(step.makes)
    assert order == ["transcribe", "align", "summarise", "minutes", "deliver/mail"]
    assert there >= {RECORDING, ALIGNED, SUMMARY, SUMMARY_MARKDOWN, *MINUTES}
    assert now.done == steps


def test_a_step_is_done_only_when_all_it_makes_is_there() -> None:
    there = {DOCUMENT, ALIGNED, SUMMARY, SUMMARY_MARKDOWN, *MINUTES[:-1]}
    assert names(agenda(LIVE, present=there, failures={}, now=NOW)) == ["minutes"]


def test_a_delivery_that_fails_does_not_hold_up_another() -> None:
    there = {DOCUMENT, ALIGNED, SUMMARY, SUMMARY_MARKDOWN, *MINUTES}
    found = agenda(LIVE, present=there, failures={"deliver/mail": failed(NOW + 60)}, now=NOW)
    assert names(found) == ["deliver/hook"]
    assert [step.name for step in found.later] == ["deliver/mail"]
    assert not found.rests


def test_a_failed_step_is_ready_when_its_wait_is_over() -> None:
    failures = {"align": failed(NOW)}
    assert names(agenda(LIVE, present={DOCUMENT}, failures=failures, now=NOW)) == ["align"]
    assert agenda(LIVE, present={DOCUMENT}, failures=failures, now=NOW - 1).ready == ()


def test_a_recording_that_is_given_up_leaves_the_live_lines() -> None:
    there = {DOCUMENT, SOURCE}
    found = agenda(RECORDED, present=there, failures={"transcribe": failed(None)}, now=NOW)
    assert names(found) == ["align"]


def test_a_file_that_is_given_up_leaves_nothing_to_do() -> None:
    there = {DOCUMENT, SOURCE}
    found = agenda(FILE, present=there, failures={"transcribe": failed(None)}, now=NOW)
    assert found.rests
    assert [step.name for step in found.given_up] == ["transcribe"]


def test_waits_grow_and_end() -> None:
    retries = RETRIES["deliver-queue"]
    waits = [retries.wait(attempt, jitter=0.5) for attempt in range(1, retries.attempts + 1)]
    assert waits[:3] == [5, 15, 45]
    assert max(filter(None, waits)) == retries.most
    assert waits[-1] is None
    assert sum(filter(None, waits)) > 12 * 3600


def test_jitter_is_a_quarter_of_the_wait() -> None:
    retries = RETRIES["transcribe-queue"]
    assert (retries.wait(1, jitter=0), retries.wait(1, jitter=1)) == (11.25, 18.75)


@pytest.mark.parametrize(
    ("heals", "after", "due"), [(True, 0, NOW + 15), (True, 600, NOW + 600), (False, 0, None)]
)
def test_what_is_kept_of_a_failure(heals: bool, after: float, due: float | None) -> None:
    step = LIVE[0]
    kept = after_failure(
        step, 1, code="c", message="m", now=NOW, jitter=0.5, heals=heals, after=after
    )
    assert Failure.decode(kept.encode()) == kept == Failure(1, "c", "m", at=NOW, due=due)


def test_a_step_that_kills_its_process_each_time_is_given_up() -> None:
    step = LIVE[0]
    noted = None
    begun = 0
    while (noted := under_way(step, noted, now=NOW)).due is not None:
        begun += 1
    assert begun == RETRIES[step.queue].attempts
    assert noted.code == "worker_lost"


def test_a_queue_with_a_nudge_for_each_step_gets_no_more() -> None:
    align, summarise = LIVE[0], LIVE[1]
    ready = [Nudge(Sealed("a", 1), align), Nudge(Sealed("b", 1), align)]
    ready += [Nudge(Sealed("c", 1), summarise)]
    assert lost(ready, {"transcribe-queue": 2, "summarize-queue": 1}) == []
    assert lost(ready, {"transcribe-queue": 1, "summarize-queue": 1}) == ready[:2]
    assert lost(ready, {}) == ready


def test_a_marker_names_one_seal() -> None:
    sealed = Sealed("weekly-0123", 12)
    assert Sealed.of_marker(sealed.marker) == sealed
    assert Sealed.of_marker("weekly-0123") is None
    assert Sealed.of_marker("weekly.first") is None
