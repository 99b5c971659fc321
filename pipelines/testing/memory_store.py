"""A store in memory that fails as it is told, for tests of what stands before a store."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.errors import StoreError, StoreRefusedError
from pipelines.transcript.line import Line, distinct


class MemoryStore:
    """Keeps lines as a store does, and what it was asked.

    ``given`` holds every line of every call that was taken, doubles included; ``asked`` counts
    calls of ``append``; ``sealed_meetings`` names the meetings it was told are sealed.

    Args:
        name: The store's name.
        failures: Calls of ``append`` that fail before one is taken.
        refuse: Whether every call of ``append`` is refused.
        away: Whether every call fails; may be changed at any time.
        reads_back: Whether it can be read.
    """

    def __init__(
        self,
        name: str = "memory",
        *,
        failures: int = 0,
        refuse: bool = False,
        away: bool = False,
        reads_back: bool = True,
    ) -> None:
        self.name = name
        self.reads_back = reads_back
        self.away = away
        self.asked = 0
        self.given: list[Line] = []
        self.sealed_meetings: list[str] = []
        self._failures = failures
        self._refuse = refuse

    async def append(self, _meeting: str, lines: Sequence[Line]) -> None:
        """Keep lines, or fail as told."""
        self.asked += 1
        self._is_there()
        if self._refuse:
            raise StoreRefusedError
        if self.asked <= self._failures:
            raise StoreError("not now")
        self.given += lines

    async def read(self, meeting: str) -> list[Line]:
        """Return the meeting's lines once each."""
        self._is_there()
        if not self.reads_back:
            raise StoreError(f"store {self.name} can't be read back")
        return distinct(line for line in self.given if line.meeting == meeting)

    async def sealed(self, meeting: str, _lines: int) -> None:
        """Note the meeting."""
        self._is_there()
        self.sealed_meetings.append(meeting)

    async def aclose(self) -> None:
        """Nothing is held open."""

    def _is_there(self) -> None:
        if self.away:
            raise StoreError(f"store {self.name} is away")
