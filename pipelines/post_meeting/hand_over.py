"""From the host that sealed a meeting to those who work on it: files to S3, a nudge to Celery."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from pipelines.errors import StoreError
from pipelines.post_meeting.artefacts import ArtefactStore
from pipelines.post_meeting.pending import Pending
from pipelines.post_meeting.work import DOCUMENT, SOURCE, WANTED
from pipelines.transcript.paths import Sealed

log = logging.getLogger(__name__)

LOOK: Final = 1.0
"""Seconds between two looks for new seals: one look into a small directory."""

_SEALED: Final = frozenset({"seal.json", SOURCE, WANTED})


async def hand_over(here: ArtefactStore, there: ArtefactStore) -> list[Sealed]:
    """Give the new seals of this host's files to the place that all hosts share.

    Args:
        here: The files beside the sealed transcripts.
        there: Where the artefacts go.

    Returns:
        Those that are there now.

    Raises:
        StoreError: Not all of it is there; asking again goes on where this ended.
    """
    pending, shared = Pending(here), Pending(there)
    given = []
    for sealed in await pending.sealed():
        made, target = here.at(sealed.directory), there.at(sealed.directory)
        names = {
            one for one in await made.names() if one in _SEALED or one.startswith("transcript.")
        }
        if DOCUMENT not in names:
            continue  # Marked, and not sealed yet.
        for name in sorted(names):
            await target.put(name, await made.read(name) or b"")
        await shared.add(sealed)
        await pending.finish(sealed)
        given.append(sealed)
    return given


async def nudge_new(
    here: ArtefactStore,
    there: ArtefactStore,
    nudge: Callable[[Collection[Sealed]], Awaitable[None]],
    *,
    until_idle: bool = False,
) -> None:
    """Hand over and nudge as meetings are sealed, until cancelled.

    Args:
        here: The files beside the sealed transcripts.
        there: Where the artefacts go; may be ``here``.
        nudge: Is given each seal once; sweeps find what it could not do.
        until_idle: Return once nothing that is sealed is left here.
    """
    nudged: set[Sealed] = set()
    while True:
        try:
            if there is here:
                waiting = {
                    one for one in await Pending(here).sealed() if await _is_sealed(here, one)
                }
                new = waiting - nudged
                nudged = waiting
            else:
                new = set(await hand_over(here, there))
                waiting = set()
            if new:
                await nudge(sorted(new))
        except StoreError as error:
            log.warning("seals not handed over, next try soon", extra={"cause": str(error)})
            waiting = nudged
        if until_idle and not waiting:
            return
        await asyncio.sleep(LOOK)


async def _is_sealed(here: ArtefactStore, sealed: Sealed) -> bool:
    return DOCUMENT in await here.at(sealed.directory).names()
