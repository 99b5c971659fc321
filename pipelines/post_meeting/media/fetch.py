"""A recording, whole and seekable, without a name on the disk.

An MP4 may have its index at its end, so decoding needs to seek. The copy is a file that no
directory lists (``O_TMPFILE``): the kernel takes it back when the process ends, however it does.
"""

from __future__ import annotations

import asyncio
import stat
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pipelines.errors import RetryableError, StepError, StoreError, StoreRefusedError
from pipelines.post_meeting.media.address import MediaAddress
from pipelines.post_meeting.media.download import PIECE, download, too_large
from pipelines.post_meeting.media.private_addresses import AllowedHosts
from pipelines.transcript.stores.s3_access import S3Access, S3Place
from pipelines.transcript.stores.s3_bucket import S3Bucket

MAX_BYTES: Final = 4 * 1024**3
TIMEOUT: Final = 1800.0


@dataclass(frozen=True, slots=True)
class Fetching:
    """What may be fetched, and where it is kept meanwhile.

    Args:
        max_bytes: Most bytes of a recording.
        timeout: Most seconds that fetching may take.
        allowed: Hosts beside the public ones.
        s3: The S3 server of ``s3://`` addresses; None where there is none.
        directory: Takes the copy, of which no directory entry is seen; the system's own by default.
    """

    max_bytes: int = MAX_BYTES
    timeout: float = TIMEOUT
    allowed: AllowedHosts = AllowedHosts()  # noqa: RUF009 - it never changes
    s3: S3Access | None = None
    directory: Path | None = None


@asynccontextmanager
async def fetched(address: MediaAddress, fetching: Fetching) -> AsyncIterator[BinaryIO]:
    """Open a recording for reading; on leaving, nothing of it is left on this machine.

    Raises:
        StepError: ``media_refused``, ``media_not_found``, ``media_too_large``.
        RetryableError: ``media_unavailable``; it may be had later.
    """
    if address.kind == "file":
        with await asyncio.to_thread(_open, address.path, fetching.max_bytes) as file:
            yield file
        return
    with tempfile.TemporaryFile(dir=fetching.directory) as copy:
        try:
            async with asyncio.timeout(fetching.timeout):
                await _copy(address, fetching, copy)
        except TimeoutError:
            raise RetryableError(
                "media_unavailable",
                f"the recording could not be fetched in {fetching.timeout:g} s; "
                "GREFFIER_MEDIA_TIMEOUT is how long it may take",
            ) from None
        except OSError as error:
            raise RetryableError(
                "media_unavailable", f"no room for a copy of the recording ({error.strerror})"
            ) from None
        copy.seek(0)
        yield copy


async def _copy(address: MediaAddress, fetching: Fetching, copy: BinaryIO) -> None:
    if address.kind == "s3":
        pieces = _s3_object(address, fetching)
    else:
        pieces = download(address.text, allowed=fetching.allowed, most=fetching.max_bytes)
    size = 0
    async with aclosing(pieces):
        async for piece in pieces:
            size += len(piece)
            if size > fetching.max_bytes:
                raise too_large(fetching.max_bytes)
            await asyncio.to_thread(copy.write, piece)


async def _s3_object(address: MediaAddress, fetching: Fetching) -> AsyncGenerator[bytes, None]:
    if fetching.s3 is None:
        raise StepError("media_refused", "no S3 server is configured: set GREFFIER_S3_ENDPOINT")
    name, key = address.bucket_and_key
    bucket = S3Bucket(S3Place(name, "", fetching.s3, setting="the recording's address"))
    try:
        async with aclosing(bucket.stream(key, PIECE)) as pieces:
            async for piece in pieces:
                yield piece
    except KeyError:
        raise StepError("media_not_found", f"the {address} is not there") from None
    except StoreRefusedError as error:
        raise StepError("media_refused", str(error)) from None
    except StoreError as error:
        raise RetryableError("media_unavailable", str(error)) from None
    finally:
        await bucket.aclose()


def _open(path: Path, most: int) -> BinaryIO:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise StepError("media_refused", f"{path.name!r} is not a file")
        if status.st_size > most:
            raise too_large(most)
        return path.open("rb")
    except FileNotFoundError:
        raise StepError("media_not_found", f"there is no file {path.name!r}") from None
    except OSError as error:
        raise StepError("media_refused", f"{path.name!r} can't be read: {error.strerror}") from None
