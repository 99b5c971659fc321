"""Meetings as jobs leave them that die, and what is known of their rooms."""

from __future__ import annotations

import json
from pathlib import Path

from pipelines.events import CaptionFinal
from pipelines.transcript.ledger import Ledger
from pipelines.transcript.stores.store import Store


async def speak(
    journal_dir: Path,
    store: Store,
    *segments: str,
    epoch: int = 7,
    ended: bool = False,
    meeting: str = "m",
) -> Ledger:
    """Journal a meeting's epoch without flushing it, as a job that is killed leaves it."""
    ledger = await Ledger.open(
        meeting, epoch, started_at=1000.0, journal_dir=journal_dir, stores=[store]
    )
    opened = {"room": "r", "room_sid": "RM_1", "started_at": 1000.0}
    ledger.append("opened", opened, at=1000.0)
    for segment in segments:
        ledger.append_final(
            CaptionFinal(
                at=1001.0, end=1002.0, segment=segment, identity="ada", name="Ada", text=segment
            )
        )
    if ended:
        ledger.append("ended", {}, at=1005.0)
    return ledger


async def is_open(_room: str, _sid: str, _dispatch: str) -> bool:
    return True


async def is_over(_room: str, _sid: str, _dispatch: str) -> bool:
    return False


async def is_unknown(_room: str, _sid: str, _dispatch: str) -> bool:
    raise ConnectionError("LiveKit is down")


def segments_of(path: Path) -> list[str]:
    document = json.loads((path / "transcript.json").read_text())
    return [segment["id"] for segment in document["segments"]]
