"""The minutes as a Word document: a bookmark at each line, a link from each statement to it.

python-docx has no call for bookmarks and for links inside a document, so those are built of their
elements: ECMA-376 part 1, sections 17.13.6.2 ``bookmarkStart`` and 17.16.22 ``hyperlink``.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Final

from docx import Document
from docx.document import Document as WordDocument
from docx.enum.style import WD_STYLE_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Pt, RGBColor
from docx.text.paragraph import Paragraph

from pipelines.post_meeting.minutes.outline import Cite, Item, Minutes, Missing, Turn, outline
from pipelines.post_meeting.summary import Summary
from pipelines.transcript.document import TranscriptDocument

_LINK: Final = "Line reference"
_LONGEST_PROPERTY: Final = 255
"""Characters that python-docx takes for a property of the document."""


def minutes_docx(document: TranscriptDocument, summary: Summary) -> bytes:
    """Return the minutes as the bytes of a .docx file.

    The same meeting and summary give the same text; the file has the time of the meeting's end.
    """
    minutes = outline(document, summary)
    word = Document()
    _set_properties(word, minutes, document.ended_at)
    word.add_heading(minutes.title, level=0)
    if minutes.when:
        word.add_paragraph(minutes.when)
    if minutes.participants:
        word.add_heading(minutes.words.participants, level=1)
        for name in minutes.participants:
            word.add_paragraph(name, style="List Bullet")
    word.add_paragraph().add_run(minutes.note).italic = True
    for part in minutes.parts:
        times = f" · {part.times}" if part.times else ""
        word.add_heading(f"{part.title}{times}", level=part.level - 1)
        for item in part.items:
            _add_item(word, item)
    if minutes.turns:
        word.add_heading(minutes.words.transcript, level=1)
    for turn in minutes.turns:
        _add_turn(word, turn)
    file = io.BytesIO()
    word.save(file)
    return file.getvalue()


def _set_properties(word: WordDocument, minutes: Minutes, ended_at: str | None) -> None:
    properties = word.core_properties
    properties.title = minutes.title[:_LONGEST_PROPERTY]
    properties.author = "Greffier"
    properties.language = minutes.language[:_LONGEST_PROPERTY]
    # Else it is that of python-docx' template, 2013.
    moment = datetime.fromisoformat(ended_at) if ended_at else datetime.now(UTC)
    properties.created = properties.modified = moment.astimezone(UTC).replace(tzinfo=None)
    link = word.styles.add_style(_LINK, WD_STYLE_TYPE.CHARACTER)
    link.font.color.rgb = RGBColor(0x05, 0x63, 0xC1)
    link.font.underline = True
    link.font.size = Pt(9)


def _add_item(word: WordDocument, item: Item) -> None:
    paragraph = word.add_paragraph(item.text, style="List Bullet")
    if item.detail:
        paragraph.add_run(f" ({item.detail})").italic = True
    for cite in item.cites:
        paragraph.add_run(" ")
        _add_link(paragraph, cite)


def _add_link(paragraph: Paragraph, cite: Cite) -> None:
    link = OxmlElement("w:hyperlink")
    link.set(qn("w:anchor"), _bookmark(cite.line))
    run = paragraph.add_run(cite.at, style=_LINK)
    link.append(run._r)  # noqa: SLF001 - python-docx' own way to a run's element
    paragraph._p.append(link)  # noqa: SLF001 - likewise


def _add_turn(word: WordDocument, turn: Turn | Missing) -> None:
    if isinstance(turn, Missing):
        paragraph = word.add_paragraph()
        paragraph.add_run(turn.at).font.size = Pt(9)
        paragraph.add_run(f" {turn.text}").italic = True
        return
    name = word.add_paragraph()
    name.add_run(turn.name).bold = True
    name.paragraph_format.keep_with_next = True
    for line in turn.lines:
        paragraph = word.add_paragraph()
        start, end = OxmlElement("w:bookmarkStart"), OxmlElement("w:bookmarkEnd")
        for element in (start, end):
            element.set(qn("w:id"), str(line.number))
        start.set(qn("w:name"), _bookmark(line.number))
        paragraph._p.append(start)  # noqa: SLF001 - python-docx' own way to a paragraph's element
        paragraph.add_run(line.at).font.size = Pt(9)
        paragraph._p.append(end)  # noqa: SLF001 - likewise
        paragraph.add_run(f" {line.text}")
        if line.mark:
            paragraph.add_run(f" ({line.mark})").italic = True


def _bookmark(line: int) -> str:
    """Return a name that Word takes: a letter, then letters, digits and underscores, 40 at most."""
    return f"line_{line}"
