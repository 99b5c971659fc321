"""Chat messages of a room, from text streams and from the legacy data topic, each told once."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Final

from livekit import rtc

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
