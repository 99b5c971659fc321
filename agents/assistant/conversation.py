"""What the model is told of the meeting: who says what, as data, and no more than it can read."""

from __future__ import annotations

from collections import OrderedDict
from itertools import count
from typing import Final

from agents.assistant.addressing import on_one_line
from pipelines.events import iso

MOST_LINES: Final = 60
MOST_CHARACTERS: Final = 6_000
"""Of what went on in the meeting since the model was last asked."""

LONGEST_MESSAGE: Final = 4_000
"""Characters of one message that the model is given."""

LONGEST_WHO: Final = 80

MOST_TOLD: Final = 200
"""Captions that the model was told of, and that may still turn out to be different."""


def who_is(name: str, identity: str) -> str:
    """Return somebody's name and identity: ``Name (identity)``, on one line."""
    return f"{_who(name) or _who(identity)} ({_who(identity)})"


def spoken(name: str, identity: str, text: str) -> str:
    """Return a message as the model reads it: ``Name (identity): text``.

    Nobody can write a second line of that form: names are put on one line, and the lines of a text
    after its first are indented.
    """
    first, *more = text.strip()[:LONGEST_MESSAGE].splitlines() or [""]
    lines = [f"{who_is(name, identity)}: {first}", *(f"    {line}" for line in more)]
    return "\n".join(lines)


class Background:
    """What was said and written since the model was last asked, the newest first to be kept."""

    def __init__(self) -> None:
        self._numbers = count()
        self._lines: OrderedDict[str | int, str] = OrderedDict()
        self._reads: dict[str, str] = {}
        self._told: OrderedDict[str, str] = OrderedDict()

    def add(self, line: str) -> None:
        """Take a line of :func:`spoken`."""
        self._put(next(self._numbers), line)

    def caption(self, segment: str, name: str, identity: str, text: str) -> None:
        """Take how a segment reads now: revised, corrected by a person, or withdrawn (empty).

        Of one that the model was told already it is told that it reads otherwise.
        """
        before = self._told.get(segment, "")
        if text == before:
            self._lines.pop(segment, None)
            return
        now = f"[instead of: {on_one_line(before)}] {text or '(nothing)'}" if before else text
        self._reads[segment] = text
        self._put(segment, spoken(name, identity, now))

    def take(self) -> str:
        """Return what there is, oldest first, and forget it."""
        kept: list[str] = []
        room = MOST_CHARACTERS
        for key, line in reversed(self._lines.items()):
            if (room := room - len(line)) < 0:
                break
            kept.append(line)
            if isinstance(key, str):
                self._told[key] = self._reads[key]
        while len(self._told) > MOST_TOLD:
            self._told.popitem(last=False)
        self._lines.clear()
        self._reads.clear()
        return "\n".join(reversed(kept))

    def _put(self, key: str | int, line: str) -> None:
        self._lines[key] = line
        if len(self._lines) > MOST_LINES:
            gone, _ = self._lines.popitem(last=False)
            if isinstance(gone, str):
                del self._reads[gone]


def question(background: str, at: float, asked: str) -> str:
    """Return what the model is asked, with the time and what went on before it.

    Args:
        background: Of :meth:`Background.take`.
        at: When it is asked, Unix seconds.
        asked: A line of :func:`spoken`.
    """
    before = [f"| {line}" for line in background.splitlines()]
    return "\n".join([f"It is {iso(at)}.", *before, asked])


def _who(text: str) -> str:
    # Brackets would let a name claim another identity: "Ann (boss): yes (x)".
    return on_one_line(text.translate(_NO_BRACKETS))[:LONGEST_WHO]


_NO_BRACKETS: Final = str.maketrans("()", "[]")
