"""Who looks at all meetings: what is wrong with one keeps nobody from the others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pipelines.post_meeting.artefacts import FilesArtefacts
from pipelines.post_meeting.pending import Pending
from pipelines.post_meeting.retry import retry
from pipelines.post_meeting.status import read_status
from pipelines.post_meeting.sweep import Nudge, ready_steps
from pipelines.post_meeting.work import Failure
from pipelines.transcript.paths import Sealed
from tests.unit.sealed_desk import SEALED, Desk

OTHER = Sealed("a-broken-one", 1)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def names(nudges: list[Nudge]) -> list[tuple[Sealed, str]]:
    return [(nudge.sealed, nudge.step.name) for nudge in nudges]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have OTHER's directory raise what no layer knows, with something that was said."""
    real = FilesArtefacts.names

    async def listed(artefacts: FilesArtefacts) -> frozenset[str]:
        if artefacts.directory.parent.name == OTHER.key:
            raise ValueError("what Ada said")
        return await real(artefacts)

    monkeypatch.setattr(FilesArtefacts, "names", listed)


@pytest.mark.usefixtures("broken")
async def test_a_sweep_finds_the_steps_of_the_others(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    for sealed in (OTHER, SEALED):
        await desk.seal(sealed)
    found = await ready_steps(desk.pending, desk.runner(), desk.leases, seconds=5)
    assert names(found) == [(SEALED, "align")]
    assert "Ada" not in "".join(str(vars(one)) for one in caplog.records)


@pytest.mark.usefixtures("broken")
async def test_status_shows_the_others_and_says_which_can_not_be_read(desk: Desk) -> None:
    for sealed in (OTHER, SEALED):
        await desk.seal(sealed)
    unreadable, *others = await read_status(desk.work)
    assert (unreadable.meeting, unreadable.state) == (OTHER.key, "unreadable")
    assert unreadable.message == "ValueError"
    assert {one.meeting for one in others} == {SEALED.key}


@pytest.mark.usefixtures("broken")
async def test_a_retry_of_all_tries_the_others(desk: Desk) -> None:
    for sealed in (OTHER, SEALED):
        await desk.seal(sealed)
        await desk.give_up("align", sealed)
        await desk.pending.give_up(sealed)
    done = await retry(desk.work, None)
    assert done.again == [SEALED]
    assert done.refused == [f"{OTHER.marker}: ValueError"]


async def test_a_sweep_ends_in_time_with_what_it_has_found(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FilesArtefacts.names

    async def hang(artefacts: FilesArtefacts) -> frozenset[str]:
        if artefacts.directory.parent.name == OTHER.key:
            await asyncio.sleep(60)
        return await real(artefacts)

    monkeypatch.setattr(FilesArtefacts, "names", hang)
    for sealed in (OTHER, SEALED):
        await desk.seal(sealed)
    async with asyncio.timeout(20):
        found = await ready_steps(desk.pending, desk.runner(), desk.leases, seconds=1)
    assert names(found) == [(SEALED, "align")]


async def test_a_look_reads_no_transcript_while_a_recording_may_be_heard(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = FilesArtefacts.read

    async def note(artefacts: FilesArtefacts, name: str) -> bytes | None:
        read.append(name)
        return await real(artefacts, name)

    await desk.seal()
    await desk.artefacts.put("source.json", b"{}")
    monkeypatch.setattr(FilesArtefacts, "read", note)
    assert await desk.runner().look(SEALED)
    assert read == ["wanted.json"]


async def test_a_step_that_was_given_up_is_tried_again_while_another_waits(desk: Desk) -> None:
    await desk.seal(deliver=("mail", "hook"))
    await desk.artefacts.put("source.json", b"{}")
    waits = Failure(1, "engine_unavailable", "it is away", at=desk.now, due=desk.now + 60)
    await desk.artefacts.put("failures/align.json", waits.encode())
    await desk.give_up("transcribe")
    done = await retry(desk.work, {SEALED.key})
    assert (done.again, done.refused) == ([SEALED], [])
    assert await desk.failure("transcribe") is None
    assert await desk.failure("align") == waits


async def test_a_recording_is_not_tried_again_once_the_minutes_are_made_without_it(
    desk: Desk,
) -> None:
    await desk.seal()
    await desk.artefacts.put("source.json", b"{}")
    await desk.artefacts.put("aligned.json", b"{}")
    await desk.give_up("transcribe")
    done = await retry(desk.work, None)
    assert done.again == []
    assert "transcribe comes too late" in done.refused[0]
    assert await desk.failure("transcribe") is not None


async def test_a_meeting_that_is_asked_for_while_it_is_given_up_is_looked_at(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Pending.give_up

    async def give_up(pending: Pending, sealed: Sealed) -> None:
        assert (await retry(desk.work, None)).again == [SEALED]
        await real(pending, sealed)

    await desk.seal()
    monkeypatch.setattr(Pending, "give_up", give_up)
    await desk.give_up("align")
    await desk.runner().settle(SEALED)
    assert await desk.pending.sealed() == [SEALED]
    assert await desk.failure("align") is None
