"""What an engine says of a span of speech, and the shape of a span on its way through one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

RATE: Final = 16_000
"""Samples per second of everything that is recognised."""

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Heard:
    """What an engine says of one span of speech.

    Args:
        text: What was heard so far in this part. An empty final withdraws the part's interims.
        final: Settled; no later one has this part.
        start: Seconds from the first sample pushed.
        end: Seconds from the first sample pushed, not before ``start``.
        language: BCP 47 tag, or empty where the engine does not tell.
        part: Which final of the span it belongs to: 0, 1, 2...; an interim carries the part that
            it will become.
        engine: The engine that heard it, or empty where it is not filled in yet.
    """

    text: str
    final: bool
    start: float
    end: float
    language: str = ""
    part: int = 0
    engine: str = ""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """An engine has trouble; the speech is kept, and its words will come late.

    Args:
        reason: In words that people understand.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Speech that no engine has heard and none will: a hole in the transcript.

    Args:
        start: Seconds from the first sample pushed.
        end: Seconds from the first sample pushed.
        reason: In words that people understand.
    """

    start: float
    end: float
    reason: str


Item = Heard | Interrupted | Lost
"""What comes of a span of speech."""


class Source(Protocol):
    """Speech on its way through one engine, once; times count from its own first sample."""

    @property
    def stuck_until(self) -> float | None:
        """End of the piece that failed, seconds; None where what failed is the whole."""

    @property
    def certain(self) -> bool:
        """Whether an end without an error means that everything was heard."""

    def push(self, samples: Samples, *, speech: float = 1.0) -> None:
        """Give audio; see :class:`Recognition`."""

    def end(self) -> None:
        """Say that no more audio comes."""

    def __aiter__(self) -> AsyncIterator[Heard]:
        """Iterate, once, until everything is settled; raises whatever the engine's plugin does.

        A result whose ``end`` is 0.0 has no times.
        """

    async def aclose(self) -> None:
        """Give up what is not settled."""


class Recognition(Protocol):
    """One span of one speaker on its way through an engine."""

    def push(self, samples: Samples, *, speech: float = 1.0) -> None:
        """Give audio; never blocks.

        Args:
            samples: int16 mono at 16,000 Hz, shape ``(n,)``, at most 100 ms.
            speech: Probability that somebody speaks in the chunk, 0 to 1.
        """

    def end(self) -> None:
        """Say that no more audio comes; results still do."""

    def hurry(self, seconds: float) -> None:
        """Settle within ``seconds`` or give up what is not settled: the meeting ends."""

    @property
    def unsettled(self) -> tuple[float, float] | None:
        """Begin and end of what is neither settled nor told as lost, seconds from the first sample.

        None once the iteration has come to its end.
        """

    def __aiter__(self) -> AsyncIterator[Item]:
        """Iterate, once, until everything pushed is settled or told as lost."""

    async def aclose(self) -> None:
        """Give up what is not settled."""
