"""What a meeting's lines say, as far as it is held in memory: pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipelines.transcript.correction import latest_corrections
from pipelines.transcript.history import Cursor
from pipelines.transcript.line import Line, distinct
from pipelines.transcript.resume import heard_until

CAPACITY: Final = 10_000
"""Finals, corrections and holes held, about 1 KB each: a long day of talk. Older ones are read
again."""


INDEX_GAP: Final = 100
"""Indices left free for an earlier epoch that may still settle what was said before this one."""

FASTEST_FINALS: Final = 10
"""Finals in a second, more than any meeting has."""


class Remembered:
    """What was said and corrected, the people, the agents' state and actions of a meeting.

    ``people`` maps identities to last known names; ``index`` is the highest that a final or a
    correction has; ``corrections`` maps segments to the corrections that count;
    ``is_first`` says that no earlier epoch is known;
    ``heard_until`` is up to when earlier epochs have heard, see :func:`~.resume.heard_until`.

    Args:
        earlier: What is known of earlier epochs, each line once, in order.
    """

    def __init__(self, earlier: Sequence[Line] = ()) -> None:
        self.people: dict[str, str] = {}
        self.index = 0
        self.corrections: dict[str, Line] = {}
        self.heard_until = heard_until(earlier)
        self._said: deque[Line] = deque(maxlen=CAPACITY)
        self._forgotten = False
        self._kept: set[tuple[str, int]] = set()
        self._state: dict[str, Any] = {}
        # Of each of the people and of the state: the line that told it last.
        self._told_by: dict[tuple[str, str], tuple[int, int]] = {}
        self._opened: dict[int, Mapping[str, Any]] = {}
        self._actions: list[Line] = []
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
    def actions(self) -> list[Line]:
        """Every ``action`` line, in order of (epoch, sequence)."""
        return list(self._actions)

    @property
    def said(self) -> list[Line]:
        """The finals, corrections and holes that are held, in order of (epoch, sequence)."""
        return list(self._said)

    def reaches(self, after: Cursor) -> bool:
        """Tell whether every final, correction and hole that follows ``after`` is held."""
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
            case "final" | "hole" | "correction":
                self._forgotten = self._forgotten or len(self._said) == CAPACITY
                self._said.append(line)
                self.index = max(self.index, line.data.get("index", 0))
                if line.kind == "final":
                    self._kept.add((line.data["segment"], line.data["revision"]))
                elif line.kind == "correction":
                    known = self.corrections.get(line.data["segment"], line)
                    self.corrections |= latest_corrections([known, line])
            case "state":
                if self._is_latest(line, line.data["key"]):
                    self._state[line.data["key"]] = line.data["value"]
            case "action":
                self._actions.append(line)
            case "opened":
                self._opened[line.epoch] = line.data
            case "person":
                if self._is_latest(line, line.data["identity"]):
                    self.people[line.data["identity"]] = line.data["name"]

    def add_late(self, earlier: Sequence[Line]) -> None:
        """Remember lines of earlier epochs that came to light late, in whatever order."""
        known = [*self.said, *self._actions]
        if self.is_first:
            self.is_first = not earlier
            self.heard_until = heard_until(earlier)
        self._said.clear()
        self._actions.clear()
        for line in distinct([*earlier, *known]):
            self.add(line)

    def _is_latest(self, line: Line, key: str) -> bool:
        """Tell whether no later line of its kind told of ``key``, and note that this one did."""
        latest = max(line.key, self._told_by.get((line.kind, key), line.key))
        self._told_by[line.kind, key] = latest
        return latest == line.key
