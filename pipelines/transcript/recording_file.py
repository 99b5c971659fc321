"""Writes La Suite Meet's metadata file of a recording into the bucket of the recordings.

The file is made of the meeting's lines, so whoever has them can write it: the job at its stop, or
recovery after a crash. A shorter one never replaces a longer one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from typing import Final

import stamina

from pipelines.errors import StoreError, StoreRefusedError
from pipelines.failpoints import failpoint
from pipelines.settings import Settings
from pipelines.transcript.line import Line
from pipelines.transcript.recording_metadata import encoded, recording_metadata, recording_of
from pipelines.transcript.stores.s3_access import S3Place
from pipelines.transcript.stores.s3_bucket import S3Bucket

log = logging.getLogger(__name__)

_JSON: Final = "application/json"
_ENDING: Final = "-metadata.json"


class RecordingFile:
    """A step of closing a meeting: of one that is a recording, its file is in the bucket.

    Args:
        bucket: The folder where La Suite looks for it.
        timeout: Seconds that one try may take.
    """

    def __init__(self, bucket: S3Bucket, *, timeout: float) -> None:
        self._bucket = bucket
        self._timeout = timeout

    async def prepare(self) -> None:
        """Load the client and connect, so that the stop need not; failing is no matter."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._bucket.get(f"not-there{_ENDING}")
        except (StoreError, TimeoutError) as error:
            log.warning("bucket of the recordings not reached", extra={"cause": str(error)})

    async def finish(self, lines: Sequence[Line]) -> None:
        """Have a file in the bucket that tells at least what ``lines`` tell.

        Args:
            lines: All that is known of one meeting; of one that is no recording, nothing is done.

        Raises:
            StoreError: It can't be written or read back.
        """
        if not (recording := recording_of(lines)):
            return
        metadata = recording_metadata(lines)
        body = await asyncio.to_thread(encoded, metadata)
        key = f"{recording}{_ENDING}"
        try:
            async with asyncio.timeout(self._timeout):
                await self._put(key, body, events=len(metadata["events"]))
        except TimeoutError as error:
            raise StoreError(f"{key}: no answer in {self._timeout:g} s") from error

    async def finish_in_time(self, lines: Sequence[Line], *, seconds: float) -> None:
        """Try :meth:`finish` again and again for ``seconds``; what is left is recovery's."""
        began = time.monotonic()
        try:
            async for attempt in stamina.retry_context(
                on=_worth_another_try,
                attempts=None,
                timeout=seconds,
                wait_initial=0.2,
                wait_max=3.0,
            ):
                with attempt:
                    await self.finish(lines)
        except StoreError as error:
            log.error("recording's metadata not written yet", extra={"cause": str(error)})
        else:
            took = round(time.monotonic() - began, 3)
            log.info("recording's metadata written", extra={"seconds": took})

    async def aclose(self) -> None:
        """Close the connections."""
        await self._bucket.aclose()

    async def _put(self, key: str, body: bytes, *, events: int) -> None:
        there = await self._get(key)
        if there == body:
            return
        if there is not None and (longer := _events_in(there)) > events:
            # Another host knows more of this meeting than we do, and shares no store with us.
            counts = {"events": events, "there": longer}
            log.warning("recording's metadata left as it is, it tells more", extra=counts)
            return
        await self._bucket.put(key, body, content_type=_JSON)
        failpoint("recording_file")
        if await self._get(key) not in (body, None):
            raise StoreError(f"{key}: another file is there than was written")

    async def _get(self, key: str) -> bytes | None:
        """Return what is there; None where there is nothing, or where the key may only write.

        La Suite's own collector never reads, so an operator's key may be one that can't.
        """
        try:
            return await self._bucket.get(key)
        except StoreRefusedError as error:
            log.warning("recording's metadata can't be read back", extra={"cause": str(error)})
            return None


def recordings_place(settings: Settings) -> S3Place | None:
    """Return the folder in the bucket of the recordings, or None where no bucket is set."""
    if not settings.metadata_bucket:
        return None
    return S3Place(
        bucket=settings.metadata_bucket,
        prefix=f"{settings.metadata_folder}/",
        access=settings.s3_access,
        setting=Settings.variable("metadata_bucket"),
    )


def open_recording_file(settings: Settings) -> RecordingFile | None:
    """Return the step, or None where no bucket is set; connects when it is first used."""
    if place := recordings_place(settings):
        return RecordingFile(S3Bucket(place), timeout=settings.store_timeout)
    return None


def _events_in(body: bytes) -> int:
    """Count the events of a file; one that can't be read has none."""
    try:
        return len(json.loads(body)["events"])
    except (ValueError, KeyError, TypeError):
        return 0


def _worth_another_try(error: Exception) -> bool:
    return isinstance(error, StoreError) and not isinstance(error, StoreRefusedError)
