"""Where a recording is: a file, an object in S3, or a URL that may be a secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self, TypeAlias
from urllib.parse import unquote, urlsplit

from pipelines.errors import StepError

MediaKind: TypeAlias = Literal["file", "s3", "http"]


@dataclass(frozen=True, slots=True)
class MediaAddress:
    """The address of a recording; shown without what a presigned URL keeps secret.

    Args:
        kind: How it is fetched.
        text: A path, ``s3://bucket/key`` or a URL.
    """

    kind: MediaKind
    text: str = field(repr=False)

    @classmethod
    def parse(cls, text: str, *, files: bool = False) -> Self:
        """Read an address.

        Args:
            text: A path, ``s3://bucket/key``, ``http://`` or ``https://``.
            files: Whether it may be a file of this machine: only where an operator wrote it.

        Raises:
            StepError: It is none of these; code ``media_refused``.
        """
        try:
            parts = urlsplit(text)
        except ValueError:
            raise _refused("its address can't be read") from None
        scheme = parts.scheme.lower()
        if scheme in ("http", "https"):
            if not parts.hostname:
                raise _refused("its address names no host")
            return cls("http", text)
        if scheme == "s3":
            if not parts.netloc or not parts.path.strip("/"):
                raise _refused("its address is not s3://bucket/key")
            return cls("s3", text)
        if scheme or not files:
            raise _refused("its address must begin with https://, http:// or s3://")
        return cls("file", text)

    @property
    def path(self) -> Path:
        """Of a file."""
        return Path(self.text)

    @property
    def bucket_and_key(self) -> tuple[str, str]:
        """Of an object in S3."""
        parts = urlsplit(self.text)
        return parts.netloc, unquote(parts.path).lstrip("/")

    def __str__(self) -> str:
        """Return what may be logged: no path or query of a URL, which may be the key to it."""
        if self.kind == "http":
            return f"recording at {urlsplit(self.text).hostname}"
        if self.kind == "s3":
            return f"recording in bucket {self.bucket_and_key[0]!r}"
        return f"recording {self.path.name!r}"


def _refused(why: str) -> StepError:
    return StepError("media_refused", f"the recording can't be fetched: {why}")
