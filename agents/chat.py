"""Chat messages of a room, as text streams and on the legacy topic: read once, sent on both."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Final

from livekit import rtc

from pipelines.errors import ToolError, UnknownOutcomeError
from pipelines.events import ChatReceived

log = logging.getLogger(__name__)

CHAT: Final = "lk.chat"
LEGACY_CHAT: Final = "lk-chat-topic"

LONGEST_CHAT: Final = 30_000
"""Characters of a chat message that are read; the rest is marked by an ellipsis."""


class ChatReader:
    """Reads what people write.

    Args:
        tasks: Owns the readers, one for each message.
        emit: Takes the messages.
    """

    def __init__(self, tasks: asyncio.TaskGroup, emit: Callable[[ChatReceived], None]) -> None:
        self._tasks = tasks
        self._emit = emit
        self._reading: set[asyncio.Task[None]] = set()

    def open(self, reader: rtc.TextStreamReader, identity: str) -> None:
        """Read a message that begins."""
        reading = self._tasks.create_task(self._read(reader, identity))
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)

    def packet(self, identity: str, payload: bytes) -> None:
        """Take a packet of the legacy topic."""
        # Clients that also send the text stream mark the copy: every message is told once.
        try:
            message = json.loads(payload)
            if not message.get("ignoreLegacy"):
                text, message_id = str(message["message"]), str(message.get("id", ""))
                self._emit(ChatReceived(time.time(), identity, text, message_id))
        except (ValueError, KeyError, AttributeError):
            log.warning("legacy chat packet is not as livekit-client sends it")

    def close(self) -> None:
        """Give up what is still being written."""
        for reading in self._reading:
            reading.cancel()

    async def _read(self, reader: rtc.TextStreamReader, identity: str) -> None:
        at = time.time()
        text = ""
        try:
            async for chunk in reader:  # To its end, even if too long: rtc wants it drained.
                text = (text + chunk)[: LONGEST_CHAT + 1]
        except Exception as error:
            # A sender that vanishes; the message would quote it.
            log.warning("chat message not read", extra={"cause": type(error).__name__})
            return
        if len(text) > LONGEST_CHAT:
            text = f"{text[:LONGEST_CHAT]}…"
        self._emit(ChatReceived(at, identity, text, reader.info.stream_id))


async def post_chat(participant: rtc.LocalParticipant, text: str, *, message: str) -> None:
    """Write in the chat, as clients of LiveKit do: a text stream, and the older packet.

    Args:
        participant: In whose name.
        text: The message.
        message: Its id; clients show one of the same id once.

    Raises:
        ToolError: Nothing was sent.
        UnknownOutcomeError: It broke off.
    """
    try:
        writer = await participant.stream_text(topic=CHAT, stream_id=message)
    except Exception as error:
        # rtc raises whatever its native part says.
        raise ToolError(f"the chat took nothing ({type(error).__name__})") from None
    try:
        await writer.write(text)
        await writer.aclose()
    except Exception as error:
        raise UnknownOutcomeError(f"the chat broke off ({type(error).__name__})") from None
    packet = {
        "id": message,
        "timestamp": round(time.time() * 1000),
        "message": text,
        "ignoreLegacy": True,  # Who reads the stream has it already.
    }
    try:
        await participant.publish_data(json.dumps(packet), topic=LEGACY_CHAT)
    except Exception as error:
        # The message is out; a packet too long for the older protocol is no failure.
        cause = {"cause": type(error).__name__}
        log.warning("chat message not sent to older clients", extra=cause)
