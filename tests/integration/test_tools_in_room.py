"""Tools in a real room: what people ask for, approve, and then find in the chat and in a file."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from livekit import rtc

from agents.rpc.errors import Code
from bench.rooms import Rooms, dispatch_to
from tests.integration.conftest import StartWorker
from tests.integration.guest import Guest

_MCP = {"command": sys.executable, "args": [str(Path(__file__).parent / "mcp_tools.py")]}
_EVENT = {
    "title": "Budget",
    "startISO": "2026-01-05T10:00:00+01:00",
    "endISO": "2026-01-05T11:00:00+01:00",
}


class Ada(Guest):
    """A participant who calls tools, and who reads and writes the chat."""

    def __init__(self, rooms: Rooms, room: str, agent: str) -> None:
        super().__init__(rooms, room, "ada", agent=agent)
        self.chat = self.reads("lk.chat")

    async def tools(self) -> set[str]:
        try:
            return {tool["name"] for tool in (await self.call("tools.list"))["tools"]}
        except rtc.RpcError:
            return set()  # The agent is on its way.

    async def approves(self, tool: str, **arguments: Any) -> str:
        asked = await self.call("tools.call", tool=tool, arguments=arguments)
        assert asked["state"] == "pending"
        (approval,) = asked["approvals"]
        await self.call("approval.resolve", id=approval, decision="approve")
        return str(approval)

    async def outcome(self, approval: str) -> dict[str, Any]:
        while True:
            listed = await self.call("approval.list", open_only=False)
            (found,) = [one for one in listed["approvals"] if one["id"] == approval]
            if found["state"] in {"done", "failed", "unknown"}:
                return dict(found)
            await asyncio.sleep(0.2)

    async def sees(self, part: str) -> None:
        while not any(part in one.text for one in self.chat):  # noqa: ASYNC110 - a test may look
            await asyncio.sleep(0.05)


async def test_tools_of_every_kind_run_in_a_meeting_once_somebody_approves(
    rooms: Rooms, room: str, agent_name: str, start_worker: StartWorker, tmp_path: Path
) -> None:
    start_worker(
        GREFFIER_MCP_SERVERS=json.dumps({"sums": _MCP}),
        GREFFIER_CALENDARS=f"disk=file://{tmp_path}/calendar,talk=chat:",
    )
    await rooms.create(
        room, metadata={"agents": {"metadata": True}}, agents=[dispatch_to(agent_name)]
    )
    agent = f"{agent_name}-{room}"
    async with Ada(rooms, room, agent) as ada, asyncio.timeout(120):
        while "sums.add" not in await ada.tools():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.3)

        done = await ada.call("tools.call", tool="sums.add", arguments={"a": 2, "b": 3})
        assert (done["state"], done["result"]) == ("done", {"result": 5})
        assert await ada.code("tools.call", tool="nothing") == Code.NOT_FOUND
        wrong = {"tool": "create_calendar_event", "arguments": _EVENT | {"endISO": "soon"}}
        assert await ada.code("tools.call", **wrong) == Code.BAD_REQUEST

        poll = await ada.approves("run_poll", question="Tea?", options=["Yes", "No"], seconds=10)
        await ada.sees("Tea?\n1. Yes")
        await ada.write("2")

        posted = await ada.outcome(await ada.approves("post_to_chat", text="Hello"))
        assert posted["state"] == "done"
        await ada.sees("Hello")
        posts = [one.sender for one in ada.chat if one.text == "Hello"]
        assert posts == [agent]

        event = await ada.outcome(await ada.approves("create_calendar_event", **_EVENT))
        assert event["result"]["delivered"] == ["disk", "talk"]
        (path,) = (tmp_path / "calendar").rglob("*.ics")
        assert "SUMMARY:Budget" in path.read_text()
        await ada.sees("BEGIN:VCALENDAR")

        item = await ada.outcome(await ada.approves("note_action_item", what="Buy tea"))
        assert item["result"]["what"] == "Buy tea"

        votes = (await ada.outcome(poll))["result"]["votes"]
        assert votes == [{"option": "Yes", "votes": 0}, {"option": "No", "votes": 1}]
        await ada.sees("Tea?\nYes: 0\nNo: 1")
    kept = "".join(path.read_text() for path in (tmp_path / "data/journal").rglob("*.jsonl"))
    lines = [json.loads(line) for line in kept.splitlines()]
    notes = [line for line in lines if line["kind"] == "note"]
    kinds = {line["data"]["kind"] for line in notes if line["data"]["agent"] == "tools"}
    assert kinds == {"action_item", "poll"}
