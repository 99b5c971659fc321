"""People who come and go: one owner each, from whatever LiveKit says first to the end."""

from __future__ import annotations

import asyncio
import gc
import random
import time
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit import rtc

from agents import ear
from agents.meeting import Desk, RoomMeeting
from agents.plugin import AgentSpec
from agents.room import MeetingRoom
from pipelines.events import (
    AttributesChanged,
    AudioMissed,
    ChatReceived,
    Event,
    MicrophoneMuted,
    MicrophoneUnmuted,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantRenamed,
)

Kind = rtc.ParticipantKind
Source = rtc.TrackSource
GCM = rtc.EncryptionType.GCM


class Stream:
    """An audio stream that is silent until it is closed."""

    open_now = 0

    def __init__(self) -> None:
        Stream.open_now += 1
        self._closed = asyncio.Event()

    @classmethod
    def from_track(cls, **_: Any) -> Stream:
        return cls()

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Any:
        await self._closed.wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._closed.set()
        Stream.open_now -= 1


class FakeRoom(rtc.EventEmitter[Any]):
    """A room that says what LiveKit's says, in the order in which it says it."""

    def __init__(self) -> None:
        super().__init__()
        self.remote_participants: dict[str, SimpleNamespace] = {}
        self.asked_for: list[bool] = []
        self._sids = iter(range(1, 1_000_000))

    def register_text_stream_handler(self, *_: Any) -> None: ...

    def unregister_text_stream_handler(self, *_: Any) -> None: ...

    def join(self, identity: str, kind: Any = Kind.PARTICIPANT_KIND_STANDARD) -> Any:
        person: Any = SimpleNamespace(
            identity=identity,
            name=identity.title(),
            sid=f"PA_{next(self._sids)}",
            kind=kind,
            attributes={},
            track_publications={},
        )
        self.remote_participants[identity] = person
        self.emit("participant_connected", person)
        return person

    def leave(self, person: Any) -> None:
        for publication in list(person.track_publications.values()):
            self.unpublish(person, publication)
        if person in self.remote_participants.values():
            del self.remote_participants[person.identity]
        self.emit("participant_disconnected", person)

    def publish(
        self,
        person: Any,
        source: Any = Source.SOURCE_MICROPHONE,
        *,
        muted: bool = False,
        encryption: int = rtc.EncryptionType.NONE,
    ) -> Any:
        publication = SimpleNamespace(
            sid=f"TR_{next(self._sids)}",
            kind=rtc.TrackKind.KIND_AUDIO,
            source=source,
            muted=muted,
            encryption_type=encryption,
            track=None,
            subscribed=False,
            set_subscribed=self.asked_for.append,
        )
        person.track_publications[publication.sid] = publication
        self.emit("track_published", publication, person)
        return publication

    def subscribe(self, person: Any, publication: Any) -> None:
        publication.track = SimpleNamespace(sid=publication.sid)
        publication.subscribed = True
        self.emit("track_subscribed", publication.track, publication, person)

    def speak(self, person: Any, **options: Any) -> Any:
        publication = self.publish(person, **options)
        self.subscribe(person, publication)
        return publication

    def unpublish(self, person: Any, publication: Any) -> None:
        del person.track_publications[publication.sid]
        self.emit("track_unpublished", publication, person)

    def mute(self, person: Any, publication: Any, *, muted: bool = True) -> None:
        publication.muted = muted
        self.emit("track_muted" if muted else "track_unmuted", person, publication)


