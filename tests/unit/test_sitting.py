"""A job that takes a room over: what the one before it keeps meanwhile is its history too."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import SecretStr

from agents import handover
from agents.correction import Corrections
from agents.history import History
from agents.roles import Role
from agents.rpc.callers import Caller
from agents.rpc.messages import CorrectRequest, HistoryRequest
from agents.sitting import Sitting
from agents.switchboard import Switchboard
from pipelines.settings import Settings
from pipelines.transcript.ledger import Ledger
from tests.unit.ledgers import final, open_ledger

CHAIR = Caller("grace", "Grace", Role.OWNER)
OLD = "greffier-standup"


async def nothing(*_: object) -> None:
    pass


def sitting_in(room: object, ledger: Ledger) -> Sitting:
    """Return the sitting of a job that ``OLD`` leaves ``room`` to, all but the ledger a double."""
    job = SimpleNamespace(room=SimpleNamespace(name="standup"))
    part = cast("Any", None)
    settings = Settings()
    sitting = Sitting(
        cast("Any", SimpleNamespace(room=room, job=job)),
        settings,
        Switchboard(settings, {}, ""),
        ledger,
        part,
        key=SecretStr(""),
        keeps=True,
        heard_before=None,
        tools=(),
        leases=part,
        cuts=part,
        leaving=OLD,
        beat_soon=part,
        end=part,
    )
    sitting._desk.listening = cast("Any", SimpleNamespace(take_over=nothing))
    return sitting


async def take_over(sitting: Sitting) -> None:
    assert sitting._taking_over
    await sitting._taking_over.run()


async def test_what_the_old_job_keeps_until_it_is_gone_is_read_and_corrected_at_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "LOOK", 0.001)
    room = SimpleNamespace(remote_participants={OLD: object()}, on=lambda *_: None)
    old = await open_ledger(tmp_path)
    new = await open_ledger(tmp_path, epoch=8)
    sitting = sitting_in(room, new)
    taking_over = asyncio.create_task(take_over(sitting))
    await asyncio.sleep(0.01)
    old.append_final(final("a", text="helo"))
    said = await old.caption("a")
    assert said
    old.append_correction(said, "hallo", by="ada", name="Ada", at=1060.0)
    room.remote_participants.clear()
    async with asyncio.timeout(10):
        await taking_over
    page = await History(sitting._desk)._page(CHAIR, HistoryRequest())
    assert [(one.segment, one.text) for one in page.segments] == [("a", "hallo")] * 2
    request = CorrectRequest(segment="a", text="hello")
    assert (await Corrections(sitting._desk).correct(CHAIR, request)).text == "hello"


async def test_what_a_predecessor_began_is_taken_up_once_it_is_gone_and_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "LOOK", 0.001)
    room = SimpleNamespace(remote_participants={OLD: object()}, on=lambda *_: None)
    old = await open_ledger(tmp_path)
    new = await open_ledger(tmp_path, epoch=8)
    sitting = sitting_in(room, new)
    done: list[tuple[str, int]] = []

    def note(what: str) -> None:
        done.append((what, len(new.actions)))

    sitting._desk.acting = cast(
        "Any",
        SimpleNamespace(
            begin=lambda *, alone: note(f"begin {alone}"),
            approvals=SimpleNamespace(inherit=lambda: note("inherit")),
        ),
    )
    taking_over = asyncio.create_task(take_over(sitting))
    await asyncio.sleep(0.01)
    old.append("action", {"event": "done", "id": "a"}, at=1000.0)
    assert done == [("begin False", 0)]
    room.remote_participants.clear()
    async with asyncio.timeout(10):
        await taking_over
    assert done == [("begin False", 0), ("inherit", 1)]


@pytest.mark.parametrize("over", [False, True])
async def test_a_lost_room_stops_what_acts_unless_the_room_is_over(
    tmp_path: Path, *, over: bool
) -> None:
    room = SimpleNamespace(remote_participants={}, on=lambda *_: None)
    sitting = sitting_in(room, await open_ledger(tmp_path))
    stopped: list[bool] = []
    sitting._acting = cast("Any", SimpleNamespace(stop=lambda: stopped.append(True)))
    sitting.lose_room(over=over)
    assert bool(stopped) is not over
