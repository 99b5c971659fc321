"""One step under a lease; the built-in worker with steps that do as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.summarised_meeting import meeting_of
from pipelines.errors import RetryableError, StepError
from pipelines.lease import Lease, LeaseKey
from pipelines.leases.files import FileLeases
from pipelines.post_meeting.attempt import Task
from pipelines.post_meeting.builtin import BuiltinWorker
from pipelines.post_meeting.runner import Runner
from pipelines.post_meeting.work import Failure
from pipelines.transcript.paths import Sealed
from tests.unit.sealed_desk import SEALED, Desk, make, raising


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_steps_are_done_until_the_meeting_is_no_work_any_more(desk: Desk) -> None:
    await desk.seal(deliver=("mail", "hook"))
    await BuiltinWorker(desk.runner(), desk.pending.sealed, sweep=1).run(until_idle=True)
    there = await desk.artefacts.names()
    assert {"aligned.json", "minutes.docx", "deliveries/mail.json", "deliveries/hook.json"} <= there
    assert not any(name.startswith("failures/") for name in there)
    assert await desk.pending.given_up() == []


async def test_two_workers_do_each_step_once(desk: Desk) -> None:
    await desk.seal(deliver=("mail", "hook"))
    done: list[str] = []

    async def slowly(task: Task) -> None:
        done.append(task.step.name)
        await asyncio.sleep(0.05)
        await make(task)

    workers = [BuiltinWorker(desk.runner(slowly), desk.pending.sealed, sweep=1) for _ in range(2)]
    await asyncio.gather(*(worker.run(until_idle=True) for worker in workers))
    assert sorted(done) == ["align", "deliver/hook", "deliver/mail", "minutes", "summarise"]


async def test_what_somebody_did_until_the_lease_was_free_is_not_done_again(desk: Desk) -> None:
    class Slow(FileLeases):
        async def claim(
            self, key: LeaseKey, *, holder: str, epoch: int, ttl: float, state: Mapping[str, Any]
        ) -> Lease:
            await desk.artefacts.put("aligned.json", b"another's")
            return await super().claim(key, holder=holder, epoch=epoch, ttl=ttl, state=state)

    await desk.seal()
    desk.leases = Slow(desk.root / "leases")
    begun: list[str] = []

    async def note(task: Task) -> None:
        begun.append(task.step.name)

    await desk.runner(note).run(SEALED, "align")
    assert begun == []


async def test_a_step_that_may_heal_is_noted_with_its_next_try(desk: Desk) -> None:
    await desk.seal()
    away = raising(lambda: RetryableError("engine_unavailable", "it is away"))
    found = await desk.runner(away).run(SEALED, "align")
    assert found is not None
    assert list(found.later.values()) == [desk.now + 15]
    assert await desk.failure("align") == Failure(
        1, "engine_unavailable", "it is away", at=desk.now, due=desk.now + 15
    )
    desk.now += 15
    assert await desk.runner().run(SEALED, "align") is not None
    assert await desk.failure("align") is None


async def test_a_step_knows_its_last_attempt(desk: Desk) -> None:
    await desk.seal()
    told: list[bool] = []

    async def step(task: Task) -> None:
        told.append(task.last)
        raise RetryableError("engine_unavailable", "gone")

    runner = desk.runner(step)
    while not (failure := await desk.failure("align")) or failure.due is not None:
        desk.now += 10_000
        await runner.run(SEALED, "align")
    assert told == [False] * 6 + [True]


async def test_a_step_that_can_not_heal_is_a_dead_letter(desk: Desk) -> None:
    await desk.seal()
    await desk.runner(raising(lambda: StepError("no_audio_in_file", "none"))).run(SEALED, "align")
    assert await desk.pending.sealed() == []
    assert await desk.pending.given_up() == [SEALED]


async def test_what_a_library_raises_is_kept_without_its_words(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.seal()
    await desk.runner(raising(lambda: KeyError("what Ada said"))).run(SEALED, "align")
    failure = await desk.failure("align")
    assert failure is not None
    assert (failure.code, failure.attempts) == ("unexpected", 1)
    kept = failure.message + caplog.text + "".join(str(vars(one)) for one in caplog.records)
    assert "KeyError" in kept
    assert "Ada" not in kept


async def test_a_step_that_takes_too_long_is_ended(desk: Desk) -> None:
    await desk.seal()

    async def hang(_: Task) -> None:
        await asyncio.sleep(60)

    await desk.runner(hang, timeout=0.1).run(SEALED, "align")
    failure = await desk.failure("align")
    assert failure is not None
    assert failure.code == "step_timeout"


async def test_a_step_that_makes_nothing_has_failed(desk: Desk) -> None:
    async def nothing(_: Task) -> None:
        pass

    await desk.seal()
    await desk.runner(nothing).run(SEALED, "align")
    failure = await desk.failure("align")
    assert failure is not None
    assert "aligned.json" in failure.message


async def test_a_lost_process_is_known_by_its_note(desk: Desk) -> None:
    await desk.seal()
    during = []

    async def look(task: Task) -> None:
        during.append(await desk.failure("align"))
        await make(task)

    await desk.runner(look).run(SEALED, "align")
    assert [(one.code, one.attempts, one.due) for one in during if one] == [
        ("worker_lost", 1, desk.now)
    ]


async def test_a_process_that_is_told_to_end_counts_no_attempt(desk: Desk) -> None:
    await desk.seal()
    begun = asyncio.Event()

    async def hang(_: Task) -> None:
        begun.set()
        await asyncio.sleep(60)

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(desk.runner(hang).run(SEALED, "align"))
        await begun.wait()
        task.cancel()
    assert await desk.failure("align") is None
    assert await desk.runner().run(SEALED, "align") is not None


async def test_who_lost_the_lease_gives_up_and_notes_nothing(desk: Desk) -> None:
    await desk.seal()
    key = LeaseKey("work", (SEALED.key, "1", "align"))
    ended = asyncio.Event()

    async def hang(_: Task) -> None:
        try:
            await desk.leases.take(key, epoch=10**12, floor=0, ttl=5, state={}, force=True)
            await asyncio.sleep(60)
        finally:
            ended.set()

    await desk.runner(hang, ttl=0.2).run(SEALED, "align")
    assert ended.is_set()
    failure = await desk.failure("align")
    assert failure is not None
    assert failure.code == "worker_lost"


async def test_how_an_attempt_ended_is_not_noted_once_the_step_is_somebody_elses(
    desk: Desk,
) -> None:
    await desk.seal()
    key = LeaseKey("work", (SEALED.key, "1", "align"))

    async def lose(_: Task) -> None:
        await desk.leases.take(key, epoch=10**12, floor=0, ttl=5, state={}, force=True)
        await desk.artefacts.replace("failures/align.json", another.encode())
        raise StepError("no_audio_in_file", "none")

    another = Failure(2, "worker_lost", "", at=desk.now, due=desk.now)
    await desk.runner(lose).run(SEALED, "align")
    assert await desk.failure("align") == another


async def test_the_live_lines_do_where_a_recording_is_given_up_and_they_can_be_read(
    desk: Desk,
) -> None:
    unheard, unreadable = Sealed("unheard", 1), Sealed("unreadable", 1)
    document = meeting_of().model_dump_json().encode()
    await desk.store.at(unheard.directory).put("transcript.json", document)
    found = {}
    for sealed in (unheard, unreadable):
        await desk.seal(sealed)  # with a transcript that no version writes, unless there is one
        await desk.store.at(sealed.directory).put("source.json", b"{}")
        await desk.give_up("transcribe", sealed)
        agenda = await desk.runner().settle(sealed)
        assert agenda
        found[sealed.key] = [step.name for step in agenda.ready]
    # A file without live lines is given up; what can't be read is for the step to say.
    assert found == {"unheard": [], "unreadable": ["align"]}


async def test_what_goes_wrong_with_a_meeting_is_logged_without_its_words(
    desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def settle(_: Runner, __: Sealed) -> None:
        await desk.pending.finish(SEALED)
        raise ValueError("what Ada said")

    await desk.seal()
    monkeypatch.setattr(Runner, "settle", settle)
    await BuiltinWorker(desk.runner(), desk.pending.sealed, sweep=1).run(until_idle=True)
    kept = caplog.text + "".join(str(vars(one)) for one in caplog.records)
    assert "ValueError" in kept
    assert "Ada" not in kept


async def test_a_marker_without_a_seal_is_left_alone(desk: Desk) -> None:
    await desk.pending.add(SEALED)
    await BuiltinWorker(desk.runner(), desk.pending.sealed, sweep=1).run(until_idle=True)
    assert await desk.pending.sealed() == [SEALED]


async def test_a_step_whose_process_died_at_its_end_is_done_and_nothing_is_noted(
    desk: Desk,
) -> None:
    await desk.seal()
    lost = Failure(1, "worker_lost", "", at=desk.now, due=desk.now)
    await desk.artefacts.put("failures/align.json", lost.encode())
    await desk.artefacts.put("aligned.json", b"{}")
    await desk.runner().settle(SEALED)
    assert await desk.failure("align") is None
