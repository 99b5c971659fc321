"""People ask for calendar events and allow them, in browsers with our client module.

The truth is the directory of ``.ics`` files: what was allowed is there once, all else is not.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from anyio.from_thread import start_blocking_portal
from icalendar import Calendar, Event

from agents.assistant.tool_calls import APPROVAL_FROM
from bench.livekit_server import LiveKitServer
from bench.rooms import Rooms, dispatch_to
from bench.worker_process import WorkerProcess
from pipelines.testing.openai_protocol import Reply
from pipelines.testing.scripted_llm import ScriptedLLM
from tests.integration.browser_pages import BrowserPages

TOOL: Final = "create_calendar_event"
SHORT: Final = 6
"""Seconds in which an approval of the hidden agent expires."""


@dataclass
class Calls:
    """A meeting with an agent, and the browsers of those who take part.

    ``people`` are in it; ``files`` is where calendar events go.
    """

    pages: BrowserPages
    rooms: Rooms
    room: str
    files: Path
    people: set[str] = field(default_factory=set)

    def join(self, who: str, how: str = "join", *more: Any) -> None:
        token = self.rooms.token(self.room, who, name=who.title())
        self.do(who, how, self.rooms.url, token, *more)
        self.people.add(who)

    def do(self, who: str, what: str, *given: Any) -> Any:
        return self.pages.call(f"{self.room} {who}", what, *given)

    def request(self, title: str, *, by: str = "ada", to: str = "Bob") -> str:
        """Return the id of the approval that is asked for."""
        for _ in range(50):
            reply = self.do(by, "request", TOOL, event(title), {"to": [to], "reason": "We agreed."})
            if reply["state"] != "refused":
                break
            time.sleep(0.2)  # The agent learns late who has come.
        assert reply["state"] == "pending", reply
        (approval,) = reply["approvals"]
        return str(approval)

    def events(self) -> list[str]:
        """Return the titles of the calendar events there are."""
        return [str(one["SUMMARY"]) for one in self.calendar()]

    def calendar(self) -> list[Event]:
        files = sorted(self.files.rglob("*.ics"))
        calendars = [Calendar.from_ical(file.read_bytes()) for file in files]
        return [one for calendar in calendars for one in calendar.events]


def event(title: str) -> dict[str, Any]:
    return {
        "title": title,
        "description": "As we said.",
        "startISO": "2031-05-06T10:00:00+02:00",
        "endISO": "2031-05-06T10:30:00+02:00",
        "attendees": ["ada@example.org"],
    }


@pytest.fixture(scope="module")
def pages(node: str, browser: str, client_module: Path) -> Iterator[BrowserPages]:  # noqa: ARG001 - built before
    with ExitStack() as stack:
        pages = BrowserPages(node, browser, "acting/page.js")
        stack.callback(pages.close)
        yield pages


def plan(body: Mapping[str, Any]) -> Reply:
    """Ask Bob for an event, and tell what comes of it, as a model does."""
    match body["messages"][-1]["role"]:
        case "user":
            return Reply(tools=[(TOOL, {**event("Planned"), APPROVAL_FROM: ["Bob"]})])
        case "tool":
            return Reply("I have asked Bob.")
        case _:
            return Reply("Bob has agreed.")


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    """The address of a language model."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(ScriptedLLM(plan)) as server,
    ):
        yield server.url


