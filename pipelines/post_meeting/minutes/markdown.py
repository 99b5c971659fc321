"""The minutes as Markdown.

CommonMark has no anchors of its own: each line of the transcript begins with an empty ``<a id>``,
which every renderer that takes HTML keeps, GitHub's too. A reader that drops HTML still has the
times that the links show.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.post_meeting.minutes.outline import Item, Minutes, Missing, Turn, outline
from pipelines.post_meeting.summary import Summary
from pipelines.transcript.document import TranscriptDocument
from pipelines.transcript.escapes import markdown_text


def minutes_markdown(document: TranscriptDocument, summary: Summary) -> str:
    """Return the minutes as CommonMark; nothing that was said or written becomes markup."""
    return "\n\n".join(_blocks(outline(document, summary))) + "\n"


def _blocks(minutes: Minutes) -> Iterator[str]:
    yield f"# {markdown_text(minutes.title)}"
    if minutes.when:
        yield minutes.when
    if minutes.participants:
        yield f"## {minutes.words.participants}"
        yield "\n".join(f"- {markdown_text(name)}" for name in minutes.participants)
    yield f"*{markdown_text(minutes.note)}*"
    for part in minutes.parts:
        times = f" · {part.times}" if part.times else ""
        yield f"{'#' * part.level} {markdown_text(part.title)}{times}"
        if part.items:
            yield "\n".join(_item(item) for item in part.items)
    if minutes.turns:
        yield f"## {minutes.words.transcript}"
    for turn in minutes.turns:
        yield from _turn(turn)


def _item(item: Item) -> str:
    detail = f" ({markdown_text(item.detail)})" if item.detail else ""
    links = "".join(f" [{cite.at}](#line-{cite.line})" for cite in item.cites)
    return f"- {markdown_text(item.text)}{detail}{links}"


def _turn(turn: Turn | Missing) -> Iterator[str]:
    if isinstance(turn, Missing):
        yield f"{turn.at} *{markdown_text(turn.text)}*"
        return
    yield f"**{markdown_text(turn.name)}**"
    for line in turn.lines:
        mark = f" *({line.mark})*" if line.mark else ""
        yield f'<a id="line-{line.number}"></a>{line.at} {markdown_text(line.text)}{mark}'
