"""What a span has said and no engine has settled: a ring buffer, pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from pipelines.speech.heard import RATE, Samples

LONGEST: Final = 120 * RATE
"""Most samples of a span that are kept to be said again, 3.8 MB; older ones are lost."""
SPEECH: Final = 0.5
"""Probability from which a chunk is speech."""
LEAST_LOSS: Final = RATE // 4
"""Samples of speech after a settled word that may still belong to it."""


class KeptSpeech:
    """The audio of a span from the last settled word on; times in seconds of the span.

    ``begin`` and ``end`` are the samples that are kept, counted from the span's first.
    """

    def __init__(self) -> None:
        self.begin = 0
        self.end = 0
        self.settled_until = 0.0
        self._chunks: deque[tuple[Samples, float]] = deque()
        self._any_settled = False
        self._fell_out_at: int | None = None

    def __iter__(self) -> Iterator[tuple[Samples, float]]:
        """Iterate over the chunks that are kept, each with its probability of speech."""
        return iter(self._chunks)

    def __len__(self) -> int:
        return self.end - self.begin

    def push(self, samples: Samples, speech: float) -> None:
        """Keep a chunk; what is too old falls out."""
        self._chunks.append((samples, speech))
        self.end += len(samples)
        if len(self) > LONGEST:
            self.fall_out(self.end - LONGEST)

    def settle(self, until: float) -> None:
        """Forget what ends before ``until`` seconds: its words are settled."""
        self._any_settled = True
        self.settled_until = max(self.settled_until, until)
        while self._chunks and self.begin + len(self._chunks[0][0]) <= self.settled_until * RATE:
            self._forget_oldest()

    def fall_out(self, until: int) -> None:
        """Lose what begins before the sample ``until``; :meth:`fallen_out` tells it later."""
        if self._chunks and self._fell_out_at is None:
            self._fell_out_at = self.begin
        while self._chunks and self.begin < until:
            self._forget_oldest()

    def fallen_out(self) -> tuple[float, float] | None:
        """Return, once, what fell out."""
        begin, self._fell_out_at = self._fell_out_at, None
        return None if begin is None else (begin / RATE, self.begin / RATE)

    def give_up(self, until: int) -> tuple[float, float] | None:
        """Forget what begins before the sample ``until``; return it if there was speech in it."""
        begin = max(self.begin / RATE, self.settled_until)
        spoken = self.holds_speech(until)
        while self._chunks and self.begin < until:
            self._forget_oldest()
        return (begin, self.begin / RATE) if spoken and begin < self.begin / RATE else None

    def holds_speech(self, until: int | None = None) -> bool:
        """Return True if there are words in what is kept up to ``until``, as far as we know."""
        at, speech = self.begin, 0
        for samples, probability in self._chunks:
            if until is not None and at >= until:
                break
            at += len(samples)
            speech += len(samples) if probability >= SPEECH else 0
        return speech > (LEAST_LOSS if self._any_settled else 0)

    @property
    def missing(self) -> tuple[float, float] | None:
        """What would be lost if it ended now, what fell out and is not told included."""
        if self._fell_out_at is not None:
            return self._fell_out_at / RATE, self.end / RATE
        if self.holds_speech():
            return max(self.begin / RATE, self.settled_until), self.end / RATE
        return None

    def _forget_oldest(self) -> None:
        samples, _ = self._chunks.popleft()
        self.begin += len(samples)
