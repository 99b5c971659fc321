"""Names of directories and files that a meeting's id becomes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

PENDING: Final = ".pending"
"""Directory, beside those of the meetings, with the marker of every seal that is work to do."""

_READABLE: Final = 48


def meeting_key(meeting: str) -> str:
    """Return a file name that is ``meeting``'s alone: a readable part and a hash.

    Ids come from metadata and room names and may hold anything, ``../`` included.
    """
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", meeting)[:_READABLE].strip("-")
    digest = hashlib.sha256(meeting.encode("utf-8", "replace")).hexdigest()[:12]
    return f"{readable}-{digest}" if readable else digest


@dataclass(frozen=True, slots=True, order=True)
class Sealed:
    """One seal of one meeting, named so that a queue may carry it.

    Args:
        key: What :func:`meeting_key` makes of the meeting's id, the first 48 readable characters of
            which stand in it: where that id is a room's name, in a queue too.
        seal: Number of the seal, from 1.
    """

    key: str
    seal: int

    @property
    def directory(self) -> str:
        """Where its artefacts are, below the root of all."""
        return f"{self.key}/seal-{self.seal}"

    @property
    def marker(self) -> str:
        """Its name in the pending index, ``<key>.<seal>``."""
        return f"{self.key}.{self.seal}"

    @classmethod
    def of_marker(cls, marker: str) -> Self | None:
        """Read back :attr:`marker`; None where it is something else."""
        key, _, seal = marker.rpartition(".")
        return cls(key, int(seal)) if key and seal.isdecimal() else None
