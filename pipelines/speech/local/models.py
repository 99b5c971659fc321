"""The speech models, as a child process uses them. Each library is imported on first use."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from pipelines.speech.local.frames import Said

RATE: Final = 16_000
_BYTES_PER_SECOND: Final = RATE * 2

PRIMING: Final = 1.5
"""Seconds at the start of an utterance from which pocketsphinx's cepstral mean is taken."""
INTERIM_EVERY: Final = 0.3
"""Seconds of audio between two partial hypotheses."""
_FRAMES_PER_SECOND: Final = 100
_NOTHING: Final = Said(text="", start=0.0, end=0.0)


class Model(Protocol):
    """One utterance at a time."""

    def hear(self, pcm: bytes) -> Said | None:
        """Take int16 samples at 16,000 Hz; return the present guess where there is a new one."""

    def settle(self) -> Said:
        """End the utterance and return its text, perhaps empty."""


def load(config: bytes) -> Model:
    """Make the model that a ``CONFIG`` frame's JSON names: ``library``, ``model``, ``language``."""
    options: dict[str, Any] = json.loads(config)
    match options["library"]:
        case "pocketsphinx":
            return Pocketsphinx()
        case "moonshine":
            return Whole(moonshine(options["model"], options["language"]))
        case "faster-whisper":
            return Whole(
                faster_whisper(options["model"], options["language"], options["key_terms"])
            )
        case other:
            raise ValueError(f"no local model {other!r}")


class Pocketsphinx:
    """The en-us model of pocketsphinx's wheel.

    The acoustic front end subtracts the mean of the cepstrum. Left alone it starts from a constant
    and carries the mean from one utterance to the next: the first words suffer, and after one
    speaker a much quieter one is not understood at all. So the front end is made anew for each
    utterance, and the first 1.5 s are heard twice: once for their mean only (cheap), then from the
    start with it. The figures are in ``docs/engines.md``.
    """

    def __init__(self) -> None:
        library = import_module("pocketsphinx")
        self._decoder: Any = library.Decoder(samprate=RATE, loglevel="FATAL")
        self._head = bytearray()
        self._running = False
        self._since_interim = 0
        self._shown = ""

    def hear(self, pcm: bytes) -> Said | None:
        """See :class:`Model`."""
        self._since_interim += len(pcm)
        if self._running:
            self._decoder.process_raw(pcm)
        else:
            self._head += pcm
            if len(self._head) < PRIMING * _BYTES_PER_SECOND:
                return None
            self._begin()
        if self._since_interim < INTERIM_EVERY * _BYTES_PER_SECOND:
            return None
        self._since_interim = 0
        text = self._text()
        if text == self._shown:
            return None
        self._shown = text
        return Said(text=text, start=0.0, end=0.0)

    def settle(self) -> Said:
        """See :class:`Model`."""
        if not self._running:
            if not self._head:
                return _NOTHING
            self._begin()
        self._decoder.end_utt()
        self._running = False
        self._since_interim = 0
        self._shown = ""
        text = self._text()
        words = [s for s in self._decoder.seg() if s.word[0] not in "<["] if text else []
        if not words:
            return _NOTHING
        return Said(
            text=text,
            start=words[0].start_frame / _FRAMES_PER_SECOND,
            end=(words[-1].end_frame + 1) / _FRAMES_PER_SECOND,
        )

    def _begin(self) -> None:
        head = bytes(self._head)
        self._head.clear()
        self._decoder.reinit_feat()  # one that has heard a stream takes no mean of a whole
        self._decoder.start_utt()
        self._decoder.process_raw(head, no_search=True, full_utt=True)
        self._decoder.end_utt()
        self._decoder.start_utt()
        self._decoder.process_raw(head)
        self._running = True

    def _text(self) -> str:
        hypothesis = self._decoder.hyp()
        return str(hypothesis.hypstr) if hypothesis is not None else ""


class Whole:
    """A model that takes an utterance as a whole: collects it, and guesses nothing before its end.

    Args:
        transcribe: Takes float32 samples in -1..1 at 16,000 Hz, returns their text.
    """

    def __init__(self, transcribe: Callable[[npt.NDArray[np.float32]], str]) -> None:
        self._transcribe = transcribe
        self._pcm = bytearray()

    def hear(self, pcm: bytes) -> None:
        """See :class:`Model`."""
        self._pcm += pcm

    def settle(self) -> Said:
        """See :class:`Model`."""
        samples = np.frombuffer(bytes(self._pcm), dtype=np.int16).astype(np.float32)
        samples /= 32_768
        self._pcm.clear()
        text = self._transcribe(samples).strip() if len(samples) else ""
        return Said(text=text, start=0.0, end=0.0)


def moonshine(model: str, language: str) -> Callable[[npt.NDArray[np.float32]], str]:
    """Load a moonshine model by its library's name; it is downloaded on first use."""
    library = import_module("moonshine_voice")
    path, arch = library.get_model_for_language(language, library.string_to_model_arch(model))
    transcriber: Any = library.Transcriber(path, arch)

    def transcribe(samples: npt.NDArray[np.float32]) -> str:
        heard = transcriber.transcribe_without_streaming(samples.tolist(), RATE)
        return " ".join(line.text for line in heard.lines)

    return transcribe


def faster_whisper(
    model: str, language: str, key_terms: list[str]
) -> Callable[[npt.NDArray[np.float32]], str]:
    """Load a Whisper model by size or name; it is downloaded on first use."""
    library = import_module("faster_whisper")
    whisper: Any = library.WhisperModel(model, device="auto", compute_type="default")
    spoken = None if language == "multi" else language

    def transcribe(samples: npt.NDArray[np.float32]) -> str:
        segments, _ = whisper.transcribe(
            samples, language=spoken, hotwords=", ".join(key_terms) or None
        )
        return " ".join(segment.text.strip() for segment in segments)

    return transcribe
