"""What every store promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pipelines.transcript.line import Line


class Store(Protocol):
    """Keeps the lines of meetings: a grow-only set keyed (epoch, sequence).

    A call may be cancelled at any moment (that is how time-outs are made), and the same or other
    calls may follow at once.
    """

    @property
    def name(self) -> str:
        """Short, fit for a file name; checkpoints and metrics carry it."""

    @property
    def reads_back(self) -> bool:
        """Whether :meth:`read` can be had; a store without it is trusted for what it took."""

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

    async def sealed(self, meeting: str, lines: int) -> None:
        """Take note that ``lines`` lines of the meeting are sealed and in every store.

        Raises:
            StoreError: It could not; nothing is lost.
        """

    async def aclose(self) -> None:
        """Let go of connections."""


class CheckpointStore(Protocol):
    """Knows how far stores are that can't be read back, for hosts that vanish with their files."""

    async def note_checkpoint(self, meeting: str, store: str, epoch: int, sequence: int) -> None:
        """Note that ``store`` has the lines of ``epoch`` up to ``sequence``; never goes back.

        Raises:
            StoreError: It could not be noted.
        """

    async def checkpoints(self, meeting: str, store: str) -> dict[int, int]:
        """Return epoch -> the last sequence that was noted for ``store``.

        Raises:
            StoreError: It can't be asked.
        """
