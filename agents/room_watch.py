"""The watch over a meeting in its room: metadata, people, encryption and disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from livekit.protocol.agent import Job

from agents.encryption import EncryptionWatch
from agents.host import AgentHost
from agents.livekit_api import OURS
from agents.meeting import Desk
from agents.switchboard import Switchboard
from pipelines.events import CaptionState
from pipelines.settings import Settings

FIRST_PERSON: Final = 300.0
"""Seconds that a job waits in a room that nobody has entered yet: LiveKit's ``empty_timeout``."""

WATCH_INTERVAL: Final = 0.5


@dataclass(frozen=True, slots=True)
class Patience:
    """The seconds without people after which a job ends.

    Args:
        first: Until the job has seen somebody.
        after: From then on.
    """

    first: float
    after: float


def patience_of(job: Job, settings: Settings) -> Patience:
    """Return how long a job waits for people.

    We ask for a job only while people are in the room: :mod:`agents.replacement`,
    :mod:`agents.sweep`. One of ours that finds nobody comes after they have left, or after their
    room was deleted, which its dispatch has opened again: no first person is to be waited for.
    """
    own = settings.departure_timeout
    after = float(job.room.departure_timeout) if own is None else own
    return Patience(after if OURS in job.attributes else max(FIRST_PERSON, after), after)


async def watch_room(
    desk: Desk,
    switchboard: Switchboard,
    host: AgentHost,
    encryption: EncryptionWatch,
    *,
    patience: Patience,
    empty: Callable[[], None],
    stopping: asyncio.Event,
) -> None:
    """Follow the metadata, the people and the disk until the meeting is stopped.

    Args:
        desk: The meeting.
        switchboard: What the metadata asks for.
        host: Runs the agents.
        encryption: Tells whose media can't be read.
        patience: After which a room without people counts as empty.
        empty: Called when it does; again after as long.
        stopping: Whether the meeting is to end.
    """
    room, ledger = desk.room, desk.ledger
    durable = True
    people_until = time.monotonic()
    left = patience.first
    while not stopping.is_set():
        waits = [asyncio.create_task(event.wait()) for event in (room.changed, stopping)]
        await asyncio.wait(waits, timeout=WATCH_INTERVAL, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        room.changed.clear()
        await switchboard.follow(host, desk)
        await encryption.look(time.monotonic())
        if durable != ledger.durable:
            durable = ledger.durable
            state = CaptionState.DURABLE if durable else CaptionState.NOT_DURABLE
            notice = {"about": "journal", "state": state}
            desk.captions.notify("captions", notice, about="journal")
        if room.people:
            people_until, left = time.monotonic(), patience.after
        elif time.monotonic() - people_until > left:
            empty()
            people_until = time.monotonic()
