"""People who come and go: one owner each, from whatever LiveKit says first to the end."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit import rtc

from agents.meeting import Desk, RoomMeeting
from agents.plugin import AgentSpec
from agents.room import MeetingRoom
from pipelines.events import (
    AttributesChanged,
    ChatReceived,
    Event,
    MicrophoneMuted,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantRenamed,
)
from tests.unit.fake_room import GCM, FakeRoom, Kind, SilentStream, of, settled

pytestmark = pytest.mark.usefixtures("silent_streams")


async def test_agents_and_recorders_are_no_people_and_who_phones_in_is(
    room: FakeRoom, meeting: MeetingRoom
) -> None:
    for kind in ("AGENT", "EGRESS", "SIP", "INGRESS", "STANDARD"):
        person = room.join(kind.lower(), Kind.Value(f"PARTICIPANT_KIND_{kind}"))
        room.speak(person)
    await settled()
    assert sorted(meeting.people) == ["ingress", "sip", "standard"]
    assert SilentStream.open_now == 3


async def test_whoever_is_told_of_first_by_a_track_has_joined_once(
    room: FakeRoom, meeting: MeetingRoom, events: list[Event]
) -> None:
    ada = room.join("ada")
    meeting.meet()
    room.emit("participant_connected", ada)
    room.speak(ada)
    assert len(of(events, ParticipantJoined)) == 1


async def test_a_rejoin_is_a_leave_and_a_join_and_the_old_one_s_goodbye_means_nothing(
    room: FakeRoom, meeting: MeetingRoom, events: list[Event]
) -> None:
    before = room.join("ada")
    old = room.speak(before)
    await settled()
    listener = meeting.listener("ada")
    after = room.join("ada")
    room.speak(after)
    room.mute(before, old)
    room.emit("participant_disconnected", before)
    await settled()
    came_and_went = [
        event for event in events if isinstance(event, ParticipantJoined | ParticipantLeft)
    ]
    assert [type(event) for event in came_and_went] == [
        ParticipantJoined,
        ParticipantLeft,
        ParticipantJoined,
    ]
    assert list(meeting.people) == ["ada"]
    assert meeting.listener("ada") is not listener
    assert SilentStream.open_now == 1
    assert not of(events, MicrophoneMuted)


async def test_who_leaves_before_the_audio_begins_leaves_nothing(
    room: FakeRoom, meeting: MeetingRoom
) -> None:
    ada = room.join("ada")
    publication = room.publish(ada)
    room.leave(ada)
    assert not meeting.people
    assert meeting.listener("ada") is None
    assert publication.track is None


async def test_a_track_that_is_unpublished_is_read_no_more(
    room: FakeRoom, meeting: MeetingRoom, events: list[Event]
) -> None:
    ada = room.join("ada")
    publication = room.speak(ada)
    await settled()
    room.unpublish(ada, publication)
    await settled()
    assert SilentStream.open_now == 0
    assert len(of(events, MicrophoneMuted)) == 1
    assert meeting.people


async def test_names_and_attributes_are_followed(
    room: FakeRoom, meeting: MeetingRoom, events: list[Event]
) -> None:
    ada = room.join("ada")
    room.emit("participant_name_changed", ada, "Ada", "Countess")
    room.emit("participant_attributes_changed", {"hand": "up"}, ada)
    assert meeting.people == {"ada": "Countess"}
    assert [one.name for one in meeting.present()] == ["Countess"]
    assert [one.name for one in of(events, ParticipantRenamed)] == ["Countess"]
    assert [one.changed for one in of(events, AttributesChanged)] == [{"hand": "up"}]


@pytest.mark.usefixtures("meeting")
async def test_legacy_chat_is_told_once(room: FakeRoom, events: list[Event]) -> None:
    ada = room.join("ada")
    for payload in (
        b'{"message": "hi", "id": "1"}',
        b'{"message": "hi", "ignoreLegacy": true}',
        b"[",
    ):
        packet = SimpleNamespace(participant=ada, topic="lk-chat-topic", data=payload)
        room.emit("data_received", packet)
    assert [one.text for one in of(events, ChatReceived)] == ["hi"]


@pytest.mark.parametrize("seed", range(4))
async def test_500_joins_and_leaves_in_any_order_leave_nothing(seed: int) -> None:
    chance = random.Random(seed)
    room, events = FakeRoom(), list[Event]()
    tasks = asyncio.all_tasks()
    async with MeetingRoom(cast("rtc.Room", room), events.append) as meeting:
        meeting.hear(True)
        there: list[Any] = []
        boxes = []
        joins = 0
        while joins < 500 or there:
            if joins < 500 and (not there or chance.random() < 0.5):
                joins += 1
                identity = f"person-{chance.randrange(20)}"  # So that some are there already.
                there.append(room.join(identity))
                listener = meeting.listener(identity)
                assert listener
                boxes.append(listener.open_speech())
            else:
                act(room, chance, there)
            if chance.random() < 0.3:
                await asyncio.sleep(0)
        await settled()
        assert asyncio.all_tasks() == tasks
        assert (SilentStream.open_now, meeting.people, meeting.decryption.problem) == (0, {}, None)
        counted = Counter(type(event) for event in events)
        assert counted[ParticipantJoined] == counted[ParticipantLeft] == 500
        assert [item for box in boxes async for item in box] == []  # Each has ended.
        last = room.join("last")
        room.speak(last)
        await settled()
        assert SilentStream.open_now == 1
        room.leave(last)


def act(room: FakeRoom, chance: random.Random, there: list[Any]) -> None:
    """Let somebody publish, mute, unpublish or leave."""
    person = chance.choice(there)
    here = room.remote_participants.get(person.identity) is person
    tracks = list(person.track_publications.values())
    match chance.choice(("speak", "publish", "mute", "unpublish", "leave", "leave")):
        case "speak" if here:
            room.speak(person, muted=chance.random() < 0.5)
        case "publish" if here:
            room.publish(person, encryption=GCM if chance.random() < 0.1 else 0)
        case "mute" if tracks:
            publication = chance.choice(tracks)
            room.mute(person, publication, muted=not publication.muted)
        case "unpublish" if tracks:
            room.unpublish(person, chance.choice(tracks))
        case "leave":
            there.remove(person)
            room.leave(person)


async def test_an_agent_holds_nothing_of_those_who_have_left(
    room: FakeRoom, meeting: MeetingRoom
) -> None:
    spec = AgentSpec("hears", cast("Any", None), hears=True)
    agent = RoomMeeting(spec, cast("Desk", SimpleNamespace(room=meeting)))
    ada, eve = room.join("ada"), room.join("eve")
    boxes: weakref.WeakSet[Any] = weakref.WeakSet(
        agent.open_speech(one.identity) for one in (ada, eve)
    )
    boxes |= {agent.open_audio(one.identity) for one in (ada, eve)}
    staying = agent.open_speech("eve")
    assert len(boxes) == 4
    room.leave(ada)
    await settled()
    gc.collect()
    assert len(boxes) == 2
    agent.switch_off()
    assert [item async for item in staying] == []
