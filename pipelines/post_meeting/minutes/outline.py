"""What stands in the minutes, and which statement links to which line: the same in every format.

Nothing here is escaped for a format; every text is one line without control characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from typing import Final, Literal

from pipelines.post_meeting.minutes.words import Words, words_of
from pipelines.post_meeting.summary import EXTRACTIVE, Action, Statement, Summary
from pipelines.transcript.document import Hole, Segment, SegmentSource, TranscriptDocument
from pipelines.transcript.escapes import clock, date, one_line, shown_name

_MODEL: Final = "llm:"


@dataclass(frozen=True, slots=True)
class Cite:
    """A link from a statement to a line of the transcript.

    Args:
        line: The line's number, from 1.
        at: When it was said, ``HH:MM:SS`` from the start of the meeting.
    """

    line: int
    at: str


@dataclass(frozen=True, slots=True)
class Item:
    """A statement.

    Args:
        text: What is stated.
        detail: Who does it and until when, or empty.
        cites: Its lines.
    """

    text: str
    detail: str
    cites: tuple[Cite, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Statements below a heading.

    Args:
        title: The heading.
        level: 2, or 3 for a topic below the notes.
        times: The stretch of the meeting that it is about, or empty.
        items: The statements; none below a heading that only holds topics.
    """

    title: str
    level: Literal[2, 3]
    times: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the transcript.

    Args:
        number: From 1; anchors are named for it, because a segment's id may hold anything.
        at: When it was said, ``HH:MM:SS`` from the start of the meeting.
        text: What was said.
        mark: Where the text is from, if that is to be said; or empty.
    """

    number: int
    at: str
    text: str
    mark: str


@dataclass(frozen=True, slots=True)
class Turn:
    """Consecutive lines of one voice."""

    name: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """A hole: speech that may be missing between the turns.

    Args:
        at: When it begins, ``HH:MM:SS`` from the start of the meeting.
        text: Whose speech, how long and why, in brackets.
    """

    at: str
    text: str


@dataclass(frozen=True, slots=True)
class Minutes:
    """The minutes of one meeting.

    Args:
        title: The room's name, or else the meeting's id.
        when: Date and time, UTC; empty where nobody knows.
        note: Who made the summary.
        language: BCP 47 tag of the summary, or empty.
        participants: Names, in the order in which they came.
        parts: The summary.
        turns: The transcript; a hole parts a turn in two.
        words: Headings in the summary's language.
    """

    title: str
    when: str
    note: str
    language: str
    participants: tuple[str, ...]
    parts: tuple[Part, ...]
    turns: tuple[Turn | Missing, ...]
    words: Words


def outline(document: TranscriptDocument, summary: Summary) -> Minutes:
    """Put the minutes together.

    Args:
        document: The transcript that the summary was made from.
        summary: Its statements; a citation of a line that is not in ``document`` is left out.
    """
    words = words_of(summary.language)
    marks = _marks(document.segments, words)
    lines = [
        Line(number, clock(segment.start_ms), one_line(segment.text), marks.get(segment.source, ""))
        for number, segment in enumerate(document.segments, start=1)
    ]
    cites = {
        segment.id: Cite(line.number, line.at)
        for segment, line in zip(document.segments, lines, strict=True)
    }
    return Minutes(
        title=title_of(document),
        when=_when(document, words),
        note=_note(summary, words),
        language=summary.language,
        participants=tuple(shown_name(person.name) for person in document.participants),
        parts=tuple(_parts(summary, cites, words)),
        turns=tuple(_turns(document, lines, words)),
        words=words,
    )


def title_of(document: TranscriptDocument) -> str:
    """Return what the minutes are called: the room's name, or else the meeting's id."""
    return shown_name(document.room or document.meeting)


def turns_of(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Iterate over the turns: consecutive lines of one speaker, and of one voice at a microphone.

    Where nobody knows who spoke, the label of the voice is all there is.
    """
    for _, turn in groupby(segments, key=_whose):
        yield list(turn)


def _marks(segments: Sequence[Segment], words: Words) -> Mapping[SegmentSource, str]:
    """Return what marks lines of each source; a transcript that is all recorded needs no marks."""
    live = any(segment.source == "live" for segment in segments)
    return {"person": words.corrected, **({"recording": words.recorded} if live else {})}


def _when(document: TranscriptDocument, words: Words) -> str:
    if not document.started_at:
        return ""
    until = f" {words.until} {date(document.ended_at)}" if document.ended_at else ""
    return f"{date(document.started_at)}{until} (UTC)"


def _note(summary: Summary, words: Words) -> str:
    if not any(summary.statements()):
        return words.nothing
    if summary.made_by == EXTRACTIVE:
        return words.extractive
    return words.model.format(model=shown_name(summary.made_by.removeprefix(_MODEL)))


def _parts(summary: Summary, cites: Mapping[str, Cite], words: Words) -> Iterator[Part]:
    for title, statements in (
        (words.overview, summary.overview),
        (words.decisions, summary.decisions),
        (words.actions, summary.actions),
        (words.questions, summary.questions),
    ):
        if statements:
            yield Part(title, 2, "", _items(statements, cites, words))
    if summary.sections:
        yield Part(words.notes, 2, "", ())
    for section in summary.sections:
        times = f"{clock(section.start_ms)} – {clock(section.end_ms)}"  # noqa: RUF001 - a range
        items = _items(section.statements, cites, words)
        yield Part(shown_name(section.title), 3, times, items)


def _items(
    statements: Sequence[Statement], cites: Mapping[str, Cite], words: Words
) -> tuple[Item, ...]:
    return tuple(
        Item(
            text=shown_name(one.text),
            detail=_detail(one, words) if isinstance(one, Action) else "",
            cites=tuple(cites[segment] for segment in one.cites if segment in cites),
        )
        for one in statements
    )


def _detail(action: Action, words: Words) -> str:
    due = f"{words.due} {one_line(action.due)}" if action.due else ""
    return ", ".join(filter(None, (one_line(action.owner or ""), due)))


def _turns(
    document: TranscriptDocument, lines: Sequence[Line], words: Words
) -> Iterator[Turn | Missing]:
    segments: Iterable[Segment | Hole] = document.segments
    rest = iter(lines)
    for whose, parts in groupby(
        merge(segments, document.holes, key=lambda part: part.start_ms), key=_whose
    ):
        if whose is None:
            yield from (_missing(part, words) for part in parts if isinstance(part, Hole))
        else:
            yield Turn(shown_name(whose[1]), tuple(next(rest) for _ in parts))


def _whose(part: Segment | Hole) -> tuple[str, str] | None:
    return (part.speaker, part.name) if isinstance(part, Segment) else None


def _missing(hole: Hole, words: Words) -> Missing:
    seconds = max(1, round((hole.end_ms - hole.start_ms) / 1000))
    names = ", ".join(shown_name(person.name) for person in hole.speakers)
    text = (words.unheard_of if names else words.unheard).format(seconds=seconds, names=names)
    why = words.causes.get(hole.cause, one_line(hole.cause))
    return Missing(clock(hole.start_ms), f"[{text}: {why}]")
