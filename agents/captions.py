"""Shows captions and notices to the people in the room.

Captions go in every format that the operator's setting names (``caption_formats.py``), each on a
lane of its own: a format that fails is tried again by itself, and neither holds up nor repeats
another. Notices are JSON text streams on ``greffier.status`` with the agent's identity as an
attribute; who joins later is told those that still hold.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from livekit import rtc

from agents.caption_formats import CaptionFormat, make_format
from pipelines.events import CaptionFinal, CaptionInterim
from pipelines.failpoints import failpoint
from pipelines.metrics import metrics
from pipelines.settings import CaptionFormatName
from pipelines.transcript.outbox import Outbox

log = logging.getLogger(__name__)

STATUS: Final = "greffier.status"

AGENT: Final = "greffier.agent"
"""Attribute of a notice: the identity to call RPC methods of. Clients see neither a hidden agent
nor its identity as the sender of a stream."""

SEND_AGAIN: Final = 0.3
"""Seconds until a final that could not be sent is tried again: the connection is being mended."""

ATTEMPTS: Final = 5
"""Times that a final is tried in a connected room; what can't be sent then never can be."""

NOTICES: Final = 100
"""Notices that wait at most; an agent that tells more loses its oldest."""


async def _at_once() -> None:
    """Wait for nothing."""


class Captions:
    """Sends what is offered, in order in each format; offering never waits.

    The first format leads: notices go with it, after the finals that were offered before them.

    Args:
        room: A connected room.
        interim_interval: Least seconds between two interims of one speaker.
        formats: How captions are sent; of an agent that may send nothing, none.
        meeting_start: Unix seconds, from which packets with media time count.
        before_final: Awaited right before each format sends a final; short, and never raises.
    """

    def __init__(
        self,
        room: rtc.Room,
        *,
        interim_interval: float,
        formats: Sequence[CaptionFormatName] = ("text-stream",),
        meeting_start: float = 0.0,
        before_final: Callable[[], Awaitable[None]] = _at_once,
    ) -> None:
        self._standing: dict[str, str] = {}
        self._lanes = [
            _Lane(
                room,
                name,
                make_format(name, room, meeting_start=meeting_start),
                interim_interval=interim_interval,
                before_final=before_final,
                leads=index == 0,
            )
            for index, name in enumerate(formats)
        ]

    def offer(self, caption: CaptionInterim | CaptionFinal) -> None:
        """Show a caption soon; of several interims of a segment only the latest."""
        for lane in self._lanes:
            lane.offer(caption)

    def notify(self, kind: str, fields: Mapping[str, Any], *, about: str = "") -> None:
        """Tell the room a fact, as JSON ``{"type": kind, ...fields}``.

        It holds until the next fact of the kind ``about`` the same.
        """
        self._standing[f"{kind}/{about}"] = self.tell(kind, fields)

    def tell(self, kind: str, fields: Mapping[str, Any], *, to: Sequence[str] = ()) -> str:
        """Tell those who are here a fact, once; returns the notice, JSON as of :meth:`notify`.

        With identities in ``to``, only they are told.
        """
        notice = json.dumps({"type": kind, **fields})
        for lane in self._lanes[:1]:
            lane.tell(notice, *to)
        return notice

    def withdraw(self, kind: str, *, about: str) -> None:
        """Have a fact hold no longer: who joins from now on is not told."""
        self._standing.pop(f"{kind}/{about}", None)

    def welcome(self, identity: str) -> None:
        """Tell somebody who joins what still holds."""
        for lane in self._lanes[:1]:
            for notice in self._standing.values():
                lane.tell(notice, identity)

    def close(self) -> None:
        """Let :meth:`run` send what waits and return."""
        for lane in self._lanes:
            lane.close()

    async def run(self) -> None:
        """Send until closed and every final and notice is sent."""
        async with asyncio.TaskGroup() as tasks:
            for lane in self._lanes:
                tasks.create_task(lane.run())


class _Lane:
    """One format's way to the room: its own order, attempts and failures."""

    def __init__(
        self,
        room: rtc.Room,
        name: str,
        form: CaptionFormat,
        *,
        interim_interval: float,
        before_final: Callable[[], Awaitable[None]],
        leads: bool,
    ) -> None:
        self._room = room
        self._name = name
        self._form = form
        self._before_final = before_final
        self._leads = leads
        self._outbox = Outbox(interim_interval)
        self._known_at: deque[float] = deque()  # of the finals that wait, in their order
        self._notices: deque[tuple[str, list[str]]] = deque(maxlen=NOTICES)
        self._offered = asyncio.Event()
        self._closing = False
        self._refused = 0

    def offer(self, caption: CaptionInterim | CaptionFinal) -> None:
        if self._form.carries(caption):
            if isinstance(caption, CaptionFinal):
                self._known_at.append(time.monotonic())
            self._outbox.offer(caption)
            self._offered.set()

    def tell(self, notice: str, *to: str) -> None:
        self._notices.append((notice, list(to)))
        self._offered.set()

    def close(self) -> None:
        self._closing = True
        self._offered.set()

    async def run(self) -> None:
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
        if final:
            await self._before_final()
        try:
            await self._form.send(caption)
        except Exception as error:
            # rtc raises bare exceptions for whatever its native part says.
            await self._not_sent(caption, error)
        else:
            kind = "final" if final else "interim"
            metrics().captions_sent.labels(kind, self._name).inc()
            if final:
                self._refused = 0
                took = time.monotonic() - self._known_at.popleft()
                metrics().publish_time.labels(self._name).observe(took)
            if final and self._leads:  # In one lane only: a final passes it once.
                failpoint("publish")

    async def _not_sent(self, caption: CaptionInterim | CaptionFinal, error: Exception) -> None:
        # The message may quote the text, so only the kind of error is logged.
        cause = {"format": self._name, "cause": type(error).__name__}
        if isinstance(caption, CaptionInterim):
            log.warning("interim not sent", extra=cause)
            await asyncio.sleep(SEND_AGAIN)
            return
        self._refused += self._room.isconnected()
        if self._refused < ATTEMPTS:
            log.warning("caption not sent, it is sent again", extra=cause)
            self._outbox.put_back(caption)
            await asyncio.sleep(SEND_AGAIN)
        else:
            log.error("caption given up, it is in the journal", extra=cause)
            self._refused = 0
            self._known_at.popleft()
            metrics().captions_given_up.labels(self._name).inc()

    async def _send_notice(self, notice: str, to: list[str]) -> None:
        try:
            participant = self._room.local_participant
            await participant.send_text(
                notice,
                topic=STATUS,
                destination_identities=to or None,
                attributes={AGENT: participant.identity},
            )
        except Exception as error:
            log.warning("notice not sent", extra={"cause": type(error).__name__})