@pytest.fixture(scope="module")
def meetings(
    livekit: LiveKitServer,
    pages: BrowserPages,
    model: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Calls]]:
    """A meeting with a visible agent and one with a hidden agent, in which time is short."""
    directory = tmp_path_factory.mktemp("acting")
    workers: dict[str, dict[str, str]] = {
        "visible": {"GREFFIER_LLM_MODEL": "scripted", "GREFFIER_LLM_BASE_URL": model},
        "hidden": {"GREFFIER_HIDDEN": "true", "GREFFIER_APPROVAL_TIMEOUT": str(SHORT)},
    }
    found = {}
    with ExitStack() as stack:
        started = []
        for name, settings in workers.items():
            env = {
                **livekit.env(),
                **settings,
                "GREFFIER_AGENT_NAME": name,
                "GREFFIER_DEPARTURE_TIMEOUT": "1",
                "GREFFIER_DATA_DIR": str(directory / name),
            }
            worker = WorkerProcess(env, log=directory / f"{name}.log", name=name)
            started.append(stack.enter_context(worker))
        for worker in started:
            worker.wait_until_registered()
        for name in workers:
            rooms = Rooms(livekit.url, livekit.api_key, livekit.api_secret)
            room = f"acting-{name}-{secrets.token_hex(3)}"
            metadata = {
                "meetingData": {"id": room},
                "agentData": {"name": "Iris"},
                "agents": {"metadata": {}, "assistant": {}},
            }
            asyncio.run(open_room(rooms, room, name, metadata))
            found[name] = Calls(pages, rooms, room, directory / name / "calendar")
            for who in ("ada", "bob"):
                found[name].join(who)
        yield found
        for calls in found.values():
            for who in calls.people:
                calls.do(who, "leave")


@pytest.fixture(scope="module")
def calls(meetings: dict[str, Calls]) -> Calls:
    return meetings["visible"]


@pytest.fixture(scope="module")
def hidden(meetings: dict[str, Calls]) -> Calls:
    return meetings["hidden"]


async def open_room(rooms: Rooms, room: str, agent: str, metadata: dict[str, Any]) -> None:
    async with rooms:
        await rooms.create(room, metadata=metadata, agents=[dispatch_to(agent)])


def test_what_is_typed_in_the_chat_is_in_the_calendar_once_it_is_approved(calls: Calls) -> None:
    calls.do("ada", "say", "Iris, plan a review with Bob tomorrow at ten.")
    assert calls.do("ada", "reads", 1) == "I have asked Bob."
    dialog = calls.do("bob", "dialog")
    assert (dialog["tool"], dialog["asked_by"]) == (TOOL, "agent:assistant")
    assert "Planned" not in calls.events()
    calls.do("bob", "decide", "approve", dialog["id"])
    assert calls.do("ada", "reads", 2) == "Bob has agreed."
    assert calls.events().count("Planned") == 1
    calls.do("bob", "closed")


def test_what_the_addressee_approves_is_in_the_calendar(calls: Calls) -> None:
    approval = calls.request("Review")
    dialog = calls.do("bob", "dialog")
    assert dialog["id"] == approval
    assert (dialog["tool"], dialog["asked_by"], dialog["reason"]) == (TOOL, "ada", "We agreed.")
    assert dialog["arguments"]["title"] == "Review"
    assert "Review" not in calls.events()
    calls.do("bob", "decide", "approve", approval)
    assert calls.do("ada", "became", approval)["state"] == "done"
    (found,) = [one for one in calls.calendar() if one["SUMMARY"] == "Review"]
    assert found.start.isoformat() == "2031-05-06T08:00:00+00:00"
    assert found["ATTENDEE"] == "mailto:ada@example.org"
    calls.do("bob", "closed")


def test_who_is_not_addressed_has_no_dialog_and_decides_nothing(calls: Calls) -> None:
    approval = calls.request("Addressed")
    calls.do("bob", "dialog")
    assert not calls.do("ada", "hasDialog")
    assert calls.do("ada", "decide", "approve", approval)["problem"] == "not_addressed"
    calls.do("bob", "decide", "reject", approval)
    calls.do("bob", "closed")
    assert "Addressed" not in calls.events()


def test_what_is_rejected_does_not_happen_and_whoever_asked_is_told_why(calls: Calls) -> None:
    approval = calls.request("Rejected")
    calls.do("bob", "dialog")
    calls.do("bob", "decide", "reject", approval, "Not on a Tuesday.")
    became = calls.do("ada", "became", approval)
    assert (became["state"], became["reason"]) == ("rejected", "Not on a Tuesday.")
    assert calls.do("bob", "decide", "approve", approval)["problem"] == "already_decided"
    assert "Rejected" not in calls.events()