@pytest.fixture(autouse=True)
def _streams(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(rtc, "AudioStream", Stream)
    monkeypatch.setattr(ear, "LAST_WORD", 0.0)
    Stream.open_now = 0
    yield
    assert Stream.open_now == 0


@pytest.fixture
def room() -> FakeRoom:
    return FakeRoom()


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
async def meeting(room: FakeRoom, events: list[Event]) -> AsyncIterator[MeetingRoom]:
    async with MeetingRoom(cast("rtc.Room", room), events.append) as meeting:
        meeting.hear(True)
        yield meeting


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def of(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


async def test_agents_and_recorders_are_no_people_and_who_phones_in_is(
    room: FakeRoom, meeting: MeetingRoom
) -> None:
    for kind in ("AGENT", "EGRESS", "SIP", "INGRESS", "STANDARD"):
        person = room.join(kind.lower(), Kind.Value(f"PARTICIPANT_KIND_{kind}"))
        room.speak(person)
    await settled()
    assert sorted(meeting.people) == ["ingress", "sip", "standard"]
    assert Stream.open_now == 3


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
    assert Stream.open_now == 1
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
    assert Stream.open_now == 0
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


async def test_what_a_shared_screen_plays_is_heard_only_where_the_room_asks(
    room: FakeRoom, meeting: MeetingRoom
) -> None:
    ada = room.join("ada")
    room.speak(ada, source=Source.SOURCE_SCREENSHARE_AUDIO)
    await settled()
    assert Stream.open_now == 0
    meeting.hear(True, screen_shares=True)
    await settled()
    assert Stream.open_now == 1
    meeting.hear(True)
    await settled()
    assert Stream.open_now == 0


async def test_nobody_is_heard_where_no_agent_hears_and_everybody_when_one_begins(
    room: FakeRoom, meeting: MeetingRoom, events: list[Event]
) -> None:
    meeting.hear(False)
    ada = room.join("ada")
    room.speak(ada)
    await settled()
    assert Stream.open_now == 0
    meeting.hear(True)
    await settled()
    assert Stream.open_now == 1
    assert len(of(events, MicrophoneUnmuted)) == 1


async def test_without_a_key_nobody_is_read_while_somebody_s_media_is_encrypted(
    room: FakeRoom, meeting: MeetingRoom
) -> None:
    ada, eve = room.join("ada"), room.join("eve")
    room.speak(ada)
    await settled()
    assert Stream.open_now == 1
    meeting.changed.clear()
    camera = room.publish(eve, source=Source.SOURCE_CAMERA, encryption=GCM)
    await settled()
    assert Stream.open_now == 0
    assert meeting.changed.is_set()
    assert meeting.decryption.problem == "the agent has no key"
    room.speak(ada)
    await settled()
    assert Stream.open_now == 0
    room.unpublish(eve, camera)
    await settled()
    assert Stream.open_now == 2
    assert meeting.decryption.problem is None


async def test_an_encrypted_track_is_never_opened_without_a_key(
    room: FakeRoom, meeting: MeetingRoom
) -> None:
    room.speak(room.join("eve"), encryption=GCM)
    await settled()
    assert Stream.open_now == 0
    assert not meeting.decryption.readable("eve")


async def test_with_a_key_only_those_who_have_another_one_are_not_read(room: FakeRoom) -> None:
    state = rtc.EncryptionState
    async with MeetingRoom(cast("rtc.Room", room), lambda _: None, has_key=True) as meeting:
        meeting.hear(True)
        ada, eve = room.join("ada"), room.join("eve")
        for person in (ada, eve):
            room.speak(person, encryption=GCM)
        room.emit("e2ee_state_changed", ada, state.OK)
        room.emit("e2ee_state_changed", eve, state.DECRYPTION_FAILED)
        await settled()
        assert (Stream.open_now, meeting.decryption.unread) == (1, ("eve",))
        room.emit("e2ee_state_changed", eve, state.OK)
        await settled()
        assert (Stream.open_now, meeting.decryption.problem) == (2, None)
        room.emit("e2ee_state_changed", eve, state.DECRYPTION_FAILED)
        room.leave(eve)
        assert meeting.decryption.problem is None


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
        assert (Stream.open_now, meeting.people, meeting.decryption.problem) == (0, {}, None)
        counted = Counter(type(event) for event in events)
        assert counted[ParticipantJoined] == counted[ParticipantLeft] == 500
        assert [item for box in boxes async for item in box] == []  # Each has ended.
        last = room.join("last")
        room.speak(last)
        await settled()
        assert Stream.open_now == 1
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


async def test_whose_microphone_is_open_is_known_before_it_is_subscribed(
    room: FakeRoom, meeting: MeetingRoom
) -> None:
    ada, james, guest = (room.join(who) for who in ("ada", "james", "guest"))
    room.publish(ada)
    room.publish(james, muted=True)
    room.publish(guest, Source.SOURCE_SCREENSHARE_AUDIO)
    room.speak(room.join("agent", Kind.PARTICIPANT_KIND_AGENT))
    assert [one.identity for one in meeting.attention.speaking_now()] == ["ada"]
    (listener,) = meeting.attention.speaking_now()
    room.leave(ada)
    assert meeting.attention.speaking_now() == []
    assert listener.heard.is_set()  # Nobody waits for who has left.
    assert listener.heard_from is None


async def test_after_a_connection_was_made_anew_whoever_is_not_heard_is_asked_for_again(
    room: FakeRoom, meeting: MeetingRoom, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 100.0)
    ada = room.join("ada")
    room.speak(ada)
    room.emit("reconnecting")
    room.leave(ada)
    assert meeting.attention.missing_since(101.0) == 100.0  # Nobody is heard.
    monkeypatch.setattr(time, "time", lambda: 103.0)
    room.publish(room.join("ada"))
    room.publish(room.join("james"), muted=True)
    room.speak(room.join("guest"))
    room.emit("reconnected")
    assert room.asked_for == [True, True]
    assert meeting.attention.missing_since(100.0) == 100.0
    assert meeting.attention.missing_since(101.0) is None

    for identity, heard_from in (("ada", 104.0), ("guest", 101.0)):
        listener = meeting.listener(identity)
        assert listener
        listener.heard_from = heard_from
        listener.heard.set()
    await settled()
    assert of(events, AudioMissed) == [AudioMissed(100.0, "ada", 104.0)]
    assert meeting.attention.missing_since(0.0) is None


async def test_a_connection_that_was_mended_has_missed_nothing_of_who_is_heard(
    room: FakeRoom, meeting: MeetingRoom, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 100.0)
    room.speak(room.join("ada"))
    listener = meeting.listener("ada")
    assert listener
    listener.heard.set()
    room.emit("reconnecting")
    monkeypatch.setattr(time, "time", lambda: 103.0)
    room.emit("reconnected")
    await settled()
    assert room.asked_for == []
    assert meeting.attention.missing_since(0.0) is None
    assert of(events, AudioMissed) == []
