"""A calendar event on its way to a place, one try a call: there once, however often it is tried.

A file is written under the event's id, a webhook's message carries it, a CalDAV server is asked to
take the event only if it has none of that name: a try whose answer was lost harms nothing.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp
from pydantic import SecretStr
from yarl import URL

from pipelines.calendar.event import CalendarEvent, to_icalendar
from pipelines.calendar.place import CalendarPlace
from pipelines.errors import ToolError, UnknownOutcomeError
from pipelines.events import iso
from pipelines.transcript.paths import meeting_key
from pipelines.webhook_key import open_webhook, signed

EVENT: Final = "calendar.event"
"""``type`` of the webhook's message."""

_PATIENCE: Final = aiohttp.ClientTimeout(total=10)
"""For one request, within ``GREFFIER_TOOL_TIMEOUT``: all places are asked at once."""

_FIXES: Final = {
    HTTPStatus.UNAUTHORIZED: "correct its user, or its secret in GREFFIER_CALENDAR_SECRETS",
    HTTPStatus.FORBIDDEN: "let the account write there",
    HTTPStatus.NOT_FOUND: "correct its address in GREFFIER_CALENDARS",
    HTTPStatus.CONFLICT: "make the calendar first, or correct its address in GREFFIER_CALENDARS",
    HTTPStatus.METHOD_NOT_ALLOWED: "correct its address in GREFFIER_CALENDARS",
}


async def write_file(place: CalendarPlace, event: CalendarEvent, *, meeting: str) -> None:
    """Write the event as ``<meeting>/<uid>.ics`` below the place's directory, if it is not there.

    Raises:
        ToolError: The disk does not take it.
    """
    directory = Path(URL(place.url).path) / meeting_key(meeting)
    try:
        await asyncio.to_thread(_write_once, directory / _file_name(event), to_icalendar(event))
    except OSError as error:
        raise ToolError(f"{place.name}: {error.strerror}: make its directory writable") from None


async def post_webhook(
    place: CalendarPlace, event: CalendarEvent, *, meeting: str, secret: SecretStr
) -> None:
    """Post the event, signed, under the same message id each time.

    Raises:
        ToolError: The receiver refuses it.
        UnknownOutcomeError: It gave no answer that says so.
    """
    webhook = open_webhook(secret, setting=f"GREFFIER_CALENDAR_SECRETS: {place.name}")
    body = _message(event, meeting)
    headers = {"content-type": "application/json", **signed(webhook, event.uid, body)}
    await _sent(place, "POST", place.http_url, body.encode(), headers)


async def put_caldav(place: CalendarPlace, event: CalendarEvent, *, secret: SecretStr) -> None:
    """Put the event into a CalDAV calendar, if it is not there.

    Raises:
        ToolError: The server refuses it.
        UnknownOutcomeError: It gave no answer that says so.
    """
    headers = {"content-type": "text/calendar; charset=utf-8", "if-none-match": "*"}
    if place.user:
        account = f"{place.user}:{secret.get_secret_value()}".encode()
        headers["authorization"] = f"Basic {base64.b64encode(account).decode()}"
    url = place.http_url / _file_name(event)
    await _sent(place, "PUT", url, to_icalendar(event).encode(), headers)


async def _sent(
    place: CalendarPlace, method: str, url: URL, body: bytes, headers: Mapping[str, str]
) -> None:
    try:
        async with (
            aiohttp.ClientSession(timeout=_PATIENCE) as session,
            session.request(
                method, url, data=body, headers=headers, allow_redirects=False
            ) as reply,
        ):
            status = reply.status
    except aiohttp.ClientConnectorError as error:
        raise ToolError(f"{place.name} can't be reached: {type(error).__name__}") from None
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        # Not its text: that has the address, which may hold a token.
        gone = f"{place.name} gave no answer: {type(error).__name__}"
        raise UnknownOutcomeError(gone) from None
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise UnknownOutcomeError(f"{place.name} answered {status}; look at its log")
    _require_success(place, status, exists=method == "PUT")


def _require_success(place: CalendarPlace, status: int, *, exists: bool) -> None:
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return
    if exists and status == HTTPStatus.PRECONDITION_FAILED:
        return  # It is there: from a try whose answer was lost.
    fix = _FIXES.get(HTTPStatus(status) if status in set(HTTPStatus) else HTTPStatus.OK)
    if status < HTTPStatus.BAD_REQUEST:
        fix = "write the address that it redirects to in GREFFIER_CALENDARS"
    raise ToolError(f"{place.name} answered {status}; {fix or 'look at its log'}")


def _message(event: CalendarEvent, meeting: str) -> str:
    data: dict[str, Any] = {
        "meeting": meeting,
        "uid": event.uid,
        "title": event.title,
        "description": event.description,
        "startISO": event.start.isoformat(),
        "endISO": event.end.isoformat(),
        "attendees": list(event.attendees),
        "icalendar": to_icalendar(event),
    }
    message = {"type": EVENT, "timestamp": iso(event.made_at.timestamp()), "data": data}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def _file_name(event: CalendarEvent) -> str:
    return f"{event.uid}.ics"


def _write_once(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.draft")
    try:
        draft.write_bytes(text.encode())
        with suppress(FileExistsError):
            os.link(draft, path)  # Whole or not at all; and never a second time.
    finally:
        draft.unlink(missing_ok=True)
