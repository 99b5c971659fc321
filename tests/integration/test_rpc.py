"""RPC at a real server: who may call what, whatever they say of themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest

from agents.roles import Role
from agents.rpc.errors import Code
from agents.rpc.methods import METHODS
from bench.livekit_server import LiveKitServer
from bench.rooms import Rooms, dispatch_to
from bench.worker_process import WorkerProcess
from tests.integration.guest import Guest

ROLES = {"olga": "owner", "mo": "moderator", "ada": "attendee", "eve": "attendee", "bot": "owner"}
EXPECTED = {
    "olga": Role.OWNER,
    "mo": Role.MODERATOR,
    "ada": Role.ATTENDEE,
    "eve": Role.ATTENDEE,
    "sam": Role.STRANGER,
    "bot": Role.AGENT,
}
PAYLOADS: Mapping[str, Mapping[str, Any]] = {
    "agents.start": {"agent": "nobody"},
    "agents.stop": {"agent": "nobody"},
    "approval.resolve": {"id": "none", "decision": "approve"},
    "tools.call": {"tool": "none"},
    "transcript.correct": {"segment": "none", "text": "None"},
}
TIMEOUT = 20.0
AGENT = "answers"


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not await true():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.2)


async def answers(guest: Guest, method: str) -> bool:
    return not await guest.code(method)


async def served(guest: Guest) -> None:
    await until(lambda: answers(guest, "agent.status"))


@pytest.fixture(scope="module")
def worker(
    livekit: LiveKitServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProcess]:
    """One for the whole file."""
    directory = tmp_path_factory.mktemp("rpc")
    settings = {
        **livekit.env(),
        "GREFFIER_AGENT_NAME": AGENT,
        "GREFFIER_DATA_DIR": str(directory / "data"),
        "GREFFIER_DEPARTURE_TIMEOUT": "2",
    }
    with WorkerProcess(settings, log=directory / "worker.log") as worker:
        yield worker.wait_until_registered()


@pytest.fixture
async def guests(
    rooms: Rooms,
    room: str,
    worker: WorkerProcess,  # noqa: ARG001 - it runs
) -> AsyncIterator[Mapping[str, Guest]]:
    """Everybody of EXPECTED in one room with the agent."""
    await rooms.create(
        room,
        metadata={"agents": {"metadata": True}, "roles": ROLES},
        agents=[dispatch_to(AGENT)],
    )
    special: Mapping[str, Mapping[str, Any]] = {
        "eve": {"can_update_own_metadata": True},
        "bot": {"kind": "agent"},
    }
    async with AsyncExitStack() as stack:
        yield {
            who: await stack.enter_async_context(
                Guest(rooms, room, who, agent=f"{AGENT}-{room}", **special.get(who, {}))
            )
            for who in EXPECTED
        }


async def test_each_method_asks_for_a_role_that_nobody_can_give_themselves(
    guests: Mapping[str, Guest], rooms: Rooms, room: str
) -> None:
    await served(guests["olga"])
    await guests["eve"].room.local_participant.set_attributes({"room_role": "owner"})
    await asyncio.sleep(0.5)  # The agent has seen it.
    for who, role in EXPECTED.items():
        admitted = {one.name for one in METHODS if one.admits(role, None)}
        for method in METHODS:
            code = await guests[who].code(method.name, **PAYLOADS.get(method.name, {}))
            refused = code == Code.FORBIDDEN
            assert refused != (method.name in admitted), (who, method.name, code)
            assert code not in {Code.INTERNAL, Code.RATE_LIMITED, Code.BAD_REQUEST}, method.name
        if "agent.status" in admitted:
            you = (await guests[who].call("agent.status"))["you"]
            assert (you["identity"], you["role"]) == (who, role)
            assert set(you["may_call"]) == admitted

    # The room's metadata says otherwise, but no stranger ever decides.
    lowered = {"tools.list": "owner", "transcript.history": "stranger"}
    lowered |= {"approval.resolve": "stranger"}
    await rooms.set_metadata(
        room, {"agents": {"metadata": True}, "roles": ROLES, "permissions": lowered}
    )
    await until(lambda: answers(guests["sam"], "transcript.history"))
    assert await guests["mo"].code("tools.list") == Code.FORBIDDEN
    assert await guests["olga"].code("tools.list") == 0
    resolve = {"id": "none", "decision": "approve"}
    assert await guests["sam"].code("approval.resolve", **resolve) == Code.FORBIDDEN


async def test_a_role_in_an_attribute_counts_of_those_who_can_not_change_their_own(
    rooms: Rooms,
    room: str,
    worker: WorkerProcess,  # noqa: ARG001 - it runs
) -> None:
    # No attendee is named here, so attributes may say something.
    metadata = {"agents": {"metadata": True}, "roles": {"olga": "owner"}}
    await rooms.create(room, metadata=metadata, agents=[dispatch_to(AGENT)])
    administrator: Mapping[str, Any] = {"attributes": {"room_role": "administrator"}}
    to_themselves: Mapping[str, Any] = {"can_update_own_metadata": True}
    agent = f"{AGENT}-{room}"
    async with (
        Guest(rooms, room, "eve", agent=agent, **to_themselves) as eve,
        Guest(rooms, room, "kim", agent=agent, **administrator) as kim,
        Guest(rooms, room, "max", agent=agent, **to_themselves, **administrator) as max_,
    ):
        await eve.room.local_participant.set_attributes({"room_role": "owner"})
        await asyncio.gather(*map(served, (eve, kim, max_)))
        await asyncio.sleep(0.5)  # The agent has seen it.
        for guest, role in ((eve, "attendee"), (kim, "moderator"), (max_, "attendee")):
            assert (await guest.call("agent.status"))["you"]["role"] == role


async def test_a_moderator_stops_and_starts_an_agent_until_metadata_says_otherwise(
    guests: Mapping[str, Guest], rooms: Rooms, room: str
) -> None:
    moderator = guests["mo"]
    await served(moderator)

    def states(reply: dict[str, Any]) -> dict[str, str]:
        return {one["name"]: one["state"] for one in reply["agents"]}

    assert states(await moderator.call("agent.status"))["metadata"] == "running"
    assert states(await moderator.call("agents.stop", agent="metadata"))["metadata"] == "off"
    assert states(await moderator.call("agents.start", agent="metadata"))["metadata"] == "running"
    assert states(await moderator.call("agents.stop", agent="metadata"))["metadata"] == "off"
    # Of something else: it stays off.
    metadata = {"agents": {"metadata": True}, "roles": ROLES, "language": "fr"}
    await rooms.set_metadata(room, metadata)

    async def is_french() -> bool:
        return bool((await moderator.call("agent.status"))["language"] == "fr")

    await until(is_french)
    assert states(await moderator.call("agent.status"))["metadata"] == "off"
    for asked in (False, True):
        await rooms.set_metadata(room, metadata | {"agents": {"metadata": asked}})
        await asyncio.sleep(1)
    assert states(await moderator.call("agent.status"))["metadata"] == "running"
    assert await moderator.code("agents.start", agent="nobody") == Code.NOT_FOUND
