"""What every store promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pipelines.transcript.line import Line


class Store(Protocol):
    """Keeps the lines of meetings: a grow-only set keyed (epoch, sequence)."""

    @property
    def name(self) -> str:
        """Short, fit for a file name; checkpoints and metrics carry it."""

    async def append(self, meeting: str, lines: Sequence[Line]) -> None:
        """Keep lines of one epoch, in order of sequence. The same line twice is kept once.

        Raises:
            StoreError: They are not all kept; ask again.
            StoreRefusedError: They are not kept, and asking again at once can't help.
        """

    async def read(self, meeting: str) -> list[Line]:
        """Return every line of the meeting once, in order of (epoch, sequence).

        Raises:
            StoreError: They can't be read.
        """

    async def aclose(self) -> None:
        """Let go of connections."""
