"""Main program of a child process: one speech model, one utterance at a time.

Run by :mod:`pipelines.speech.local.pool` as ``python -m pipelines.speech.local.child``; what it
reads and writes is in :mod:`pipelines.speech.local.frames`. Imports no LiveKit: it starts fast.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import BinaryIO

from pipelines.speech.local import frames
from pipelines.speech.local.models import Model, load


def main() -> None:
    """Serve the job at stdin and stdout until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the job, which then closes stdin
    # A model's C code may print: the way to the job is moved away from file descriptor 1.
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    try:
        serve(sys.stdin.buffer, output)
    except BrokenPipeError:
        return  # the job is gone
    except Exception as error:  # the job is told, and tells people
        reason = f"{type(error).__name__}: {error}"
        try:
            output.write(frames.json_frame(frames.FAILED, {"reason": reason}))
        except BrokenPipeError:
            return
        sys.exit(1)


def serve(source: BinaryIO, output: BinaryIO) -> None:
    """Load the model that the first frame names, then recognise until ``source`` ends."""
    first = frames.read(source)
    if first is None:
        return
    began = time.perf_counter()
    model = load(first[1])
    seconds = time.perf_counter() - began
    output.write(frames.json_frame(frames.READY, {"seconds": round(seconds, 3)}))
    while (received := frames.read(source)) is not None:
        reply = _answer(model, *received)
        if reply:
            output.write(reply)


def _answer(model: Model, kind: bytes, payload: bytes) -> bytes:
    match kind:
        case frames.AUDIO:
            said = model.hear(payload)
            return frames.json_frame(frames.INTERIM, said) if said else b""
        case frames.END:
            return frames.json_frame(frames.FINAL, model.settle())
        case _:
            raise ValueError(f"unknown frame {kind!r}")


if __name__ == "__main__":
    main()
