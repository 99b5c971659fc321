"""Approved events in real calendars: a CalDAV server, a webhook receiver that verifies."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from icalendar import Calendar
from pydantic import SecretStr
from standardwebhooks import Webhook

from bench.livekit_server import free_port
from pipelines.calendar.deliver import post_webhook, put_caldav
from pipelines.calendar.event import CalendarEvent
from pipelines.calendar.place import CalendarPlace
from pipelines.errors import ToolError, UnknownOutcomeError

PASSWORD = SecretStr("pä:ss")
KEY = SecretStr("whsec_" + "A" * 43 + "=")
_NINE = datetime(2026, 1, 5, 9, tzinfo=UTC)
_TEN = datetime(2026, 1, 5, 10, tzinfo=UTC)
EVENT = CalendarEvent("key-1", "Budget", _NINE, _TEN, _NINE, "", ("ada@example.org",))


@dataclass
class Receiver:
    """A receiver of webhooks that verifies each, and keeps one of each id."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    kept: dict[str, bytes] = field(default_factory=dict)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.bodies.append(body)
        Webhook(KEY.get_secret_value()).verify(body, dict(request.headers))
        if self.answers and (status := self.answers.pop(0)) != 200:
            return web.Response(status=status, headers={"location": "/other"})
        self.kept.setdefault(request.headers["webhook-id"], body)
        return web.Response()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    await runner.cleanup()


@pytest.fixture(scope="module")
def caldav(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A CalDAV server with a calendar of Ada's, of whom it asks the password."""
    root = tmp_path_factory.mktemp("caldav")
    port = free_port()
    (root / "users").write_text(f"ada:{PASSWORD.get_secret_value()}\n")
    (root / "config").write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\n"
        f"[auth]\ntype = htpasswd\nhtpasswd_filename = {root}/users\n"
        "htpasswd_encryption = plain\ndelay = 0\n"
        f"[storage]\nfilesystem_folder = {root}/data\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "radicale", "--config", root / "config"],
        stderr=subprocess.DEVNULL,
    )
    try:
        _make_calendar(port)
        yield f"caldav://ada@127.0.0.1:{port}/ada/team"
    finally:
        process.kill()
        process.wait()


def _make_calendar(port: int) -> None:
    account = aiohttp.encode_basic_auth("ada", PASSWORD.get_secret_value(), "utf-8")
    until = time.monotonic() + 30
    while True:
        connection = HTTPConnection("127.0.0.1", port)
        try:
            connection.request("MKCALENDAR", "/ada/team/", headers={"authorization": account})
            assert connection.getresponse().status == 201
        except ConnectionRefusedError:
            assert time.monotonic() < until, "the CalDAV server does not answer"
            time.sleep(0.1)
        else:
            return
        finally:
            connection.close()


async def test_an_event_is_put_in_a_caldav_calendar_once_and_what_is_there_stays(
    caldav: str,
) -> None:
    place = CalendarPlace("team", "caldav", caldav)
    for event in (EVENT, replace(EVENT, title="Other")):
        await put_caldav(place, event, secret=PASSWORD)
    account = aiohttp.encode_basic_auth("ada", PASSWORD.get_secret_value(), "utf-8")
    async with (
        aiohttp.ClientSession(headers={"authorization": account}) as session,
        session.get(place.http_url) as reply,
    ):
        events: list[Any] = list(Calendar.from_ical(await reply.text()).walk("VEVENT"))
    assert [(event["UID"], event["SUMMARY"], event.start) for event in events] == [
        ("key-1", "Budget", _NINE)
    ]


@pytest.mark.parametrize(
    ("path", "secret", "problem"),
    [
        ("/ada/team", SecretStr("wrong"), "team answered 401; correct its user"),
        ("/ada/none", PASSWORD, "team answered 409; make the calendar first"),
        ("/bob/team", PASSWORD, "team answered 403; let the account write there"),
    ],
)
async def test_what_a_calendar_refuses_did_not_happen_and_says_what_to_do(
    caldav: str, path: str, secret: SecretStr, problem: str
) -> None:
    place = CalendarPlace("team", "caldav", caldav.replace("/ada/team", path))
    with pytest.raises(ToolError, match=problem):
        await put_caldav(place, EVENT, secret=secret)


async def test_a_webhook_carries_the_event_under_one_id_in_the_same_words_each_time(
    receiver: Receiver,
) -> None:
    place = CalendarPlace("crm", "webhook", receiver.url)
    receiver.answers = [503]
    with pytest.raises(UnknownOutcomeError, match="crm answered 503"):
        await post_webhook(place, EVENT, meeting="weekly", secret=KEY)
    await post_webhook(place, EVENT, meeting="weekly", secret=KEY)
    await post_webhook(place, EVENT, meeting="weekly", secret=KEY)
    assert len(receiver.bodies) == 3
    assert set(receiver.bodies) == {receiver.kept["key-1"]}
    assert b'"type":"calendar.event"' in receiver.kept["key-1"]
    assert b"BEGIN:VCALENDAR" in receiver.kept["key-1"]


async def test_a_webhook_follows_no_redirect_and_shows_no_address(receiver: Receiver) -> None:
    place = CalendarPlace("crm", "webhook", receiver.url)
    receiver.answers = [307]
    with pytest.raises(ToolError, match="answered 307; write the address that it redirects to"):
        await post_webhook(place, EVENT, meeting="weekly", secret=KEY)
    gone = CalendarPlace("crm", "webhook", f"http://127.0.0.1:{free_port()}/secret")
    with pytest.raises(ToolError, match="crm can't be reached") as refused:
        await post_webhook(gone, EVENT, meeting="weekly", secret=KEY)
    assert "secret" not in str(refused.value)
    assert len(receiver.bodies) == 1
