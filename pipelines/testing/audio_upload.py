"""The samples in a file that a client uploads, whatever it is."""

from __future__ import annotations

import io

import av
import numpy as np

from pipelines.testing.coded_speech import RATE
from pipelines.testing.deepgram_protocol import read_wav


def read_upload(data: bytes) -> bytes:
    """Return the int16 samples of a file at 16,000 Hz, mono.

    Raises:
        ValueError: It can't be decoded.
    """
    if data[:4] == b"RIFF":
        return read_wav(data)
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    parts = []
    try:
        with av.open(io.BytesIO(data), mode="r") as container:
            for frame in (*container.decode(audio=0), None):  # None drains the resampler
                parts += [out.to_ndarray()[0].astype(np.int16) for out in resampler.resample(frame)]
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(f"no audio that can be decoded ({type(error).__name__})") from None
    return np.concatenate(parts).tobytes() if parts else b""
