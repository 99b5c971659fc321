"""What a caption looks like to each kind of client."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc

from agents.caption_formats import LARGEST_PACKET, make_format
from pipelines.errors import SettingsError
from pipelines.events import CaptionFinal, CaptionInterim, Correction
from pipelines.settings import CaptionFormatName, Settings

START = 1_700_000_000.0
FINAL = CaptionFinal(
    at=START + 2.5,
    end=START + 4.0,
    segment="e-1",
    identity="ada",
    name="Ada",
    text="Good morning.",
    track="TR_1",
    language="en",
    index=7,
)
INTERIM = CaptionInterim(START + 2.5, "e-1", "ada", "Ada", "Good", "TR_1")


class Participant:
    """The agent in a room; remembers what it was told to send."""

    identity = "greffier-standup"

    def __init__(self) -> None:
        self.streams: list[dict[str, Any]] = []
        self.transcriptions: list[rtc.Transcription] = []
        self.packets: list[bytes] = []

    @property
    def _ffi_handle(self) -> Participant:
        return self

    async def publish_transcription(self, transcription: rtc.Transcription) -> None:
        self.transcriptions.append(transcription)

    async def publish_data(self, payload: bytes, *, reliable: bool) -> None:
        assert reliable
        self.packets.append(payload)


async def send_text(sender: Any, text: str, **options: Any) -> None:
    """What livekit's own ``send_text`` is called with."""
    sender._ffi_handle.streams.append({**options, "sender": sender.identity, "text": text})


@pytest.fixture(autouse=True)
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtc.LocalParticipant, "send_text", send_text)


async def sent(name: CaptionFormatName, *captions: CaptionFinal | CaptionInterim) -> Participant:
    participant = Participant()
    room: Any = SimpleNamespace(local_participant=participant)
    form = make_format(name, room, meeting_start=START)
    for caption in captions:
        if form.carries(caption):
            await form.send(caption)
    return participant


async def test_text_streams_carry_every_update_whole_in_the_speakers_name() -> None:
    participant = await sent("text-stream", INTERIM, FINAL, replace(FINAL, revision=1, text=""))
    updates = [
        ("false", "Good"),
        ("true", "Good morning."),
        ("true", " "),  # Withdrawn: LiveKit's React hook does not see a stream of nothing.
    ]
    assert participant.streams == [
        {
            "topic": "lk.transcription",
            "sender": "ada",
            "attributes": {
                "lk.segment_id": "e-1",
                "lk.transcription_final": final,
                "lk.transcribed_track_id": "TR_1",
            },
            "compress": False,
            "text": text,
        }
        for final, text in updates
    ]


async def test_a_legacy_packet_has_one_final_segment_with_its_time_in_the_meeting() -> None:
    participant = await sent("legacy", INTERIM, FINAL)
    segment = rtc.TranscriptionSegment("e-1", "Good morning.", 2500, 4000, "en", final=True)
    assert participant.transcriptions == [rtc.Transcription("ada", "TR_1", [segment])]


async def test_a_meetai_packet_is_their_json_with_the_index_of_the_stored_line() -> None:
    participant = await sent("meetai", INTERIM, FINAL)
    (packet,) = map(json.loads, participant.packets)
    assert packet == {
        "type": "transcript_update",
        "role": "human",
        "speaker": "Ada",
        "text": "Good morning.",
        "timestamp": 1_700_000_002_500,
        "index": 7,
    }


async def test_what_the_agent_itself_says_is_the_assistants_in_meetai() -> None:
    participant = await sent("meetai", replace(FINAL, identity=Participant.identity, name=""))
    (packet,) = map(json.loads, participant.packets)
    assert (packet["role"], packet["speaker"]) == ("assistant", Participant.identity)


async def test_a_correction_is_no_legacy_packet_and_a_meetai_packet_of_its_own() -> None:
    correction = replace(FINAL, revision=1, index=8)
    assert not (await sent("legacy", correction)).transcriptions
    (packet,) = map(json.loads, (await sent("meetai", correction)).packets)
    assert packet["index"] == 8


@pytest.mark.parametrize("nothing", ["", " \n"])
async def test_a_withdrawal_is_no_packet(nothing: str) -> None:
    withdrawal = replace(FINAL, text=nothing)
    assert not (await sent("legacy", withdrawal)).transcriptions
    assert not (await sent("meetai", withdrawal)).packets


async def test_a_legacy_packet_is_sent_only_where_the_track_is_known() -> None:
    participant = await sent("legacy", replace(FINAL, track=""), FINAL)
    assert [packet.track_sid for packet in participant.transcriptions] == ["TR_1"]


LONG = {"ascii": "a" * 20_000, "quotes": '"' * 20_000, "emoji": "🎉" * 20_000, "nul": "\0" * 20_000}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
async def test_a_text_too_long_for_a_packet_fills_it_and_ends_in_an_ellipsis(text: str) -> None:
    caption = replace(FINAL, text=text)
    (packet,) = (await sent("meetai", caption)).packets
    (transcription,) = (await sent("legacy", caption)).transcriptions
    (segment,) = transcription.segments
    for size, shown in (
        (len(packet), json.loads(packet)["text"]),
        (len(segment.text.encode()), segment.text),
    ):
        assert LARGEST_PACKET - 10 < size <= LARGEST_PACKET
        assert shown == f"{text[: len(shown) - 1]}…"


def test_formats_are_a_comma_separated_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.from_environment().caption_formats == ("text-stream",)
    monkeypatch.setenv("GREFFIER_CAPTION_FORMATS", "legacy, text-stream")
    assert Settings.from_environment().caption_formats == ("legacy", "text-stream")


@pytest.mark.parametrize(
    ("value", "problem"),
    [("legcy", "'legacy'"), ("", "at least 1"), ("meetai,meetai", "twice")],
)
def test_a_wrong_list_of_formats_stops_the_start_and_says_why(
    monkeypatch: pytest.MonkeyPatch, value: str, problem: str
) -> None:
    monkeypatch.setenv("GREFFIER_CAPTION_FORMATS", value)
    with pytest.raises(SettingsError, match=rf"^GREFFIER_CAPTION_FORMATS: .*{problem}"):
        Settings.from_environment()


CORRECTED = replace(
    FINAL,
    text="Good evening.",
    index=9,
    correction=Correction(START + 60, "grace", "Grace", original="Good morning."),
)


async def test_a_correction_is_told_with_its_author_where_the_segment_can_be_replaced() -> None:
    (stream,) = (await sent("text-stream", CORRECTED)).streams
    assert (stream["sender"], stream["text"]) == ("ada", "Good evening.")
    assert stream["attributes"] == {
        "lk.segment_id": "e-1",
        "lk.transcription_final": "true",
        "lk.transcribed_track_id": "TR_1",
        "greffier.corrected_by": "grace",
        "greffier.corrected_at": "2023-11-14T22:14:20.000Z",
    }
    assert not (await sent("legacy", CORRECTED)).transcriptions
    (packet,) = (await sent("meetai", CORRECTED)).packets
    assert (json.loads(packet)["text"], json.loads(packet)["index"]) == ("Good evening.", 9)
