"""How likely is speech: a voice activity detector behind one method, LiveKit's own or Silero's."""

from __future__ import annotations

from functools import cache
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from livekit.local_inference import VAD, VAD_WINDOW_SAMPLES

from pipelines.metrics import metrics
from pipelines.settings import VadName

SAMPLE_RATE: Final = 16_000
"""Hz; what the detector and the engines take."""

WINDOW: Final = VAD_WINDOW_SAMPLES
"""Samples in a window: 512, which is 32 ms."""


_FULL_SCALE: Final = np.float32(32768)


HANGOVER: Final = 0.048
"""Seconds of silence that the detectors still take for speech: they are one model, with memory.

Measured on 15 recordings, median: 40 ms in silence, 46 to 64 ms with noise 30 to 20 dB below.
"""


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


class SileroVad:
    """Silero's model, which La Suite Meet's agents use: 61 us a window, releases the GIL."""

    def __init__(self) -> None:
        self._model = _silero().OnnxModel(onnx_session=_silero_session(), sample_rate=SAMPLE_RATE)

    def predict(self, window: npt.NDArray[np.int16]) -> float:
        """Return the probability of speech, 0 to 1, in ``WINDOW`` samples at 16 kHz."""
        metrics().vad_windows.inc()
        return float(self._model(window.astype(np.float32) / _FULL_SCALE))


def make_vad(name: VadName) -> VoiceActivity:
    """Make the detector that the setting ``vad`` names, for one stream of audio."""
    match name:
        case "native":
            return NativeVad()
        case "silero":
            return SileroVad()


def _silero() -> Any:
    # Only where it is asked for: its runtime takes a while to load.
    from livekit.plugins.silero import onnx_model  # noqa: PLC0415 - see above

    return onnx_model


@cache
def _silero_session() -> Any:
    """Return the loaded model; it has no memory of its own, so all streams share it."""
    return _silero().new_inference_session(force_cpu=True)
