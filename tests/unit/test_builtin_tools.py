"""What the built-in tools do with a meeting."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from icalendar import Calendar

from agents.tools import calendar
from agents.tools.calendar import calendar_tool
from agents.tools.note_action_item import note_action_item
from agents.tools.run_poll import choice_of, run_poll
from agents.tools.search_transcript import search_transcript
from agents.tools.tool import MAX_SIZE, Tool
from pipelines.calendar.event import CalendarEvent, to_icalendar, to_words
from pipelines.errors import InvalidArgumentsError, ToolError, UnknownOutcomeError
from pipelines.events import CaptionFinal, ChatReceived
from pipelines.settings import Settings
from tests.unit.tool_room import INFO, Context
from tests.unit.virtual_time import in_virtual_time

EVENT = {
    "title": "Budget",
    "startISO": "2026-01-05T10:00:00+01:00",
    "endISO": "2026-01-05T11:00:00+01:00",
    "attendees": ["ada@example.org", "Bob"],
}


def said(text: str, *, at: float = 5.0, name: str = "Ada") -> CaptionFinal:
    at += INFO.started_at
    return CaptionFinal(at, at + 1, f"s{at}", "ada", name, text)


async def run(tool: Tool, context: Context, **arguments: Any) -> Any:
    return await tool.call(context, tool.validate(arguments))


def events_in(text: str | bytes) -> list[Any]:
    return list(Calendar.from_ical(text).walk("VEVENT"))


async def test_a_search_finds_lines_with_all_words_whatever_their_case_and_accents() -> None:
    finals = [
        said("Le Café est fermé"),
        said("The cafe is open", at=61),
        said("", at=62),
        said("Tea", name="Bob", at=63),
    ]
    found = await run(search_transcript, Context(finals=finals), words="cafe")
    assert found["found"] == 2
    assert found["lines"][1] == {"time": "01:01", "speaker": "Ada", "text": "The cafe is open"}
    found = await run(search_transcript, Context(finals=finals), words="cafe open")
    assert [line["time"] for line in found["lines"]] == ["01:01"]
    assert (await run(search_transcript, Context(finals=finals), speaker="bob"))["found"] == 1


async def test_a_search_that_finds_much_returns_the_latest_that_a_result_holds() -> None:
    finals = [said("é" * 1000, at=float(n)) for n in range(200)]
    found = await run(search_transcript, Context(finals=finals), limit=200)
    assert found["found"] == 200
    assert found["lines"][-1]["time"] == "03:19"
    assert 1 < len(found["lines"]) < 200
    assert len(json.dumps(found)) <= MAX_SIZE


async def test_an_action_item_is_a_note_of_the_meeting() -> None:
    context = Context()
    item = await run(note_action_item, context, what="Call Bob", due="2026-01-05")
    assert context.notes == [("action_item", item)]
    assert item == {"what": "Call Bob", "who": "", "due": "2026-01-05"}


@in_virtual_time
async def test_a_poll_counts_the_last_answer_of_each_person_in_the_meeting() -> None:
    context = Context()

    async def answer() -> None:
        await asyncio.sleep(1)
        for who, text in [
            ("ada", "1"),
            ("bob", "tea"),
            ("ada", " 2. "),
            ("spy", "1"),
            ("ada", "9"),
        ]:
            context.inbox.put(ChatReceived(0.0, who, text))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(answer())
        result = await run(run_poll, context, question="Drink?", options=["Coffee", "Tea"])
    assert result["votes"] == [{"option": "Coffee", "votes": 0}, {"option": "Tea", "votes": 2}]
    assert context.posted[0].startswith("Drink?\n1. Coffee\n2. Tea\n")
    assert context.posted[1] == "Drink?\nCoffee: 0\nTea: 2"
    assert context.notes == [("poll", result)]


def test_an_option_that_is_a_number_is_taken_by_its_words_first() -> None:
    assert choice_of("2", ["2", "3"]) == 0
    assert choice_of("1", ["2", "3"]) == 0
    assert choice_of("9" * 5000, ["2", "3"]) is None


async def test_an_event_is_one_file_however_often_it_is_delivered(tmp_path: Path) -> None:
    tool = calendar_tool(Settings(data_dir=tmp_path))
    first = await run(tool, Context(key="k1"), **EVENT)
    (path,) = tmp_path.rglob("*.ics")
    written = path.read_bytes()
    assert await run(tool, Context(key="k1"), **EVENT) == first
    assert list(tmp_path.rglob("*.ics")) == [path]
    assert path.read_bytes() == written
    assert list(path.parent.iterdir()) == [path]
    await run(tool, Context(key="k2"), **EVENT)
    assert len(list(tmp_path.rglob("*.ics"))) == 2
    (event,) = events_in(written)
    assert event.start == datetime(2026, 1, 5, 9, tzinfo=UTC)
    assert event["UID"] == "k1"
    assert event["ATTENDEE"][0] == "mailto:ada@example.org"
    assert event["ATTENDEE"][1].params["CN"] == "Bob"


async def test_an_event_of_a_meeting_that_is_not_kept_goes_only_where_the_operator_says(
    tmp_path: Path,
) -> None:
    context = Context(info=replace(INFO, kept=False))
    with pytest.raises(ToolError, match="encrypted"):
        await run(calendar_tool(Settings(data_dir=tmp_path)), context, **EVENT)
    named = Settings(calendars=f"team=file://{tmp_path}/team")
    assert (await run(calendar_tool(named), context, **EVENT))["delivered"] == ["team"]
    assert [path.parent.parent.name for path in tmp_path.rglob("*.ics")] == ["team"]


async def test_an_event_reaches_the_other_places_when_one_refuses_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    settings = Settings(calendars=f"full=file://{tmp_path}/file/x,talk=chat:")
    context = Context()
    result = await run(calendar_tool(settings), context, **EVENT)
    assert result["delivered"] == ["talk"]
    assert "full" in result["failed"][0]
    assert "Budget\n2026-01-05 10:00 - 11:00 UTC+01:00\n" in context.posted[0]
    assert "BEGIN:VCALENDAR" in context.posted[0]
    settings = Settings(calendars=f"full=file://{tmp_path}/file/x")
    with pytest.raises(ToolError, match="full"):
        await run(calendar_tool(settings), context, **EVENT)


@in_virtual_time
async def test_an_event_does_not_wait_behind_places_that_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hang(*_: object, **__: object) -> None:
        await asyncio.sleep(10)
        raise UnknownOutcomeError("no answer")

    monkeypatch.setattr(calendar, "put_caldav", hang)
    hanging = ",".join(f"c{n}=caldavs://h/{n}/" for n in range(3))
    tool = calendar_tool(Settings(calendars=f"{hanging},talk=chat:"))
    context = Context()
    with pytest.raises(UnknownOutcomeError, match="no answer; no answer; no answer"):
        async with asyncio.timeout(15):
            await run(tool, context, **EVENT)
    assert len(context.posted) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"endISO": "2026-01-05T10:00:00+01:00"}, "endISO must be after startISO"),
        ({"startISO": "2026-01-05T10:00:00"}, "startISO"),
        ({"startISO": "0001-01-01T00:00:00+14:00"}, "startISO must be from 1970 to 2999"),
        ({"endISO": "9999-12-31T23:59:59-14:00"}, "endISO must be from 1970 to 2999"),
        ({"title": ""}, "title"),
        ({"organizer": "x"}, "organizer"),
    ],
)
def test_an_event_that_makes_no_sense_is_never_put_to_anybody(
    change: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidArgumentsError, match=field):
        calendar_tool(Settings()).validate(EVENT | change)


def test_nothing_that_people_write_becomes_a_property_of_the_calendar() -> None:
    evil = 'x"\r\nATTENDEE:mailto:evil@example.org\r\n\x00END:VEVENT'
    now = datetime(2026, 1, 5, 9, tzinfo=UTC)
    event = CalendarEvent("k1", evil, now, now, now, evil, (evil, "ada@example.org\r\nX-A:1"))
    (item,) = events_in(to_icalendar(event))
    assert len(item["ATTENDEE"]) == 2
    assert set(item) == {"SUMMARY", "DTSTART", "DTEND", "DTSTAMP", "UID", "ATTENDEE", "DESCRIPTION"}
    assert "\x00" not in to_icalendar(event)
    assert to_words(event).splitlines()[0].startswith('x" ATTENDEE')
