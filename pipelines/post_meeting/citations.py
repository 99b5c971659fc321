"""The check that a statement says no more than the lines it cites.

Pure. A model is not believed: a statement stays only with citations that exist, lie where the model
was reading, and hold the statement's numbers, dates and names.

What can't be compared is let pass: number words of a language that text2num does not read, names of
people who were not there where the summary is in another language than the lines, or in one that
writes every noun with a capital.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pipelines.post_meeting import facts
from pipelines.post_meeting.answers import Said, Task
from pipelines.post_meeting.facts import NOUNS_HAVE_CAPITALS, NUMBER_LANGUAGES, fold
from pipelines.post_meeting.summary import Action, Dropped, DropReason, Statement
from pipelines.transcript.document import Segment
from pipelines.transcript.escapes import one_line

_ENDING: Final = 2
"""Last letters in which two forms of a name may differ: "Adą" for "Ada", "Sara" for "Sarah"."""
_SHORTEST_STEM: Final = 3
_LONGEST_ABBREVIATION: Final = 5
_SHORTEST_IN_RUN: Final = 5
_QUARTERS: Final = frozenset({0.0, 15.0, 30.0, 45.0})
"""Minutes that are seldom said as numbers: "half past nine"."""


@dataclass(frozen=True)
class _Line:
    number: int
    segment: Segment
    language: str

    @cached_property
    def values(self) -> frozenset[float]:
        return facts.values(self.segment.text, self.language)

    @cached_property
    def days(self) -> frozenset[int]:
        return facts.days_heard(self.segment.text, self.language)

    @cached_property
    def said(self) -> tuple[str, ...]:
        return facts.words(self.segment.text)

    @cached_property
    def words(self) -> frozenset[str]:
        """Of what was said, and of the name of who said it."""
        return frozenset((*self.said, *facts.words(self.segment.name)))


class Citations:
    """Checks what a model says of one meeting.

    Args:
        segments: All of the meeting; a line's number is its place, counted from 1.
        names: Of everyone who was there.
        language: The summary's, BCP 47.
    """

    def __init__(self, segments: Sequence[Segment], names: Iterable[str], language: str) -> None:
        self._language = language
        self._lines = [
            _Line(number, one, one.language or language)
            for number, one in enumerate(segments, start=1)
        ]
        self._names = frozenset(word for name in names for word in facts.words(name))

    @cached_property
    def _ordinary(self) -> frozenset[str]:
        """Words that were written without a capital: no names where they open a sentence."""
        return facts.without_capital(line.segment.text for line in self._lines)

    def statement(self, said: Said, within: Container[int]) -> Statement | Dropped:
        """Return a statement with those of its citations that hold, or why there is none.

        Args:
            said: What the model said.
            within: Numbers of the lines that it may cite.
        """
        text = one_line(said.text)
        lines = self._cited(said, within)
        if reason := self._wrong(text, said, lines):
            return Dropped(text=text, reason=reason)
        return Statement(text=text, cites=tuple(line.segment.id for line in lines))

    def action(self, task: Task, within: Container[int]) -> Action | Dropped:
        """Do as :meth:`statement`; an owner or a date that was not said is left out."""
        kept = self.statement(task, within)
        if isinstance(kept, Dropped):
            return kept
        lines = self._cited(task, within)
        owner, due = one_line(task.owner or ""), one_line(task.due or "")
        return Action(
            text=kept.text,
            cites=kept.cites,
            owner=owner if self._is_named(owner, lines) else None,
            due=due if self._is_dated(due, lines) else None,
        )

    def title(self, text: str, within: Sequence[int]) -> bool:
        """Tell whether a section's title says nothing that its lines do not.

        A title may have capitals anywhere: of its names only those of people are compared.
        """
        lines = [self._lines[number - 1] for number in within]
        return (
            bool(text)
            and self._has_dates(text, lines)
            and self._has_numbers(text, lines)
            and all(
                self._is_said(key, lines)
                for key in facts.words(text)
                if key in self._names and key not in self._ordinary
            )
        )

    def _cited(self, said: Said, within: Container[int]) -> list[_Line]:
        numbers = sorted(set(said.lines) & set(range(1, len(self._lines) + 1)))
        return [self._lines[number - 1] for number in numbers if number in within]

    def _wrong(self, text: str, said: Said, lines: Sequence[_Line]) -> DropReason | None:
        if not text or not any(1 <= number <= len(self._lines) for number in said.lines):
            return DropReason.NO_CITATION
        if not lines:
            return DropReason.OUTSIDE_SECTION
        if not self._has_dates(text, lines):
            return DropReason.DATE_NOT_SAID
        if not self._has_numbers(text, lines):
            return DropReason.NUMBER_NOT_SAID
        if not self._has_names(text, lines):
            return DropReason.NAME_NOT_SAID
        return None

    def _has_dates(self, text: str, lines: Sequence[_Line]) -> bool:
        named = facts.days(text, self._language)
        if not named:
            return True
        heard = frozenset[int]().union(*(line.days for line in lines))
        values = _values(lines)
        # A month is a negative number here, and may be said as one: "the 20th of the 11th".
        return all(day in heard or -day in values for day in named)

    def _has_numbers(self, text: str, lines: Sequence[_Line]) -> bool:
        hours = facts.times(text)
        for written in hours:
            text = text.replace(written, " ")
        wanted = facts.numbers(text, self._language, small=False)
        if not hours and not wanted:
            return True
        values = _values(lines)
        unread = any(facts.primary(line.language) not in NUMBER_LANGUAGES for line in lines)
        if not values and unread:
            return True  # said in words that nobody here can read
        return all(readings & values for readings in wanted) and all(
            hour & values and minute in values | _QUARTERS for hour, minute in hours.values()
        )

    def _has_names(self, text: str, lines: Sequence[_Line]) -> bool:
        spoken = {facts.primary(line.language) for line in lines}
        own = facts.primary(self._language)
        strangers = spoken == {own} and own not in NOUNS_HAVE_CAPITALS
        for word, opens in facts.capitalised(text):
            key = fold(word)
            known = key in self._names
            if facts.days(word, self._language) or (opens and (not known or key in self._ordinary)):
                continue
            if (known or strangers) and not self._is_said(key, lines):
                return False
        return True

    def _is_said(self, key: str, lines: Sequence[_Line]) -> bool:
        """Tell whether a name is in the lines, or in the name of who says one of them."""
        words = frozenset[str]().union(*(line.words for line in lines))
        if key in words:
            return True
        for line in lines:  # "live kit" is LiveKit, "as soon as possible" is ASAP
            if len(key) >= _SHORTEST_IN_RUN and key in "".join(line.said):
                return True
            if len(key) <= _LONGEST_ABBREVIATION and key in "".join(it[0] for it in line.said):
                return True
        stem = key[: max(_SHORTEST_STEM, len(key) - _ENDING)]
        return any(
            word.startswith(stem) and abs(len(word) - len(key)) <= _ENDING
            for word in words - self._names
        )

    def _is_named(self, owner: str, lines: Sequence[_Line]) -> bool:
        return any(self._is_said(word, lines) for word in facts.words(owner))

    def _is_dated(self, due: str, lines: Sequence[_Line]) -> bool:
        if not due or not self._has_dates(due, lines) or not self._has_numbers(due, lines):
            return False
        if any(facts.primary(line.language) != facts.primary(self._language) for line in lines):
            return True
        said = frozenset(word for line in lines for word in line.said)
        return not facts.words(due) or bool(said.intersection(facts.words(due)))


def _values(lines: Sequence[_Line]) -> frozenset[float]:
    return frozenset[float]().union(*(line.values for line in lines))
