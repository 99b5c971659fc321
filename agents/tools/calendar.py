"""The tool that creates calendar events, with the fields of MeetAI's approval."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from agents.tools.tool import Tool, ToolContext
from pipelines.calendar.deliver import post_webhook, put_caldav, write_file
from pipelines.calendar.event import CalendarEvent, to_icalendar, to_words
from pipelines.calendar.place import CalendarPlace
from pipelines.errors import ToolError, UnknownOutcomeError
from pipelines.settings import Settings

NAME: Final = "create_calendar_event"
"""Browsers that know MeetAI's approval only are asked for this tool in its way."""

YEARS: Final = range(1970, 3000)
"""Of an event, so that its time can be told in every time zone."""

Attendee = Annotated[str, Field(min_length=1, max_length=254)]


class CalendarArguments(BaseModel):
    """The event, as MeetAI's page has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=5000)
    start: AwareDatetime = Field(alias="startISO", description="ISO 8601, with an offset.")
    end: AwareDatetime = Field(alias="endISO", description="ISO 8601, with an offset.")
    attendees: list[Attendee] = Field(
        default=[], max_length=100, description="Mail addresses, or names."
    )

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        for field, time in (("startISO", self.start), ("endISO", self.end)):
            if time.year not in YEARS:
                raise ValueError(f"{field} must be from {YEARS[0]} to {YEARS[-1]}")
        if self.end <= self.start:
            raise ValueError("endISO must be after startISO")
        return self


def calendar_tool(settings: Settings) -> Tool:
    """Return the tool, which delivers where the operator's settings say."""
    return Tool(
        name=NAME,
        description="Create a calendar event for people of the meeting.",
        arguments=CalendarArguments,
        effects="idempotent",
        run=partial(_create, settings),
        title="Create a calendar event",
        isolation="inline",
    )


async def _create(
    settings: Settings, context: ToolContext, arguments: CalendarArguments
) -> dict[str, Any]:
    """Deliver to all places; where one may have it or not, all are tried again under the key."""
    event = CalendarEvent(
        uid=context.key,
        title=arguments.title,
        start=arguments.start,
        end=arguments.end,
        # The same in each try, so that a receiver gets the same bytes.
        made_at=datetime.fromtimestamp(context.info.started_at, UTC),
        description=arguments.description,
        attendees=tuple(arguments.attendees),
    )
    try:
        to_icalendar(event)
    except (ValueError, OverflowError):  # Before one place has it and the next can't.
        raise ToolError("the event can't be written as iCalendar") from None
    places = settings.calendar_places(settings.data_dir, kept=context.info.kept)
    if not places:
        raise ToolError("nothing of this encrypted meeting is kept, so no calendar can take it")
    # At once, or the last would wait behind those that hang, at each try.
    outcomes = await asyncio.gather(
        *(_deliver(settings, place, event, context) for place in places), return_exceptions=True
    )
    delivered: list[str] = []
    failed: list[str] = []
    unknown: list[str] = []
    for place, outcome in zip(places, outcomes, strict=True):
        match outcome:
            case None:
                delivered.append(place.name)
            case ToolError():
                failed.append(str(outcome))
            case UnknownOutcomeError():
                unknown.append(str(outcome))
            case _:
                raise outcome
    if unknown:
        raise UnknownOutcomeError("; ".join([*unknown, *failed]))
    if not delivered:
        raise ToolError("; ".join(failed))
    return {"uid": event.uid, "delivered": delivered, "failed": failed}


async def _deliver(
    settings: Settings, place: CalendarPlace, event: CalendarEvent, context: ToolContext
) -> None:
    meeting = context.info.meeting
    match place.kind:
        case "files":
            await write_file(place, event, meeting=meeting)
        case "chat":
            await context.post_chat(f"{to_words(event)}\n\n{to_icalendar(event)}", key=place.name)
        case "webhook":
            secret = settings.secret_of_calendar(place)
            await post_webhook(place, event, meeting=meeting, secret=secret)
        case "caldav":
            await put_caldav(place, event, secret=settings.secret_of_calendar(place))
