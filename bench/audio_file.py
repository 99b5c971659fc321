"""Audio files as samples, and where in them somebody speaks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]
"""int16 mono."""

_WINDOW = 0.010  # seconds
_SPEECH_BELOW_PEAK = 40.0  # dB: the loudest window minus this is the least speech


@dataclass(frozen=True, slots=True)
class Clip:
    """A decoded file, cut where speech begins and ends; the three parts are the whole file.

    Args:
        rate: Samples a second.
        before: What precedes the first sample of speech.
        speech: From the first to the last sample of speech.
        after: What follows it.
    """

    rate: int
    before: Samples
    speech: Samples
    after: Samples

    @property
    def seconds(self) -> float:
        """Length of the whole file."""
        return (len(self.before) + len(self.speech) + len(self.after)) / self.rate


def read_clip(path: Path, rate: int) -> Clip:
    """Decode any audio file to int16 mono at ``rate`` samples a second.

    Raises:
        ValueError: There is no audio in it.
    """
    samples = read_samples(path, rate)
    first, last = speech_bounds(samples, rate)
    return Clip(rate, samples[:first], samples[first:last], samples[last:])


def read_samples(path: Path, rate: int) -> Samples:
    """Decode any audio file to int16 mono at ``rate`` samples a second.

    Raises:
        ValueError: There is no audio in it.
    """
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
    parts: list[Samples] = []
    try:
        with av.open(str(path)) as container:
            for frame in (*container.decode(audio=0), None):  # None drains the resampler
                parts += [out.to_ndarray()[0].astype(np.int16) for out in resampler.resample(frame)]
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(f"{path}: no audio that can be decoded ({error})") from None
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def speech_bounds(samples: Samples, rate: int) -> tuple[int, int]:
    """Return the first sample of speech and the one after its last, to 10 ms.

    Speech is what is at most 40 dB below the loudest 10 ms; of pure silence it is (0, 0).
    """
    window = round(rate * _WINDOW)
    count = len(samples) // window
    windows = samples[: count * window].astype(np.float64).reshape(count, window)
    level = np.sqrt(np.mean(windows**2, axis=1))
    if count == 0 or level.max() == 0:
        return (0, 0)
    loud = np.flatnonzero(level >= level.max() * 10 ** (-_SPEECH_BELOW_PEAK / 20))
    return (int(loud[0]) * window, int(loud[-1] + 1) * window)
