"""How likely is speech: LiveKit's native voice activity detector behind one method."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
from livekit.local_inference import VAD, VAD_WINDOW_SAMPLES

from pipelines.metrics import metrics

SAMPLE_RATE: Final = 16_000
"""Hz; what the detector and the engines take."""

WINDOW: Final = VAD_WINDOW_SAMPLES
"""Samples in a window: 512, which is 32 ms."""


class VoiceActivity(Protocol):
    """A detector of voice activity; it has memory, so one per audio stream."""

    def predict(self, window: npt.NDArray[np.int16]) -> float:
        """Return the probability of speech, 0 to 1, in ``WINDOW`` samples at 16 kHz."""


class NativeVad:
    """LiveKit's detector: 13 us a window, releases the GIL."""

    def __init__(self) -> None:
        self._vad = VAD()

    def predict(self, window: npt.NDArray[np.int16]) -> float:
        """Return the probability of speech, 0 to 1, in ``WINDOW`` samples at 16 kHz."""
        metrics().vad_windows.inc()
        return self._vad.predict(window)
