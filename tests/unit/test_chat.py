"""What is written in the chat: for clients of today and for older ones."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from livekit import rtc

from agents.chat import post_chat
from pipelines.errors import ToolError, UnknownOutcomeError


@dataclass
class Participant:
    """The agent in its room; ``fails`` names what does."""

    fails: str = ""
    sent: list[tuple[str, str, str]] = field(default_factory=list)
    _stream: tuple[str, str] = ("", "")

    async def stream_text(self, *, topic: str, stream_id: str) -> Participant:
        self._check("stream")
        self._stream = (topic, stream_id)
        return self

    async def write(self, text: str) -> None:
        self._check("write")
        self.sent.append((*self._stream, text))

    async def aclose(self) -> None: ...

    async def publish_data(self, payload: str, *, topic: str) -> None:
        self._check("packet")
        packet: dict[str, Any] = json.loads(payload)
        assert packet["ignoreLegacy"]
        self.sent.append((topic, packet["id"], packet["message"]))

    def _check(self, what: str) -> None:
        if self.fails == what:
            raise RuntimeError


async def test_a_message_goes_to_clients_of_today_and_to_older_ones_under_one_id() -> None:
    participant = Participant()
    await post_chat(cast("rtc.LocalParticipant", participant), "hello", message="m1")
    assert participant.sent == [("lk.chat", "m1", "hello"), ("lk-chat-topic", "m1", "hello")]


@pytest.mark.parametrize(
    ("fails", "error"), [("stream", ToolError), ("write", UnknownOutcomeError)]
)
async def test_what_is_not_sent_is_told_apart_from_what_may_be(
    fails: str, error: type[Exception]
) -> None:
    participant = Participant(fails)
    with pytest.raises(error):
        await post_chat(cast("rtc.LocalParticipant", participant), "hello", message="m1")


async def test_a_message_that_older_clients_can_not_be_sent_is_sent() -> None:
    participant = Participant("packet")
    await post_chat(cast("rtc.LocalParticipant", participant), "hello", message="m1")
    assert len(participant.sent) == 1
