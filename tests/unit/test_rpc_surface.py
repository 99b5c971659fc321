"""What every RPC call goes through before its handler: size, rate, role, payload."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp
import pytest
from livekit import rtc
from livekit.protocol import models
from livekit.protocol.models import ParticipantInfo
from livekit.rtc._proto.participant_pb2 import ParticipantPermission

from agents.meeting import Desk
from agents.plugin import RpcCall, RpcHandler
from agents.roles import ROLE_ATTRIBUTE, Role
from agents.room_settings import RoomSettings
from agents.rpc.callers import UNSEEN, Caller, Callers
from agents.rpc.errors import Code, RpcProblem
from agents.rpc.messages import (
    CorrectReply,
    CorrectRequest,
    ToolInfo,
    ToolsListReply,
    ToolsListRequest,
)
from agents.rpc.methods import CORRECT, HISTORY, METHODS, TOOLS
from agents.rpc.surface import MAX_HIDDEN_REPLY, MAX_REQUEST, REQUEST, RpcSurface
from tests.unit.virtual_time import in_virtual_time


def permitted(*, update_own: bool) -> ParticipantPermission:
    every = (
        *("can_subscribe", "can_publish", "can_publish_data", "hidden", "can_subscribe_metrics"),
        "can_manage_agent_session",
    )
    permissions = ParticipantPermission(can_update_metadata=update_own)
    for name in every:
        setattr(permissions, name, False)
    return permissions


FREE = permitted(update_own=True)
FIXED = permitted(update_own=False)
AGENT = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
CORRECTION = json.dumps({"segment": "1-1", "text": "Good morning"})


@dataclass
class Participant:
    """Somebody in the room."""

    identity: str
    permissions: ParticipantPermission = field(default_factory=lambda: FIXED)
    attributes: Mapping[str, str] = field(default_factory=dict)
    kind: int = 0

    @property
    def name(self) -> str:
        return self.identity.title()


@dataclass
class Room:
    """A room with people, and what the agent sends into it."""

    remote_participants: dict[str, Participant] = field(default_factory=dict)
    sent: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    @property
    def local_participant(self) -> Room:
        return self

    async def send_text(self, text: str, **options: Any) -> None:
        self.sent.append((text, options))

    def add(self, identity: str, **fields: Any) -> None:
        self.remote_participants[identity] = Participant(identity, **fields)


@dataclass
class Server:
    """A LiveKit server, asked for somebody whom the room has not told of."""

    inside: dict[str, ParticipantInfo] = field(default_factory=dict)
    away: bool = False

    def add(self, identity: str, *, hidden: bool = False) -> None:
        kind = ParticipantInfo.Kind.STANDARD
        info = ParticipantInfo(identity=identity, name=identity.title(), kind=kind)
        info.permission.MergeFrom(models.ParticipantPermission(hidden=hidden))
        self.inside[identity] = info

    async def look_up(self, identity: str) -> ParticipantInfo | None:
        if self.away:
            raise aiohttp.ClientError
        return self.inside.get(identity)


@dataclass
class PlainDesk:
    """Of the desk what the surface touches."""

    rtc_room: Room = field(default_factory=Room)
    registered: dict[str, tuple[str, RpcHandler]] = field(default_factory=dict)

    def register_rpc(self, owner: str, method: str, handler: RpcHandler) -> None:
        self.registered[method] = (owner, handler)

    def unregister_rpc(self, owner: str) -> None:
        self.registered = {method: it for method, it in self.registered.items() if it[0] != owner}


class Rig:
    """A surface that answers ``transcript.correct`` and ``tools.list``."""

    def __init__(self, *, hidden: bool = False, tools: int = 1, **asked: Any) -> None:
        self.desk = PlainDesk()
        self.room = self.desk.rtc_room
        self.room.add("ada")
        settings = RoomSettings(agents={}, **asked)
        self.server = Server()
        self.callers = Callers(cast("rtc.Room", self.room), lambda: settings, self.server.look_up)
        self.surface = RpcSurface(cast("Desk", self.desk), self.callers, hidden=hidden)
        self.handled: list[tuple[Caller, CorrectRequest]] = []
        self.problem: Exception | None = None
        self.surface.serve("one", CORRECT, self._correct)
        self.surface.serve("two", TOOLS, self._tools)
        self._tool = ToolInfo(
            name="poll", title="Poll", description="é" * 100, effects="none", arguments_schema={}
        )
        self._count = tools

    async def _correct(self, caller: Caller, request: CorrectRequest) -> CorrectReply:
        if self.problem:
            raise self.problem
        self.handled.append((caller, request))
        return CorrectReply(segment="1-1", text="-", by=caller.identity, name="", at="-")

    async def _tools(self, _caller: Caller, _request: ToolsListRequest) -> ToolsListReply:
        return ToolsListReply(tools=[self._tool] * self._count)

    async def call(
        self, payload: str = CORRECTION, *, caller: str = "ada", method: str = CORRECT.name
    ) -> Any:
        return json.loads(await self.desk.registered[method][1](RpcCall(caller, payload, 10.0)))

    async def refused(self, payload: str = CORRECTION, *, caller: str = "ada") -> rtc.RpcError:
        with pytest.raises(rtc.RpcError) as refused:
            await self.call(payload, caller=caller)
        return refused.value


async def test_a_call_reaches_its_handler_with_who_livekit_says_it_is() -> None:
    rig = Rig(roles={"ada": "owner"})
    assert (await rig.call())["version"] == 1
    caller, request = rig.handled[0]
    assert caller == Caller("ada", "Ada", Role.OWNER)
    assert request == CorrectRequest(segment="1-1", text="Good morning")


@pytest.mark.parametrize(
    ("payload", "code", "sentence"),
    [
        ("", Code.BAD_REQUEST, "segment"),
        ("no JSON", Code.BAD_REQUEST, "payload"),
        ("[]", Code.BAD_REQUEST, "payload"),
        ('{"segment": 1, "text": "a"}', Code.BAD_REQUEST, "segment"),
        ('{"segment": "1", "text": "a", "as": "bob"}', Code.BAD_REQUEST, "as"),
        ('{"version": 2, "segment": "1", "text": "a"}', Code.UNSUPPORTED_VERSION, "version 1"),
    ],
)
async def test_a_payload_that_is_not_the_model_is_refused(
    payload: str, code: Code, sentence: str
) -> None:
    rig = Rig()
    error = await rig.refused(payload)
    assert error.code == code
    assert sentence in error.message
    assert json.loads(error.data or "")["code"] == code.name.lower()
    assert not rig.handled


async def test_a_payload_too_long_is_refused_before_anything_else() -> None:
    rig = Rig(roles={"bob": "attendee"})
    assert (await rig.refused("é" * (MAX_REQUEST // 2 + 1))).code == Code.TOO_LARGE
    assert (await rig.refused()).code == Code.FORBIDDEN


@in_virtual_time
async def test_a_caller_who_calls_too_often_is_told_when_to_call_again() -> None:
    rig = Rig()
    for _ in range(CORRECT.rate.burst):
        await rig.call()
    error = await rig.refused("no JSON")  # It counts too.
    assert error.code == Code.RATE_LIMITED
    assert 0.1 < json.loads(error.data or "")["retry_after"] <= 1 / CORRECT.rate.per_second
    rig.room.add("bob")
    await rig.call(caller="bob")
    await rig.call("", method=TOOLS.name)


async def test_a_role_that_somebody_gave_themselves_does_not_count() -> None:
    rig = Rig(permissions={CORRECT.name: Role.MODERATOR})
    rig.room.add("eve", permissions=FREE, attributes={ROLE_ATTRIBUTE: "owner"})
    rig.room.add("old", permissions=ParticipantPermission(), attributes={ROLE_ATTRIBUTE: "owner"})
    rig.room.add("kim", attributes={ROLE_ATTRIBUTE: "administrator"})
    assert (await rig.refused(caller="eve")).code == Code.FORBIDDEN
    assert (await rig.refused(caller="old")).code == Code.FORBIDDEN
    await rig.call(caller="kim")


async def test_an_agent_may_read_and_not_act() -> None:
    rig = Rig(roles={"bot": "owner"})
    rig.room.add("bot", kind=AGENT)
    assert (await rig.refused(caller="bot")).code == Code.FORBIDDEN
    await rig.call("", caller="bot", method=TOOLS.name)
    assert rig.callers.people() == [Caller("ada", "Ada", Role.ATTENDEE)]


async def test_the_server_says_who_a_caller_is_whom_the_room_has_not_told_of() -> None:
    rig = Rig()
    rig.server.add("late")
    rig.server.add("unseen", hidden=True)
    await rig.call(caller="late")
    assert (await rig.refused(caller="unseen")).code == Code.FORBIDDEN
    assert [one.identity for one in rig.callers.people()] == ["late", "ada"]
    with pytest.raises(rtc.RpcError):  # What an agent may.
        await rig.call("", caller="gone", method=TOOLS.name)
    rig.callers.left("late")
    assert [one.identity for one in rig.callers.people()] == ["ada"]


@in_virtual_time
async def test_a_newcomer_whom_the_room_does_not_tell_of_in_time_is_nobody_here() -> None:
    rig = Rig()
    rig.server.add("brief")
    await rig.call(caller="brief")
    await asyncio.sleep(UNSEEN - 1)
    assert [one.identity for one in rig.callers.people()] == ["brief", "ada"]
    await asyncio.sleep(2)
    assert [one.identity for one in rig.callers.people()] == ["ada"]


async def test_a_stranger_who_has_just_come_is_a_stranger() -> None:
    rig = Rig(roles={"ada": "attendee"})
    rig.server.add("sam")
    with pytest.raises(rtc.RpcError):
        await rig.call("", caller="sam", method=TOOLS.name)


async def test_in_a_room_whose_roles_could_not_be_read_whoever_is_not_named_is_a_stranger() -> None:
    rig = Rig(roles={"ada": "owner"}, closed=True)
    rig.room.add("bob")
    await rig.call()
    assert (await rig.refused(caller="bob")).code == Code.FORBIDDEN


@in_virtual_time
async def test_while_the_server_is_away_a_caller_is_waited_for_then_taken_for_a_stranger() -> None:
    rig = Rig()
    rig.server.away = True
    asyncio.get_running_loop().call_later(UNSEEN / 2, rig.room.add, "late")
    await rig.call(caller="late")
    with pytest.raises(rtc.RpcError):  # What an agent may.
        await rig.call("", caller="hidden", method=TOOLS.name)


async def test_what_a_handler_did_not_mean_to_tell_is_not_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    rig.problem = RuntimeError("the secret")
    error = await rig.refused()
    assert error.code == Code.INTERNAL
    assert "secret" not in error.message + (error.data or "") + caplog.text
    rig.problem = RpcProblem(Code.NOT_FOUND, "There is none. " * 50, id="7")
    error = await rig.refused()
    assert (error.code, json.loads(error.data or "")["id"]) == (Code.NOT_FOUND, "7")
    assert len(error.message) <= 256


async def test_a_hidden_agents_long_answer_goes_as_a_stream_to_the_caller_alone() -> None:
    rig = Rig(hidden=True, tools=100)
    answer = await rig.call("", method=TOOLS.name)
    (text, options), *more = rig.room.sent
    assert not more
    assert len(text.encode()) > MAX_HIDDEN_REPLY
    assert len(json.loads(text)["tools"]) == 100
    assert options == {
        "topic": "greffier.rpc",
        "destination_identities": ["ada"],
        "attributes": {REQUEST: answer["stream"]},
    }
    assert (await Rig(tools=100).call("", method=TOOLS.name)).keys() == {"version", "tools"}
    assert HISTORY.topic == "greffier.history"  # Clients of 0.1.0 read it there.


async def test_all_methods_end_together() -> None:
    rig = Rig()
    rig.desk.register_rpc("a plugin", "its.own", None)  # type: ignore[arg-type]
    rig.surface.close()
    assert rig.desk.registered.keys() == {"its.own"}


@in_virtual_time
async def test_a_call_that_waits_too_long_for_its_turn_is_refused() -> None:
    rig = Rig()
    rig.surface._spent(60.0)  # By handlers of other calls.
    assert (await rig.refused()).code == Code.RATE_LIMITED


def test_every_method_has_a_name_of_its_own() -> None:
    assert len({method.name for method in METHODS}) == len(METHODS)
