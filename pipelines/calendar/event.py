"""A calendar event, and what it looks like as iCalendar (RFC 5545) and in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from typing import Final

from icalendar import Calendar, Event, vCalAddress

_PRODUCT: Final = "-//Greffier//Greffier//EN"
_NO_MAIL: Final = "invalid:nomail"
"""Address of an attendee of whom only a name is known, as other calendars write it."""

_NO_CONTROLS: Final = {code: None for code in (*range(32), 127) if chr(code) not in "\n\r\t"}
"""iCalendar has no way to write them (RFC 5545, section 3.1)."""


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """What people approved.

    Args:
        uid: The same whenever this event is delivered.
        title: One line.
        start: With a time zone.
        end: After ``start``.
        made_at: With a time zone; the same whenever this event is delivered.
        description: May have several lines, or be empty.
        attendees: Mail addresses, or names.
    """

    uid: str
    title: str = field(repr=False)
    start: datetime
    end: datetime
    made_at: datetime
    description: str = field(default="", repr=False)
    attendees: tuple[str, ...] = field(default=(), repr=False)


def to_icalendar(event: CalendarEvent) -> str:
    """Return the event as an ``.ics`` file: the same bytes each time.

    It names no organiser: a calendar server then writes to nobody by itself.
    """
    item = Event.new(
        uid=event.uid,
        stamp=event.made_at.astimezone(UTC),
        summary=_one_line(event.title),
        # An offset is no time zone, and a time zone would have to be described: UTC says it all.
        start=event.start.astimezone(UTC),
        end=event.end.astimezone(UTC),
        description=event.description.translate(_NO_CONTROLS) or None,
        attendees=[_attendee(one) for one in event.attendees],
    )
    # Not `Calendar.new`: that gives it an id of its own, another one each time.
    calendar = Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", _PRODUCT)
    calendar.add_component(item)
    written: bytes = calendar.to_ical()
    return written.decode()


def to_words(event: CalendarEvent) -> str:
    """Return the event as people read it in the chat."""
    start, end = event.start, event.end.astimezone(event.start.tzinfo)
    until = f"{end:%H:%M}" if end.date() == start.date() else f"{end:%Y-%m-%d %H:%M}"
    lines = [
        _one_line(event.title),
        f"{start:%Y-%m-%d %H:%M} - {until} UTC{start.isoformat()[-6:]}",
        *([", ".join(map(_one_line, event.attendees))] if event.attendees else []),
        *([event.description] if event.description else []),
    ]
    return "\n".join(lines)


def _attendee(text: str) -> vCalAddress:
    text = _one_line(text)
    try:
        return vCalAddress(f"mailto:{Address(addr_spec=text).addr_spec}")
    except (ValueError, IndexError):  # The library raises the second for an empty part.
        attendee = vCalAddress(_NO_MAIL)
        # A parameter can't hold a quotation mark (RFC 5545, section 3.2).
        attendee.params["CN"] = text.replace('"', "'")
        return attendee


def _one_line(text: str) -> str:
    return " ".join(text.translate(_NO_CONTROLS).split())
