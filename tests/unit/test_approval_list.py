"""What fits into ``approval.list``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from agents.approvals.approval import Approval, State
from agents.approvals.approvals import Approvals
from agents.approvals.serving import MOST, MOST_BYTES, ApprovalCalls
from agents.approvals.view import view_of
from agents.roles import Role
from agents.rpc.callers import Caller
from agents.rpc.messages import Approval as View
from agents.rpc.messages import ApprovalListRequest


def approval(number: int, state: State, *, size: int) -> Approval:
    return Approval(
        id=str(number),
        tool="post",
        arguments={"text": "x" * size},
        effects="at_most_once",
        to="ada",
        name="Ada",
        asked_by="ada",
        asked_at=float(number),
        state=state,
    )


@dataclass
class Given:
    """The approvals of a meeting."""

    approvals: list[Approval] = field(default_factory=list)

    def all(self) -> list[Approval]:
        return self.approvals

    async def listed(self, _person: str) -> None: ...

    def view(self, one: Approval) -> View:
        return view_of(one, None, expires_at=None)


async def ids(*approvals: Approval) -> list[str]:
    calls = ApprovalCalls(cast("Approvals", Given(list(approvals))))
    request = ApprovalListRequest(open_only=False)
    reply = await calls.list(Caller("ada", "Ada", Role.ATTENDEE), request)
    assert len(reply.model_dump_json()) <= MOST_BYTES + 1000
    return [one.id for one in reply.approvals]


async def test_a_list_holds_the_latest_that_fit_and_first_those_that_wait() -> None:
    waits = approval(0, State.REQUESTED, size=10)
    done = [approval(number, State.DONE, size=30_000) for number in range(1, 20)]
    told = await ids(waits, *done)
    assert told[0] == "0"
    assert told[1:] == [str(number) for number in range(21 - len(told), 20)]
    assert 5 < len(told) < 10


async def test_a_list_holds_so_many_and_no_more() -> None:
    told = await ids(*(approval(number, State.DONE, size=1) for number in range(MOST + 5)))
    assert told == [str(number) for number in range(5, MOST + 5)]
