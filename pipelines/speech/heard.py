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
    """

    text: str
    final: bool
    start: float
    end: float
    language: str = ""
    part: int = 0


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

    def __aiter__(self) -> AsyncIterator[Heard]:
        """Iterate, once, until everything pushed is settled.

        Raises:
            EngineFailedError: The engine did not answer; what it had settled was yielded before.
        """

    async def aclose(self) -> None:
        """Give up what is not settled."""
