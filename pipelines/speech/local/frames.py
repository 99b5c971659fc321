"""The words between a job and the child process that runs a speech model.

Every frame on the child's stdin and stdout is a kind (one byte), the length of its payload (four
bytes, little endian) and the payload: int16 samples at 16,000 Hz for ``AUDIO``, JSON for all
others. One utterance at a time::

    job                          child
    CONFIG {"model": ...}   ->
                            <-   READY {"seconds": 0.3}     the model is loaded
    AUDIO ...               ->
                            <-   INTERIM {"text", "start", "end"}    as often as the model likes
    END {}                  ->
                            <-   FINAL {"text", "start", "end"}      exactly one for each END

``start`` and ``end`` are seconds from the utterance's first sample; 0 and 0 where the model does
not tell. ``FAILED {"reason"}`` may come instead of READY or FINAL and is the child's last frame.
The child ends when its stdin does, so that it never outlives the job, whatever ends the job. An
utterance that is given up takes its child with it.
"""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any, BinaryIO, Final, TypedDict

CONFIG: Final = b"C"
AUDIO: Final = b"A"
END: Final = b"E"
READY: Final = b"R"
INTERIM: Final = b"I"
FINAL: Final = b"F"
FAILED: Final = b"X"

_HEAD = struct.Struct("<cI")


class Said(TypedDict):
    """Payload of ``INTERIM`` and ``FINAL``."""

    text: str
    start: float
    end: float


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """Return the bytes of one frame."""
    return _HEAD.pack(kind, len(payload)) + payload


def json_frame(kind: bytes, value: Any) -> bytes:
    """Return the bytes of one frame with a JSON payload."""
    return frame(kind, json.dumps(value).encode())


def read(stream: BinaryIO) -> tuple[bytes, bytes] | None:
    """Read a frame as (kind, payload), waiting for it; None at the end, also amid a frame."""
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    kind, size = _HEAD.unpack(head)
    payload = stream.read(size)
    return None if len(payload) < size else (kind, payload)


async def receive(stream: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Read a frame as (kind, payload).

    Raises:
        asyncio.IncompleteReadError: The stream ended.
    """
    kind, size = _HEAD.unpack(await stream.readexactly(_HEAD.size))
    return kind, await stream.readexactly(size)
