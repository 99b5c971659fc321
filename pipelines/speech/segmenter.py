"""From "how likely is speech in this window" to "speech started, speech ended": a state table.

Synchronous and without a clock: seconds come in with each window.

=========  ==================  =====================  =======================================
state      window is speech    window is in between   window is silence
=========  ==================  =====================  =======================================
SILENT     STARTING            SILENT                 SILENT
STARTING   STARTING; after     STARTING               SILENT
           ``min_speech``:
           SPEAKING, started
SPEAKING   SPEAKING            SPEAKING               ENDING
ENDING     SPEAKING            ENDING; as silence     ENDING; after ``min_silence``:
                                                      SILENT, ended
=========  ==================  =====================  =======================================

A span begins with the first window that is not surely silence, where speech follows it without a
pause: a soft first consonant, or a quiet voice, is less than speech to the detector.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto


class State(Enum):
    """Where a speaker is."""

    SILENT = auto()
    STARTING = auto()
    SPEAKING = auto()
    ENDING = auto()


@dataclass(frozen=True, slots=True)
class Started:
    """Speech began at ``at`` seconds of media time."""

    at: float


@dataclass(frozen=True, slots=True)
class Ended:
    """Speech ended at ``at`` seconds of media time."""

    at: float


@dataclass(slots=True)
class Segmenter:
    """Finds spans of speech in a sequence of windows.

    Args:
        speech_above: Probability from which a window is speech.
        silence_below: Probability below which a window is silence; in between, nothing changes.
        min_speech: Seconds of speech before a span starts; a cough is shorter.
        min_silence: Seconds of silence before a span ends; a breath is shorter.
        faint_above: Probability from which a window may be the soft beginning of a span.
        max_faint: Seconds that a soft beginning lasts at most; in a noisy room every window is one.
    """

    speech_above: float = 0.5
    silence_below: float = 0.35
    min_speech: float = 0.09
    min_silence: float = 0.5
    faint_above: float = 0.15
    max_faint: float = 0.4
    state: State = State.SILENT
    _since: float = field(default=0.0)
    _faint_since: float | None = field(default=None)

    def process(self, probability: float, start: float, end: float) -> Started | Ended | None:
        """Take the window from ``start`` to ``end`` seconds of media time.

        Returns:
            What it settled; ``at`` lies in an earlier window, where the change began.
        """
        speech = probability >= self.speech_above
        silence = probability < self.silence_below
        if probability < self.faint_above:
            self._faint_since = None
        elif self._faint_since is None:
            self._faint_since = start
        match self.state:
            case State.SILENT if speech:
                self._enter(State.STARTING, start)
            case State.STARTING if silence:
                self.state = State.SILENT
            case State.SPEAKING if silence:
                self._enter(State.ENDING, start)
            case State.ENDING if speech:
                self.state = State.SPEAKING
        if self.state is State.STARTING and end - self._since >= self.min_speech:
            self.state = State.SPEAKING
            return Started(self._began())
        if self.state is State.ENDING and end - self._since >= self.min_silence:
            self.state = State.SILENT
            return Ended(self._since)
        return None

    def finish(self, at: float) -> Ended | None:
        """End the span that is open, since no more audio comes after ``at`` seconds."""
        before, self.state = self.state, State.SILENT
        match before:
            case State.SPEAKING:
                return Ended(at)
            case State.ENDING:
                return Ended(self._since)
        return None

    def _began(self) -> float:
        if self._faint_since is None:
            return self._since
        return max(self._faint_since, self._since - self.max_faint)

    def _enter(self, state: State, at: float) -> None:
        self.state = state
        self._since = at
