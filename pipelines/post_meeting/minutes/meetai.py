"""How a MeetAI-style backend ends a meeting: merged lines, and a summary of Overview and Notes.

The headings are fixed English: such a backend's page looks for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipelines.post_meeting.minutes.outline import turns_of
from pipelines.post_meeting.summary import Action, Statement, Summary
from pipelines.transcript.document import TranscriptDocument
from pipelines.transcript.escapes import markdown_text, one_line, shown_name


def merged_lines(document: TranscriptDocument) -> str:
    """Return ``[MM:SS] Name: text`` for each turn: consecutive lines of one speaker are one.

    Minutes go on beyond 59, as in ``[75:03]``.
    """
    return "".join(
        f"[{_moment(turn[0].start_ms)}] {shown_name(turn[0].name)}: "
        f"{' '.join(filter(None, (one_line(segment.text) for segment in turn)))}\n"
        for turn in turns_of(document.segments)
    )


def summary_markdown(document: TranscriptDocument, summary: Summary) -> str:
    """Return the summary as Markdown with ``### Overview`` and ``### Notes``.

    Notes has a heading with its time range for each section; decisions, action items and open
    questions follow it the same way. Each statement ends with the moments of its lines.
    """
    starts = {segment.id: _moment(segment.start_ms) for segment in document.segments}
    return "\n\n".join(_blocks(summary, starts)) + "\n"


def _blocks(summary: Summary, starts: dict[str, str]) -> Iterator[str]:
    yield "### Overview"
    if summary.overview:
        yield _list(summary.overview, starts)
    yield "### Notes"
    for section in summary.sections:
        times = f"[{_moment(section.start_ms)} - {_moment(section.end_ms)}]"
        yield f"#### {markdown_text(section.title)} {markdown_text(times)}"
        if section.statements:
            yield _list(section.statements, starts)
    for title, statements in (
        ("Decisions", summary.decisions),
        ("Action items", summary.actions),
        ("Open questions", summary.questions),
    ):
        if statements:
            yield f"#### {title}"
            yield _list(statements, starts)


def _list(statements: Sequence[Statement], starts: dict[str, str]) -> str:
    return "\n".join(f"- {_item(one, starts)}" for one in statements)


def _item(statement: Statement, starts: dict[str, str]) -> str:
    moments = dict.fromkeys(starts[cite] for cite in statement.cites if cite in starts)
    cited = "".join(rf" \[{moment}\]" for moment in moments)
    return f"{markdown_text(statement.text)}{_who(statement)}{cited}"


def _who(statement: Statement) -> str:
    if not isinstance(statement, Action):
        return ""
    due = f"due {statement.due}" if statement.due else ""
    told = ", ".join(filter(None, (statement.owner, due)))
    return f" ({markdown_text(told)})" if told else ""


def _moment(ms: int) -> str:
    seconds = ms // 1000
    return f"{seconds // 60:02}:{seconds % 60:02}"
