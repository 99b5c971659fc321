"""What a double of a service has seen: requests, sockets, audio, words."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

LAST_REQUESTS: Final = 10_000


@dataclass(slots=True)
class Counts:
    """The double's own count; a test compares it with what the platform says.

    Args:
        requests: Query or form of each request that was answered, files left out; the last 10,000.
        refused: Requests that were told to fail, or had another key.
        open_sockets: Streaming connections that are open.
        socket_seconds: Seconds that closed streaming connections were open: what Deepgram bills.
        audio_seconds: Seconds of audio taken, what was said again included.
        words: Words in final results, in their order, where it recognises coded speech.
    """

    requests: deque[Mapping[str, str]] = field(default_factory=lambda: deque(maxlen=LAST_REQUESTS))
    refused: int = 0
    open_sockets: int = 0
    socket_seconds: float = 0.0
    audio_seconds: float = 0.0
    words: list[str] = field(default_factory=list)
    _digest: Any = field(default_factory=hashlib.sha256)

    def take(self, pcm: bytes, seconds: float) -> None:
        """Count audio."""
        self.audio_seconds += seconds
        self._digest.update(pcm)

    @property
    def audio_digest(self) -> str:
        """SHA-256 of all audio, in the order in which it came."""
        return str(self._digest.hexdigest())

    def as_dict(self) -> Mapping[str, Any]:
        """Return everything as JSON has it."""
        return {
            "requests": list(self.requests),
            "refused": self.refused,
            "open_sockets": self.open_sockets,
            "socket_seconds": round(self.socket_seconds, 3),
            "audio_seconds": round(self.audio_seconds, 3),
            "audio_digest": self.audio_digest,
            "words": self.words,
        }


class Socket:
    """Counts a streaming connection while it is open; a context manager."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._opened_at = 0.0

    def __enter__(self) -> None:
        self._opened_at = time.monotonic()
        self._counts.open_sockets += 1

    def __exit__(self, *_: object) -> None:
        self._counts.open_sockets -= 1
        self._counts.socket_seconds += time.monotonic() - self._opened_at
