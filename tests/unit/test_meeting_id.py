"""Which meeting a job serves where the disk that would tell does not answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from livekit.protocol.agent import Job
from livekit.protocol.models import Room

from agents import meeting_id
from agents.meeting_id import LONGEST_LOOK, meeting_to_serve, note_meeting, noted_meeting
from agents.room_settings import RoomSettings
from agents.room_state import room_key
from pipelines.lease import REMEMBERED
from pipelines.settings import Settings
from pipelines.testing.memory_leases import MemoryLeases
from pipelines.transcript.stores.files import FilesStore
from tests.unit.virtual_time import in_virtual_time

JOB = Job(room=Room(name="weekly", sid="RM_2"))


async def served(directory: Path) -> str:
    settings = Settings(data_dir=directory)
    return await meeting_to_serve(
        JOB, settings, RoomSettings(agents={}), None, FilesStore(directory)
    )


def test_a_dispatch_does_not_wait_for_a_disk_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_args: object, **_kwargs: object) -> str:
        await asyncio.sleep(60.0)
        return "weekly/RM_1"

    @in_virtual_time
    async def test() -> None:
        began = asyncio.get_running_loop().time()
        assert await served(tmp_path) == "weekly/RM_2"
        assert asyncio.get_running_loop().time() - began <= LONGEST_LOOK + 0.1

    monkeypatch.setattr(meeting_id, "continued_meeting", hang)
    test()


async def test_a_disk_that_can_not_be_read_keeps_no_agent_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_args: object, **_kwargs: object) -> str:
        raise PermissionError("not ours")

    monkeypatch.setattr(meeting_id, "continued_meeting", fail)
    assert await served(tmp_path) == "weekly/RM_2"


async def test_what_is_noted_of_a_room_is_forgotten_after_a_day() -> None:
    now = 0.0
    leases = MemoryLeases(lambda: now)
    key = room_key("weekly", "greffier", "")
    await note_meeting(leases, key, "RM_2", "weekly/RM_1")
    assert await noted_meeting(leases, key, "RM_2") == "weekly/RM_1"
    now += REMEMBERED + 1.0
    assert await noted_meeting(leases, key, "RM_2") == ""
    await note_meeting(leases, key, "RM_3", "weekly/RM_1")
    assert [one.key.parts[-1] for one in await leases.leases("continued")] == ["RM_3"]
