"""Ledgers of the meeting `m`, which began at 1000 s."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pipelines.events import CaptionFinal
from pipelines.testing.memory_store import MemoryStore
from pipelines.transcript.ledger import Ledger
from pipelines.transcript.stores.files import FilesStore


async def open_ledger(path: Path, *stores: MemoryStore | FilesStore, epoch: int = 7) -> Ledger:
    ledger = await Ledger.open(
        "m", epoch, started_at=1000.0, journal_dir=path / "journal", stores=stores
    )
    opened = {"room": "r", "room_sid": "RM_1", "started_at": 1000.0}
    ledger.append("opened", opened, at=1000.0)
    return ledger


def final(
    segment: str, *, at: float = 1001.0, text: str = "hello", revision: int = 0
) -> CaptionFinal:
    return CaptionFinal(
        at=at, end=at + 1, segment=segment, identity="ada", name="Ada", text=text, revision=revision
    )


async def flush(ledger: Ledger) -> None:
    ledger.close()
    async with asyncio.timeout(10):
        await ledger.run()
    ledger.release()
