"""How long a job stays in a room without people, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit.protocol.agent import Job
from livekit.protocol.models import Room

from agents import room_watch
from agents.livekit_api import OURS
from agents.room_watch import FIRST_PERSON, WATCH_INTERVAL, Patience, patience_of, watch_room
from pipelines.settings import Settings
from tests.unit.virtual_time import in_virtual_time

DEPARTURE = 20.0
"""Seconds, of the room."""

ASKED_BY_SOMEBODY: Mapping[str, str] = {}
IN_PLACE_OF = {OURS: "AD_1"}
FOUND_BY_THE_SWEEP = {OURS: ""}


def patience(attributes: Mapping[str, str], settings: Settings | None = None) -> Patience:
    room = Room(name="weekly", departure_timeout=round(DEPARTURE))
    return patience_of(Job(room=room, attributes=attributes), settings or Settings())


async def nothing(*_: object) -> None:
    pass


async def stays(
    patience: Patience, monkeypatch: pytest.MonkeyPatch, *, people: float | None
) -> float:
    """Return the seconds until the room counts as empty; its people leave after ``people`` s."""
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(room_watch, "time", SimpleNamespace(monotonic=loop.time))
    began, stopping = loop.time(), asyncio.Event()
    room = SimpleNamespace(changed=asyncio.Event(), people={"ada": "Ada"} if people else {})
    if people:
        loop.call_later(people, room.people.clear)
    part = cast("Any", SimpleNamespace(follow=nothing, look=nothing))
    await watch_room(
        cast("Any", SimpleNamespace(room=room, ledger=SimpleNamespace(durable=True))),
        part,
        part,
        part,
        patience=patience,
        empty=stopping.set,
        stopping=stopping,
    )
    return loop.time() - began


@pytest.mark.parametrize(
    ("attributes", "seconds"),
    [
        pytest.param(ASKED_BY_SOMEBODY, FIRST_PERSON, id="asked for by somebody"),
        pytest.param(IN_PLACE_OF, DEPARTURE, id="a replacement"),
        pytest.param(FOUND_BY_THE_SWEEP, DEPARTURE, id="found by the sweep"),
    ],
)
@in_virtual_time
async def test_only_who_was_asked_for_before_anybody_came_waits_for_the_first_person(
    attributes: Mapping[str, str], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    stayed = await stays(patience(attributes), monkeypatch, people=None)
    assert seconds < stayed <= seconds + 2 * WATCH_INTERVAL


@pytest.mark.parametrize("attributes", [ASKED_BY_SOMEBODY, IN_PLACE_OF], ids=["first", "again"])
@in_virtual_time
async def test_who_has_seen_people_stays_for_the_departure_timeout_once_they_have_left(
    attributes: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stayed = await stays(patience(attributes), monkeypatch, people=400.0)
    assert DEPARTURE - WATCH_INTERVAL < stayed - 400.0 <= DEPARTURE + 2 * WATCH_INTERVAL


def test_the_operators_departure_timeout_goes_before_the_rooms() -> None:
    own = Settings(departure_timeout=2.0)
    assert patience(IN_PLACE_OF, own) == Patience(first=2.0, after=2.0)
    assert patience(ASKED_BY_SOMEBODY, own) == Patience(first=FIRST_PERSON, after=2.0)
    long = Settings(departure_timeout=900.0)
    assert patience(ASKED_BY_SOMEBODY, long) == Patience(first=900.0, after=900.0)
