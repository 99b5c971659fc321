"""Names of directories and files that a meeting's id becomes."""

from __future__ import annotations

import hashlib
import re
from typing import Final

_READABLE: Final = 48


def meeting_key(meeting: str) -> str:
    """Return a file name that is ``meeting``'s alone: a readable part and a hash.

    Ids come from metadata and room names and may hold anything, ``../`` included.
    """
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", meeting)[:_READABLE].strip("-")
    digest = hashlib.sha256(meeting.encode("utf-8", "replace")).hexdigest()[:12]
    return f"{readable}-{digest}" if readable else digest
