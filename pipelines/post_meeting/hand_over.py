"""From the host that sealed a meeting to those who work on it: files to S3, a nudge to Celery.

Each host counts its own seals, so two hosts that served one meeting may both have a first one. In
the place that all share the second one gets the next free number, in its files too.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from itertools import count
from typing import Final, NamedTuple

from pipelines.errors import StoreError
from pipelines.post_meeting.artefacts import Artefacts, ArtefactStore
from pipelines.post_meeting.pending import Pending
from pipelines.post_meeting.work import DOCUMENT, SOURCE, WANTED
from pipelines.transcript.document import TranscriptDocument
from pipelines.transcript.exports import EXPORTS
from pipelines.transcript.paths import Sealed

log = logging.getLogger(__name__)

LOOK: Final = 1.0
"""Seconds between two looks for new seals: one look into a small directory."""

_COVERS: Final = "seal.json"
"""What the seal covers, by the epochs of its lines."""
_SEALED: Final = frozenset({_COVERS, SOURCE, WANTED})


class HandedOver(NamedTuple):
    """What became of the new seals of this host."""

    given: list[Sealed]
    """As they are called in the place that all hosts share."""
    left: list[Sealed]
    """As they are called here: they could not be handed over yet."""


async def hand_over(here: ArtefactStore, there: ArtefactStore) -> HandedOver:
    """Give the new seals of this host's files to the place that all hosts share.

    One that can't be handed over keeps no other; asking again goes on where this ended.

    Args:
        here: The files beside the sealed transcripts.
        there: Where the artefacts go.

    Raises:
        StoreError: Nobody can tell what is new here.
    """
    pending, shared = Pending(here), Pending(there)
    found = HandedOver([], [])
    for sealed in await pending.sealed():
        try:
            files = await _files(here.at(sealed.directory))
            if not files:
                continue  # Marked, and not sealed yet.
            given = await _given(files, sealed, there)
            await shared.add(given)
            await pending.finish(sealed)
        except StoreError as error:
            fields = {"meeting": sealed.key, "seal": sealed.seal, "cause": str(error)}
            log.warning("seal not handed over, next try soon", extra=fields)
            found.left.append(sealed)
        else:
            found.given.append(given)
    return found


async def _files(made: Artefacts) -> dict[str, bytes]:
    """Return what the seal made, name -> bytes; nothing where it is not there yet."""
    names = await made.names()
    if DOCUMENT not in names:
        return {}
    files = {}
    for name in {_COVERS, *names}:
        if name in _SEALED or name.startswith("transcript."):
            data = await made.read(name)
            if data is None:
                raise StoreError(f"artefacts: {name} is gone")
            files[name] = data
    return files


async def _given(files: Mapping[str, bytes], sealed: Sealed, there: ArtefactStore) -> Sealed:
    """Put the files of a seal where no other has its number; return what it is called there."""
    for number in count(sealed.seal):
        target = there.at(Sealed(sealed.key, number).directory)
        numbered = files
        if number != sealed.seal:
            numbered = await asyncio.to_thread(_numbered, files, number)
        # Who puts these first has the number; ours may be there from an earlier try.
        if await _is_ours(target, _COVERS, numbered) and await _is_ours(target, DOCUMENT, numbered):
            break
    for name, data in numbered.items():
        await target.put(name, data)
    return Sealed(sealed.key, number)


async def _is_ours(target: Artefacts, name: str, files: Mapping[str, bytes]) -> bool:
    return await target.put(name, files[name]) or await target.read(name) == files[name]


def _numbered(files: Mapping[str, bytes], number: int) -> dict[str, bytes]:
    """Return the files as a seal of another number has them."""
    try:
        document = TranscriptDocument.model_validate_json(files[DOCUMENT])
        covers = json.loads(files[_COVERS]) | {"seal": number}
    except (ValueError, TypeError):
        # Its text would quote what was said.
        raise StoreError("artefacts: the seal's files are not what this version writes") from None
    document = document.model_copy(update={"seal": number})
    exported = {
        name: export(document).encode("utf-8", "replace")
        for ending, export in EXPORTS.items()
        if (name := f"transcript.{ending}") in files
    }
    return {**files, **exported, _COVERS: json.dumps(covers, indent=1).encode()}


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

    Raises:
        StoreError: ``until_idle``, and some can't be handed over.
    """
    nudged: set[Sealed] = set()
    while True:
        left: list[Sealed] = []
        try:
            if there is here:
                waiting = {
                    one for one in await Pending(here).sealed() if await _is_sealed(here, one)
                }
                new = waiting - nudged
                nudged = waiting
            else:
                given, left = await hand_over(here, there)
                new = set(given)
                waiting = set()
            if new:
                await nudge(sorted(new))
        except StoreError as error:
            log.warning("seals not handed over, next try soon", extra={"cause": str(error)})
            waiting = nudged
        if until_idle and left:
            raise StoreError(f"{len(left)} seals are not handed over; the log says why")
        if until_idle and not waiting:
            return
        await asyncio.sleep(LOOK)


async def _is_sealed(here: ArtefactStore, sealed: Sealed) -> bool:
    return DOCUMENT in await here.at(sealed.directory).names()
