"""What was found in a meeting, window by window, and the summary that it makes.

Pure. Findings are one flat list in the order of time: a section's title, its statements, then the
window's decisions, actions and questions. A model that reads notes gets them by their number in it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import Final

from pipelines.post_meeting.answers import Notes, Said, Topic
from pipelines.post_meeting.citations import Citations
from pipelines.post_meeting.extractive import PER_SECTION, Extract, end_of
from pipelines.post_meeting.summary import Action, Dropped, DropReason, Section, Statement
from pipelines.post_meeting.windows import Window, tokens
from pipelines.transcript.document import Segment
from pipelines.transcript.escapes import one_line

_LONGEST_TITLE: Final = 120  # characters


class Kind(StrEnum):
    """What a finding is; a model reads these words."""

    SECTION = "section"
    STATEMENT = "statement"
    DECISION = "decision"
    ACTION = "action"
    QUESTION = "question"
    OVERVIEW = "overview"


_TAKEN_BACK: Final = (Kind.DECISION, Kind.ACTION, Kind.QUESTION)
_AFTER_OVERVIEWS: Final = {one: rank for rank, one in enumerate((Kind.OVERVIEW, *_TAKEN_BACK))}
_HIGHEST: Final = 99_999  # a note's number, for its length


@dataclass(frozen=True, slots=True)
class Finding:
    """One note of a meeting.

    Args:
        kind: What it is.
        text: What it says; a section's title.
        lines: Numbers of the lines that say it; of a section, where it begins.
        said: The statement; a section has none.
        extractive: The section was not written by a model.
    """

    kind: Kind
    text: str
    lines: tuple[int, ...]
    said: Statement | None = None
    extractive: bool = False

    def note(self, number: int) -> str:
        """Return it as a model reads it: ``number|kind|lines|text``, one line."""
        return f"{number}|{self.kind}|{' '.join(map(str, self.lines))}|{self.text}"


@dataclass
class Found:
    """Findings of one meeting, checked as they come.

    Args:
        segments: All of the meeting; a line's number is its place, counted from 1.
        names: Of everyone who was there.
        language: The summary's, BCP 47.
    """

    segments: Sequence[Segment]
    names: Iterable[str]
    language: str
    dropped: list[Dropped] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._citations = Citations(self.segments, self.names, self.language)
        self._extract = Extract(self.segments)
        self._numbers = {one.id: number for number, one in enumerate(self.segments, start=1)}

    def noted(self, notes: Notes, window: Window) -> list[Finding]:
        """Return what holds of the notes that a model took of a window."""
        findings: list[Finding] = []
        for topic, numbers in _sections(notes.sections, window):
            title = one_line(topic.title)[:_LONGEST_TITLE]
            if not self._citations.title(title, numbers):
                title = self._extract.title(numbers)
            findings.append(Finding(Kind.SECTION, title, (numbers.start,)))
            findings += self._kept(Kind.STATEMENT, topic.statements, numbers)
        findings += self._kept(Kind.DECISION, notes.decisions, window.numbers)
        for task in notes.actions:
            action = self._citations.action(task, window.numbers)
            findings += self._finding(Kind.ACTION, action)
        findings += self._kept(Kind.QUESTION, notes.questions, window.numbers)
        return findings

    def extracted(self, window: Window) -> list[Finding]:
        """Return lines of a window that no model has taken notes of."""
        title = self._extract.title(window.numbers)
        findings = [Finding(Kind.SECTION, title, (window.first,), extractive=True)]
        for statement in self._extract.lines(window.numbers, PER_SECTION):
            findings += self._finding(Kind.STATEMENT, statement)
        return findings

    def overview(self, said: Sequence[Said], shown: Iterable[Finding], most: int) -> list[Finding]:
        """Return what holds of an overview.

        Args:
            said: What the model said.
            shown: The notes it was shown, whose lines it may cite.
            most: How many statements are kept.
        """
        within = {number for finding in shown for number in finding.lines}
        return self._kept(Kind.OVERVIEW, said[:most], within)

    def without(self, findings: Sequence[Finding], gone: Container[int]) -> list[Finding]:
        """Return findings without those that a model says to leave out, and note them as dropped.

        Only what it was asked about goes: decisions, actions and questions, and titles of sections
        that go on with the topic of the one before.

        Args:
            findings: All of them.
            gone: The places of those to leave out.
        """
        kept: list[Finding] = []
        titled = False
        for at, one in enumerate(findings):
            title = one.kind is Kind.SECTION
            if at in gone and (
                one.kind in _TAKEN_BACK or (title and titled and not one.extractive)
            ):
                if not title:
                    self.dropped.append(Dropped(text=one.text, reason=DropReason.SUPERSEDED))
            else:
                kept.append(one)
            titled = titled or title
        return kept

    def sections(self, findings: Sequence[Finding]) -> tuple[Section, ...]:
        """Return the sections of all findings: each goes on until the next one begins."""
        opened = [at for at, finding in enumerate(findings) if finding.kind is Kind.SECTION]
        begun: list[tuple[Finding, list[Finding]]] = []
        for at, until in pairwise([*opened, len(findings)]):
            said = [one for one in findings[at:until] if one.kind is Kind.STATEMENT]
            last = begun[-1] if begun else None
            if last and (not said or findings[at].lines <= last[0].lines):
                last[1].extend(said)  # a heading over nothing, or over no line
            else:
                begun.append((findings[at], said))
        firsts = [1, *(title.lines[0] for title, _ in begun[1:]), len(self.segments) + 1]
        return tuple(
            Section(
                title=title.text,
                start_ms=self.segments[first - 1].start_ms,
                end_ms=end_of(self.segments, range(first, after)),
                statements=tuple(
                    one.said for one in sorted(said, key=lambda it: it.lines) if one.said
                ),
                extractive=title.extractive,
            )
            for (title, said), (first, after) in zip(begun, pairwise(firsts), strict=True)
        )

    def _kept(self, kind: Kind, said: Iterable[Said], within: Container[int]) -> list[Finding]:
        checked = (self._citations.statement(one, within) for one in said)
        return [finding for one in checked for finding in self._finding(kind, one)]

    def _finding(self, kind: Kind, checked: Statement | Dropped) -> list[Finding]:
        if isinstance(checked, Dropped):
            self.dropped.append(checked)
            return []
        lines = tuple(self._numbers[segment] for segment in checked.cites)
        return [Finding(kind, checked.text, lines, checked)]


def said_of(findings: Iterable[Finding], kind: Kind) -> tuple[Statement, ...]:
    """Return the statements of one kind."""
    return tuple(one.said for one in findings if one.kind is kind and one.said)


def actions_of(findings: Iterable[Finding]) -> tuple[Action, ...]:
    """Return the actions."""
    return tuple(one for one in said_of(findings, Kind.ACTION) if isinstance(one, Action))


def cost(finding: Finding) -> int:
    """Return how many tokens a finding takes as a note, by estimate."""
    return tokens(finding.note(_HIGHEST)) + 1


def readable(findings: Sequence[Finding], room: int) -> list[int]:
    """Return the places of the findings that a model reads at once, in their order.

    Where a part has its overview, that stands for its sections. What does not fit is left as it is:
    first come overviews, then decisions, actions and questions.
    """
    told = any(one.kind is Kind.OVERVIEW for one in findings)
    ranks = _AFTER_OVERVIEWS if told else dict.fromkeys(Kind, 0)
    places = [at for at, one in enumerate(findings) if one.kind in ranks]
    chosen: list[int] = []
    for at in sorted(places, key=lambda place: ranks[findings[place].kind]):
        room -= cost(findings[at])
        if room < 0:
            break
        chosen.append(at)
    return sorted(chosen)


def evenly(findings: Sequence[Finding], most: int) -> list[Finding]:
    """Return an overview that no model wrote: overviews of parts, or first statements of sections.

    Args:
        findings: All of them.
        most: How many are wanted; they are evenly spread.
    """
    firsts = [one for one in findings if one.kind is Kind.OVERVIEW] or [
        after
        for one, after in pairwise(findings)
        if one.kind is Kind.SECTION and after.kind is Kind.STATEMENT
    ]
    step = max(1.0, len(firsts) / most)
    chosen = [firsts[int(at * step)] for at in range(min(most, len(firsts)))]
    return [replace(one, kind=Kind.OVERVIEW) for one in chosen]


def _sections(topics: Sequence[Topic], window: Window) -> list[tuple[Topic, range]]:
    """Return the topics of a window and their lines; none is left out, none is in two."""
    untitled = Topic(title="", first_line=window.first, statements=())
    inside = [one for one in topics if window.first <= one.first_line <= window.last] or [
        *(topics[:1] or [untitled])
    ]
    ordered = sorted(inside, key=lambda one: one.first_line)
    firsts = [window.first, *(one.first_line for one in ordered[1:]), window.last + 1]
    return [
        (topic, range(first, after))
        for topic, (first, after) in zip(ordered, pairwise(firsts), strict=True)
        if first < after
    ]
