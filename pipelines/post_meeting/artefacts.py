"""Where the artefacts of sealed meetings are: beside the transcripts in files, or in S3.

::

    <key>/seal-<n>/transcript.json ...     what the seal made; never written here, but for S3
    <key>/seal-<n>/aligned.json ...        what the steps make; put once, whole, never overwritten
    <key>/seal-<n>/failures/<step>.json    how a step failed last; may be replaced
    .pending/<key>.<n>  .dead/<key>.<n>    the index, see :mod:`pipelines.post_meeting.pending`

Two processes may do the same step, after a lease expired in a long pause: whoever puts an artefact
first has made it, and the other one is told so.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Protocol

from pipelines.errors import StoreError
from pipelines.transcript.journal import sync_directory

if TYPE_CHECKING:  # its client library takes 100 ms to load, and not everybody has a bucket
    from pipelines.transcript.stores.s3_bucket import S3Bucket

_UNFINISHED: Final = ".unfinished-"

_CONTENT_TYPES: Final = {
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".srt": "application/x-subrip; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".vtt": "text/vtt; charset=utf-8",
}


class Artefacts(Protocol):
    """Named pieces of bytes in one place, such as the directory of one seal.

    A name is relative and may have slashes: ``deliveries/mail.json``. Every call is one try, may
    be cancelled at any moment, and raises StoreError where the place can't be read or written.
    """

    async def read(self, name: str) -> bytes | None:
        """Return what is there under ``name``, None where nothing is."""

    async def put(self, name: str, data: bytes) -> bool:
        """Put a new artefact, whole or not at all; False, and nothing changes, where one is."""

    async def replace(self, name: str, data: bytes) -> None:
        """Put what may change, such as how often something failed; whole, also over another."""

    async def remove(self, name: str) -> None:
        """Remove what may change; what is not there is no error."""

    async def names(self) -> frozenset[str]:
        """Return the names of all that is there."""


class ArtefactStore(Protocol):
    """Has the artefacts of every meeting."""

    def at(self, directory: str) -> Artefacts:
        """Return what is below ``directory``, relative to the root; it need not exist."""

    async def aclose(self) -> None:
        """Let go of connections."""


class FilesArtefactStore:
    """Artefacts in files below ``root``, which several processes or hosts may share."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def at(self, directory: str) -> Artefacts:
        """Return what is below ``directory``; see :class:`ArtefactStore`."""
        return FilesArtefacts(self._root / _checked(directory))

    async def aclose(self) -> None:
        """Nothing is held open."""


class FilesArtefacts:
    """Artefacts in one directory; see :class:`Artefacts`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    async def read(self, name: str) -> bytes | None:
        """Return the file's bytes."""
        return await asyncio.to_thread(self._read, self._path(name))

    async def put(self, name: str, data: bytes) -> bool:
        """Link a file that is written and synced to its name: link(2) never replaces."""
        return await asyncio.to_thread(self._put, self._path(name), data)

    async def replace(self, name: str, data: bytes) -> None:
        """Rename a file that is written and synced to its name."""
        await asyncio.to_thread(self._replace, self._path(name), data)

    async def remove(self, name: str) -> None:
        """Unlink the file."""
        with _as_store_error():
            await asyncio.to_thread(self._path(name).unlink, missing_ok=True)

    async def names(self) -> frozenset[str]:
        """Return the names of files; one that begins with a dot is unfinished or not ours."""
        return await asyncio.to_thread(self._names)

    def _path(self, name: str) -> Path:
        return self.directory / _checked(name)

    def _read(self, path: Path) -> bytes | None:
        with _as_store_error():
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def _put(self, path: Path, data: bytes) -> bool:
        with _as_store_error():
            if path.exists():
                return False
            unfinished = _write(path, data)
            try:
                os.link(unfinished, path)
            except FileExistsError:
                return False
            except FileNotFoundError:
                # Somebody was quicker, and has cleared away what he took for a dead one's.
                return False
            finally:
                unfinished.unlink(missing_ok=True)
            sync_directory(path.parent)
            # Whoever else is at it now comes too late; most are dead.
            for stale in path.parent.glob(f"{_UNFINISHED}{path.name}-*"):
                stale.unlink(missing_ok=True)
            return True

    def _replace(self, path: Path, data: bytes) -> None:
        with _as_store_error():
            _write(path, data).rename(path)
            sync_directory(path.parent)

    def _names(self) -> frozenset[str]:
        with _as_store_error():
            return frozenset(
                (Path(parent) / name).relative_to(self.directory).as_posix()
                for parent, _, files in os.walk(self.directory, onerror=_unless_absent)
                for name in files
                if not name.startswith(".")
            )


class S3ArtefactStore:
    """Artefacts as objects below the bucket's prefix; any number of hosts may share them."""

    def __init__(self, bucket: S3Bucket) -> None:
        self._bucket = bucket

    def at(self, directory: str) -> Artefacts:
        """Return what is below ``directory``; see :class:`ArtefactStore`."""
        return S3Artefacts(self._bucket, f"{_checked(directory)}/")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._bucket.aclose()


class S3Artefacts:
    """Artefacts below one prefix of a bucket; see :class:`Artefacts`.

    A server that takes no notice of ``If-None-Match`` is asked first whether there is one: between
    the two another process may put its own, so there the last of two that do a step at once wins.
    """

    def __init__(self, bucket: S3Bucket, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = prefix

    async def read(self, name: str) -> bytes | None:
        """Get the object."""
        return await self._bucket.get(self._key(name))

    async def put(self, name: str, data: bytes) -> bool:
        """Create the object (``If-None-Match: *``)."""
        key = self._key(name)
        if await self._bucket.can_create():
            return await self._bucket.create(key, data, content_type=_content_type(name))
        if key in await self._bucket.keys(key):
            return False
        await self._bucket.put(key, data, content_type=_content_type(name))
        return True

    async def replace(self, name: str, data: bytes) -> None:
        """Put the object."""
        await self._bucket.put(self._key(name), data, content_type=_content_type(name))

    async def remove(self, name: str) -> None:
        """Delete the object."""
        await self._bucket.delete(self._key(name))

    async def names(self) -> frozenset[str]:
        """List the objects."""
        keys = await self._bucket.keys(self._prefix)
        return frozenset(key.removeprefix(self._prefix) for key in keys)

    def _key(self, name: str) -> str:
        return f"{self._prefix}{_checked(name)}"


def _checked(name: str) -> str:
    """Names are ours; one that leads out of its place is a mistake or an attack.

    Raises:
        ValueError: It is absolute, empty or goes up.
    """
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts:
        raise ValueError("the name of an artefact is a relative path that does not go up")
    return path.as_posix()


def _content_type(name: str) -> str:
    return _CONTENT_TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")


def _write(path: Path, data: bytes) -> Path:
    """Write and sync ``data`` beside ``path``; return the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{_UNFINISHED}{path.name}-{secrets.token_hex(8)}")
    try:
        with unfinished.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
        raise
    return unfinished


def _unless_absent(error: OSError) -> None:
    """What can't be read must not look empty: a meeting without a transcript is no work."""
    if not isinstance(error, FileNotFoundError):
        raise error


@contextmanager
def _as_store_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"artefacts: {error}") from error
