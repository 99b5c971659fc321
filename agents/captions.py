"""Shows captions and notices to the people in the room.

Captions go as LiveKit's own clients expect them: one complete text stream per update on
``lk.transcription``, sent in the speaker's name, with the attributes ``lk.segment_id``,
``lk.transcription_final`` and ``lk.transcribed_track_id``. Notices are JSON text streams on
``greffier.status``; who joins later is told those that still hold.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from livekit import rtc

from pipelines.events import CaptionFinal, CaptionInterim
from pipelines.failpoints import failpoint
from pipelines.transcript.outbox import Outbox

log = logging.getLogger(__name__)

TRANSCRIPTION: Final = "lk.transcription"
STATUS: Final = "greffier.status"

SEND_AGAIN: Final = 0.3
"""Seconds until a final that could not be sent is tried again: the connection is being mended."""

ATTEMPTS: Final = 5
"""Times that a final is tried in a connected room; what can't be sent then never can be."""

NOTICES: Final = 100
"""Notices that wait at most; an agent that tells more loses its oldest."""


class Captions:
    """Sends what is offered, in order; offering never waits.

    Args:
        room: A connected room.
        interim_interval: Least seconds between two interims of one speaker.
    """

    def __init__(self, room: rtc.Room, *, interim_interval: float) -> None:
        self._room = room
        self._outbox = Outbox(interim_interval)
        self._notices: deque[tuple[str, list[str]]] = deque(maxlen=NOTICES)
        self._standing: dict[str, str] = {}
        self._offered = asyncio.Event()
        self._closing = False
        self._refused = 0

    def offer(self, caption: CaptionInterim | CaptionFinal) -> None:
        """Show a caption soon; of several interims of a segment only the latest."""
        self._outbox.offer(caption)
        self._offered.set()

    def notify(self, kind: str, fields: Mapping[str, Any], *, about: str = "") -> None:
        """Tell the room a fact, as JSON ``{"type": kind, ...fields}``.

        It holds until the next fact of the kind ``about`` the same.
        """
        notice = json.dumps({"type": kind, **fields})
        self._standing[f"{kind}/{about}"] = notice
        self._notices.append((notice, []))
        self._offered.set()

    def withdraw(self, kind: str, *, about: str) -> None:
        """Have a fact hold no longer: who joins from now on is not told."""
        self._standing.pop(f"{kind}/{about}", None)

    def welcome(self, identity: str) -> None:
        """Tell somebody who joins what still holds."""
        self._notices.extend((notice, [identity]) for notice in self._standing.values())
        self._offered.set()

    def close(self) -> None:
        """Let :meth:`run` send what waits and return."""
        self._closing = True
        self._offered.set()

    async def run(self) -> None:
        """Send until closed and every final and notice is sent."""
        while True:
            self._offered.clear()
            if not len(self._outbox) and self._notices:
                await self._send_notice(*self._notices.popleft())
            elif caption := self._outbox.take(time.monotonic()):
                await self._send(caption)
            elif self._closing:
                return
            else:
                with suppress(TimeoutError):
                    wait = self._outbox.wait(time.monotonic())
                    await asyncio.wait_for(self._offered.wait(), wait)

    async def _send(self, caption: CaptionInterim | CaptionFinal) -> None:
        final = isinstance(caption, CaptionFinal)
        try:
            writer = await self._room.local_participant.stream_text(
                topic=TRANSCRIPTION,
                sender_identity=caption.identity,
                attributes={
                    "lk.segment_id": caption.segment,
                    "lk.transcription_final": "true" if final else "false",
                    "lk.transcribed_track_id": caption.track,
                },
            )
            await writer.write(caption.text)
            await writer.aclose()
        except Exception as error:
            # rtc raises bare exceptions for whatever its native part says.
            await self._not_sent(caption, error)
        else:
            self._refused = 0
            if final:
                failpoint("publish")

    async def _not_sent(self, caption: CaptionInterim | CaptionFinal, error: Exception) -> None:
        # The message may quote the text, so only the kind of error is logged.
        cause = {"cause": type(error).__name__}
        self._refused += self._room.isconnected()
        if self._refused < ATTEMPTS:
            log.warning("caption not sent, a final is sent again", extra=cause)
            self._outbox.put_back(caption)
            await asyncio.sleep(SEND_AGAIN)
        else:
            log.error("caption given up, it is in the journal", extra=cause)
            self._refused = 0

    async def _send_notice(self, notice: str, to: list[str]) -> None:
        try:
            await self._room.local_participant.send_text(
                notice, topic=STATUS, destination_identities=to or None
            )
        except Exception as error:
            log.warning("notice not sent", extra={"cause": type(error).__name__})
