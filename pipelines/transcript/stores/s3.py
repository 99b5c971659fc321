"""The S3 store: an immutable object a batch of lines.

::

    <prefix>/<meeting key>/lines/<epoch>/<first sequence>.jsonl            sequence: ten digits
    <prefix>/<meeting key>/lines/<epoch>/<first sequence>-<digest>.jsonl   see below
    <prefix>/.if-none-match                                                see ``S3Bucket``

What is kept never shrinks, whenever a request takes effect. A try that timed out, or whose process
died, may still be on its way, and its batch may end elsewhere than the next one's: it must not
replace more lines by fewer. Two kinds of keys see to it:

* The key of a batch is fixed by its epoch and its first line before the first try, and its object
  is put only where there is none (``If-None-Match: *``). Of all tries the first that takes effect
  stays, and a later one, however late, changes nothing. Who finds the key taken reads what is
  kept, leaves that out, and goes on with the rest under the rest's own key.
* Where the server knows no such condition, or where what has the key lacks the key's own line
  (torn, or somebody else's), the digest of the content is in the key. Whatever replaces such an
  object is the same bytes.

So a line may stand in two objects, when batches began elsewhere after a crash; readers take each
line once.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterable, Sequence
from typing import Final

from pipelines.errors import StoreError
from pipelines.transcript.line import Line, TornLineError, distinct
from pipelines.transcript.paths import meeting_key
from pipelines.transcript.stores.address import StoreAddress
from pipelines.transcript.stores.s3_access import S3Access, S3Place
from pipelines.transcript.stores.s3_bucket import CONCURRENCY, S3Bucket

log = logging.getLogger(__name__)

_ENDING: Final = ".jsonl"


class S3Store:
    """Keeps lines in a bucket of an S3 server; safe for any number of processes anywhere.

    Args:
        address: ``s3://bucket/prefix?endpoint=...&region=...``.
        access: The server and the key, where the address says nothing else.
        bucket: The bucket in place of the one that these name.

    Raises:
        SettingsError: The address holds a key or an unknown option.
    """

    reads_back = True

    def __init__(
        self, address: StoreAddress, access: S3Access, *, bucket: S3Bucket | None = None
    ) -> None:
        self.name = address.name
        self._bucket = bucket or S3Bucket(S3Place.of(address, access))

    async def append(self, meeting: str, lines: Sequence[Line]) -> None:
        """Keep those of ``lines`` that are not kept; see :class:`Store` and this module's text."""
        directory = f"{_directory(meeting)}{lines[0].epoch}/"
        rest = lines
        if await self._bucket.can_create():
            rest = await self._create(directory, lines)
        if rest:
            body = _encode(rest)
            digest = hashlib.sha256(body).hexdigest()[:16]
            await self._bucket.put(f"{_first(directory, rest)}-{digest}{_ENDING}", body)

    async def read(self, meeting: str) -> list[Line]:
        """Return every line of the meeting once, in order of (epoch, sequence)."""
        return distinct(await self._lines_of(await self._bucket.keys(_directory(meeting))))

    async def sealed(self, meeting: str, lines: int) -> None:
        """Nothing here serves only the recovery."""

    async def aclose(self) -> None:
        """Close the connections."""
        await self._bucket.aclose()

    async def _create(self, directory: str, lines: Sequence[Line]) -> Sequence[Line]:
        """Put what is not kept as new objects; return what an object that lacks it keeps out."""
        rest = lines
        while rest:
            first = _first(directory, rest)
            if await self._bucket.create(f"{first}{_ENDING}", _encode(rest)):
                return ()
            # All of the batch's keys at once: with one look a key, a replay of many small batches
            # could take longer than the caller waits, and so would never end.
            last = f"{_first(directory, rest[-1:])}~"  # "~" is after all that a key ends in
            taken = [key for key in await self._bucket.keys(directory) if first <= key <= last]
            kept = {line.key for line in await self._lines_of(taken)}
            if rest[0].key not in kept:
                break
            rest = [line for line in rest if line.key not in kept]
        return rest

    async def _lines_of(self, keys: Iterable[str]) -> list[Line]:
        lines: list[Line] = []
        places = asyncio.Semaphore(CONCURRENCY)

        async def get(key: str) -> None:
            async with places:
                lines.extend(self._decode(key, await self._bucket.get(key) or b""))

        try:
            async with asyncio.TaskGroup() as getting:
                for key in keys:
                    if key.endswith(_ENDING):
                        getting.create_task(get(key))
        except* StoreError as errors:
            failure = errors.exceptions[0]
        else:
            return lines
        raise failure

    def _decode(self, key: str, body: bytes) -> list[Line]:
        lines = []
        torn = 0
        for piece in filter(None, body.split(b"\n")):
            try:
                lines.append(Line.decode(piece))
            except TornLineError:
                torn += 1
        if torn or not lines:
            log.warning(
                "object holds what is no line; the rest is read",
                extra={"store": self.name, "object": key, "torn": torn},
            )
        return lines


def _directory(meeting: str) -> str:
    return f"{meeting_key(meeting)}/lines/"


def _first(directory: str, lines: Sequence[Line]) -> str:
    return f"{directory}{lines[0].sequence:010}"


def _encode(lines: Iterable[Line]) -> bytes:
    return b"".join(line.encode() for line in lines)
