"""An agent that publishes the captions it is told to, by data packets on ``scripted.say``.

A packet is JSON, either ``{"turns": [...]}``, each ``{"identity", "texts": [interim, ..., final],
"then"?, "pause"?}``, where ``then`` corrects the final (empty: withdraws it) and ``pause`` are the
seconds between two updates; or ``{"bulk": n, "identities": [...]}`` for n finals without interims,
by turns. A notice ``scripted`` tells that it listens.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from agents.plugin import (
    AgentSettings,
    AgentSpec,
    CaptionFinal,
    CaptionInterim,
    DataReceived,
    Meeting,
)

TOPIC: Final = "scripted.say"


def bulk_text(number: int) -> str:
    """Return what is said in the ``number``-th final of a bulk, from 1."""
    return f"Sentence {number}: the quick brown fox jumps over the lazy dog, «déjà vu» 🦊."


class Scripted:
    """Publishes; the turns of one packet are spoken at the same time."""

    def __init__(self, _settings: AgentSettings) -> None:
        pass

    async def run(self, meeting: Meeting) -> None:
        """Obey until the meeting ends."""
        await meeting.notify("scripted", state="listens")
        async with asyncio.TaskGroup() as tasks:
            async for event in meeting.events():
                match event:
                    case DataReceived(topic=topic, payload=payload) if topic == TOPIC:
                        tasks.create_task(_obey(meeting, json.loads(payload)))


async def _obey(meeting: Meeting, order: Mapping[str, Any]) -> None:
    for number in range(1, order.get("bulk", 0) + 1):
        identity = order["identities"][number % len(order["identities"])]
        await meeting.publish(_final(meeting, identity, bulk_text(number)))
    async with asyncio.TaskGroup() as speakers:
        for turn in order.get("turns", ()):
            speakers.create_task(_speak(meeting, **turn))


async def _speak(
    meeting: Meeting,
    identity: str,
    texts: list[str],
    then: str | None = None,
    pause: float = 0.3,
) -> None:
    *interims, settled = texts
    final = _final(meeting, identity, settled)
    for text in interims:
        interim = CaptionInterim(final.at, final.segment, identity, "", text, final.track)
        await meeting.publish(interim)
        await asyncio.sleep(pause)
    final = replace(final, end=time.time())
    await meeting.publish(final)
    if then is not None:
        await asyncio.sleep(pause)
        await meeting.publish(replace(final, text=then, revision=1))


def _final(meeting: Meeting, identity: str, text: str) -> CaptionFinal:
    now = time.time()
    segment, track = meeting.new_segment(), f"TR_{identity}"
    return CaptionFinal(now, now, segment, identity, "", text, track, "fr", "scripted")


SPEC = AgentSpec("scripted", Scripted)
