"""What a meeting's lines say, as far as it is held in memory: pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipelines.transcript.history import Cursor
from pipelines.transcript.line import Line, distinct
from pipelines.transcript.resume import heard_until

CAPACITY: Final = 10_000
"""Finals and holes held, about 1 KB each: a long day of talk. Older ones are read again."""


INDEX_GAP: Final = 100
"""Indices left free for an earlier epoch that may still settle what was said before this one."""

FASTEST_FINALS: Final = 10
"""Finals in a second, more than any meeting has."""


class Remembered:
    """The finals and holes, the people and the agents' state of a meeting.

    ``people`` maps identities to last known names; ``index`` is the highest that a final has;
    ``is_first`` says that no earlier epoch is known;
    ``heard_until`` is up to when earlier epochs have heard, see :func:`~.resume.heard_until`.

    Args:
        earlier: What is known of earlier epochs, each line once, in order.
    """

    def __init__(self, earlier: Sequence[Line] = ()) -> None:
        self.people: dict[str, str] = {}
        self.index = 0
        self.heard_until = heard_until(earlier)
        self._said: deque[Line] = deque(maxlen=CAPACITY)
        self._forgotten = False
        self._kept: set[tuple[str, int]] = set()
        self._state: dict[str, Any] = {}
        self._opened: dict[int, Mapping[str, Any]] = {}
        self.is_first = not earlier
        for line in earlier:
            self.add(line)
        if earlier and earlier[-1].kind != "ended":
            self.index += INDEX_GAP

    def leave_free(self, *, seconds: float) -> None:
        """Count on above whatever epochs that are not known yet have given in ``seconds``."""
        self.index = max(self.index, round(seconds * FASTEST_FINALS))

    @property
    def opened(self) -> list[Mapping[str, Any]]:
        """The data of the ``opened`` lines, oldest first, late ones in their place."""
        return [self._opened[epoch] for epoch in sorted(self._opened)]

    @property
    def said(self) -> list[Line]:
        """The finals and holes that are held, in order of (epoch, sequence)."""
        return list(self._said)

    def reaches(self, after: Cursor) -> bool:
        """Tell whether every final and hole that follows ``after`` is held."""
        return not self._forgotten or bool(self._said and self._said[0].key <= after)

    def has(self, segment: str, revision: int) -> bool:
        """Tell whether this revision of a segment is kept."""
        return (segment, revision) in self._kept

    def state(self, key: str) -> Any:
        """Return the last value of ``key``, or None."""
        return self._state.get(key)

    def add(self, line: Line) -> None:
        """Remember the line that follows."""
        match line.kind:
            case "final" | "hole":
                self._forgotten = self._forgotten or len(self._said) == CAPACITY
                self._said.append(line)
                if line.kind == "final":
                    self._kept.add((line.data["segment"], line.data["revision"]))
                    self.index = max(self.index, line.data.get("index", 0))
            case "state":
                self._state[line.data["key"]] = line.data["value"]
            case "opened":
                self._opened[line.epoch] = line.data
            case "person":
                self.people[line.data["identity"]] = line.data["name"]

    def add_late(self, earlier: Sequence[Line]) -> None:
        """Remember lines of earlier epochs that came to light late: what is known is newer."""
        known, state, people = self.said, dict(self._state), dict(self.people)
        if self.is_first:
            self.is_first = not earlier
            self.heard_until = heard_until(earlier)
        self._said.clear()
        for line in distinct([*earlier, *known]):
            self.add(line)
        self._state |= state
        self.people |= people
