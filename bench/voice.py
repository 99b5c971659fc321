"""Real speech without its pauses, that words can be laid over."""

from __future__ import annotations

from typing import Final

import numpy as np

from bench.audio_file import Samples, read_samples
from bench.script import SCRIPTED_MEETING
from pipelines.testing.coded_speech import RATE

_CLIPS: Final = sorted(SCRIPTED_MEETING.parent.glob("*.ogg"))
_BELOW: Final = 4600.0  # Hz; the tones of coded words are above
_LOUD: Final = 1500.0  # a 20 ms step below this level of speech is a pause, and is left out


def voice() -> Samples:
    """Return it, without what lies above 4.6 kHz, at 16,000 samples a second."""
    samples = np.concatenate([read_samples(path, RATE) for path in _CLIPS]).astype(np.float64)
    step = RATE // 50
    steps = samples[: len(samples) // step * step].reshape(-1, step)
    loud = steps[np.sqrt(np.mean(steps**2, axis=1)) > _LOUD].ravel()
    spectrum = np.fft.rfft(loud)
    spectrum[np.fft.rfftfreq(len(loud), 1 / RATE) > _BELOW] = 0.0
    return np.fft.irfft(spectrum, len(loud)).astype(np.int16)
