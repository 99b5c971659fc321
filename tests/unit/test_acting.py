"""What goes wrong in one part of the acting, and the other parts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from agents.acting import Acting
from agents.host import AgentHost
from agents.meeting import Desk
from agents.plugin import MeetingInfo, RpcHandler
from agents.room_settings import RoomSettings
from agents.rpc.methods import METHODS
from agents.switchboard import Switchboard
from pipelines.lease import Leases
from pipelines.settings import Settings
from tests.unit.virtual_time import in_virtual_time

INFO = MeetingInfo(meeting="weekly", room="weekly", epoch=1, started_at=1_700_000_000.0)


@dataclass
class Ledger:
    """Keeps nothing."""

    epoch: int = 1
    actions: tuple[Any, ...] = ()

    async def read_again(self) -> None: ...


@dataclass
class PlainDesk:
    """Of the desk what the acting touches when it begins and ends."""

    rtc_room: Any = None
    info: MeetingInfo = INFO
    ledger: Ledger = field(default_factory=Ledger)
    served: set[str] = field(default_factory=set)
    breaks: bool = False

    @property
    def captions(self) -> PlainDesk:
        return self

    def notify(self, _kind: str, _fields: object) -> None: ...

    def register_rpc(self, _owner: str, method: str, _handler: RpcHandler) -> None:
        self.served.add(method)

    def unregister_rpc(self, _owner: str) -> None:
        if self.breaks:
            raise RuntimeError
        self.served.clear()


class Now:
    """A switchboard whose metadata says nothing."""

    now = RoomSettings(agents={})


def acting(desk: PlainDesk) -> Acting:
    return Acting(
        cast("Desk", desk),
        Settings(),
        cast("Switchboard", Now()),
        cast("AgentHost", None),
        tools=(),
        leases=cast("Leases", None),
        keeps=True,
    )


@in_virtual_time
async def test_a_part_that_fails_ends_no_other() -> None:
    desk = PlainDesk()
    one = acting(desk)
    told: list[str] = []

    async def fail(part: str) -> None:
        told.append(part)
        raise OSError(part)

    one.toolbox.run = lambda: fail("tools")  # type: ignore[method-assign] # the fault
    one.approvals.run = lambda: fail("approvals")  # type: ignore[method-assign] # the fault
    running = asyncio.create_task(one.run())
    await asyncio.sleep(5)
    assert sorted(told) == ["approvals", "tools"]
    assert desk.served == {method.name for method in METHODS}
    one.close()
    await running
    assert not desk.served


@in_virtual_time
async def test_tools_run_until_the_end_when_the_approvals_have_failed() -> None:
    one = acting(PlainDesk())
    ended = asyncio.Event()

    async def fail() -> None:
        raise OSError

    async def hold() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    one.toolbox.run = hold  # type: ignore[method-assign] # to see its end
    one.approvals.run = fail  # type: ignore[method-assign] # the fault
    running = asyncio.create_task(one.run())
    await asyncio.sleep(5)
    assert not ended.is_set()
    one.close()
    await running
    assert ended.is_set()


async def test_no_trouble_at_the_end_lets_the_approvals_go_on() -> None:
    one = acting(PlainDesk(breaks=True))
    one.begin()
    with pytest.raises(RuntimeError):
        one.close()
    await asyncio.wait_for(one.approvals.run(), 5)