def test_what_is_modified_happens_as_modified_if_it_is_valid(calls: Calls) -> None:
    approval = calls.request("Draft")
    calls.do("bob", "dialog")
    refused = calls.do("bob", "decide", "modify", approval, {**event("Draft"), "startISO": "soon"})
    assert refused["problem"] == "bad_request"
    assert "startISO" in refused["message"]
    calls.do("bob", "decide", "modify", approval, event("Better"))
    assert calls.do("ada", "became", approval)["arguments"]["title"] == "Better"
    assert "Better" in calls.events()
    assert "Draft" not in calls.events()


def test_a_page_that_is_loaded_again_has_its_dialog_again(calls: Calls) -> None:
    approval = calls.request("Reloaded")
    calls.do("bob", "dialog")
    calls.do("bob", "reload")
    calls.join("bob")
    dialog = calls.do("bob", "dialog")
    assert (dialog["id"], dialog["arguments"]["title"]) == (approval, "Reloaded")
    calls.do("bob", "decide", "approve", approval)
    assert calls.do("ada", "became", approval)["state"] == "done"
    assert calls.events().count("Reloaded") == 1


def test_the_same_request_at_once_is_one_dialog_and_one_event(calls: Calls) -> None:
    replies = calls.do("ada", "requestOften", 4, TOOL, event("Same"), {"to": ["Bob"]})
    replies += calls.do("bob", "requestOften", 1, TOOL, event("Same"), {})
    (approval,) = {one for reply in replies for one in reply["approvals"]}
    calls.do("bob", "dialog")
    calls.do("bob", "decide", "approve", approval)
    assert calls.do("ada", "became", approval)["state"] == "done"
    calls.do("bob", "closed")
    assert calls.events().count("Same") == 1


def test_a_person_sees_one_dialog_at_a_time_in_order(calls: Calls) -> None:
    first, second = calls.request("First"), calls.request("Second")
    assert calls.do("bob", "dialog")["id"] == first
    calls.do("bob", "decide", "reject", first)
    assert calls.do("bob", "dialogIsAfter", first)["id"] == second
    calls.do("bob", "decide", "reject", second)
    calls.do("bob", "closed")


def test_an_old_browser_is_asked_as_meetai_asks_and_may_modify(calls: Calls) -> None:
    answer = {"approved": True, "modifiedPayload": event("Max's way")}
    calls.join("max", "joinAsMeetai", answer)
    approval = calls.request("Old", to="max")
    assert calls.do("ada", "became", approval)["state"] == "done"
    (asked,) = calls.do("max", "asked")
    assert asked["type"] == TOOL
    assert asked["targetParticipant"] == "Max"
    assert asked["payload"]["title"] == "Old"
    assert asked["timeoutMs"] == 60_000
    assert "Max's way" in calls.events()
    assert "Old" not in calls.events()


def test_a_hidden_agents_approval_reaches_its_person_too(hidden: Calls) -> None:
    approval = hidden.request("Hidden")
    assert hidden.do("bob", "dialog")["id"] == approval
    hidden.do("bob", "decide", "approve", approval)
    assert hidden.do("ada", "became", approval)["state"] == "done"
    assert hidden.events().count("Hidden") == 1
    hidden.do("bob", "closed")


def test_what_nobody_decides_in_time_expires_and_its_dialog_closes(hidden: Calls) -> None:
    approval = hidden.request("Late")
    assert hidden.do("bob", "dialog")["id"] == approval
    hidden.do("bob", "closed")
    assert hidden.do("ada", "became", approval)["state"] == "expired"
    assert hidden.do("bob", "decide", "approve", approval)["problem"] == "expired"
    assert "Late" not in hidden.events()
