"""Which tracks are read, and whose are asked for again."""

from __future__ import annotations

import time
from typing import cast

import pytest
from livekit import rtc

from agents.room import MeetingRoom
from pipelines.events import AudioMissed, Event, MicrophoneUnmuted
from tests.unit.fake_room import GCM, FakeRoom, Kind, SilentStream, Source, of, settled

pytestmark = pytest.mark.usefixtures("silent_streams")


async def test_what_a_shared_screen_plays_is_heard_only_where_the_room_asks(
    room: FakeRoom, meeting: MeetingRoom
) -> None:
    ada = room.join("ada")
    room.speak(ada, source=Source.SOURCE_SCREENSHARE_AUDIO)
    await settled()
    assert SilentStream.open_now == 0
    meeting.hear(True, screen_shares=True)
    await settled()
    assert SilentStream.open_now == 1
    meeting.hear(True)
    await settled()
    assert SilentStream.open_now == 0


async def test_nobody_is_heard_where_no_agent_hears_and_everybody_when_one_begins(
    room: FakeRoom, meeting: MeetingRoom, events: list[Event]
) -> None:
    meeting.hear(False)
    ada = room.join("ada")
    room.speak(ada)
    await settled()
    assert SilentStream.open_now == 0
    meeting.hear(True)
    await settled()
    assert SilentStream.open_now == 1
    assert len(of(events, MicrophoneUnmuted)) == 1


async def test_without_a_key_nobody_is_read_while_somebody_s_media_is_encrypted(
    room: FakeRoom, meeting: MeetingRoom
) -> None:
    ada, eve = room.join("ada"), room.join("eve")
    room.speak(ada)
    await settled()
    assert SilentStream.open_now == 1
    meeting.changed.clear()
    camera = room.publish(eve, source=Source.SOURCE_CAMERA, encryption=GCM)
    await settled()
    assert SilentStream.open_now == 0
    assert meeting.changed.is_set()
    assert meeting.decryption.problem == "the agent has no key"
    room.speak(ada)
    await settled()
    assert SilentStream.open_now == 0
    room.unpublish(eve, camera)
    await settled()
    assert SilentStream.open_now == 2
    assert meeting.decryption.problem is None


async def test_an_encrypted_track_is_never_opened_without_a_key(
    room: FakeRoom, meeting: MeetingRoom
) -> None:
    room.speak(room.join("eve"), encryption=GCM)
    await settled()
    assert SilentStream.open_now == 0
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
        assert (SilentStream.open_now, meeting.decryption.unread) == (1, ("eve",))
        room.emit("e2ee_state_changed", eve, state.OK)
        await settled()
        assert (SilentStream.open_now, meeting.decryption.problem) == (2, None)
        room.emit("e2ee_state_changed", eve, state.DECRYPTION_FAILED)
        room.leave(eve)
        assert meeting.decryption.problem is None


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
