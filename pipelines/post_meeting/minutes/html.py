"""The minutes as one HTML file that needs nothing else, and asks nobody for anything.

The tree is built and serialised by the standard library, which escapes every text and attribute. A
Content-Security-Policy lets in this file's own style and nothing else: no script, image or font.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from pipelines.post_meeting.minutes.outline import Cite, Item, Minutes, Missing, Turn, outline
from pipelines.post_meeting.summary import Summary
from pipelines.transcript.document import TranscriptDocument

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.25; }
h2 { margin-top: 2.5rem; }
.when, .note, .times, .detail, .mark, .missing { opacity: .7; }
.times, .detail { font-weight: normal; }
.cite { font-size: .8em; margin-inline-start: .4em; font-variant-numeric: tabular-nums; }
.name { font-weight: 600; margin: 1.2rem 0 0; }
.line { margin: .2rem 0; }
.line > a { font-size: .8em; color: inherit; opacity: .7; text-decoration: none; }
.line:target { background: #ffe58f; color: #000; }
@media print { body { margin: 0; max-width: none; } }
"""

_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-"
    f"{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
)


def minutes_html(document: TranscriptDocument, summary: Summary) -> str:
    """Return the minutes as a whole HTML page.

    Each line of the transcript has the id ``line-<n>``, and each statement links to its lines.
    """
    minutes = outline(document, summary)
    page = Element("html", {"lang": minutes.language} if minutes.language else {})
    _head(page, minutes)
    body = SubElement(page, "body")
    _add(body, "h1", minutes.title)
    if minutes.when:
        _add(body, "p", minutes.when, kind="when")
    if minutes.participants:
        _add(body, "h2", minutes.words.participants)
        people = SubElement(body, "ul")
        for name in minutes.participants:
            _add(people, "li", name)
    _add(body, "p", minutes.note, kind="note")
    for part in minutes.parts:
        heading = _add(body, f"h{part.level}", part.title)
        if part.times:
            _add(heading, "span", f" {part.times}", kind="times")
        _items(body, part.items)
    if minutes.turns:
        _add(body, "h2", minutes.words.transcript)
    for turn in minutes.turns:
        _turn(body, turn)
    return f"<!DOCTYPE html>\n{tostring(page, encoding='unicode', method='html')}\n"


def _head(page: Element, minutes: Minutes) -> None:
    head = SubElement(page, "head")
    SubElement(head, "meta", {"charset": "utf-8"})
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY})
    SubElement(head, "meta", {"name": "viewport", "content": "width=device-width"})
    SubElement(head, "meta", {"name": "referrer", "content": "no-referrer"})
    SubElement(head, "title").text = minutes.title
    SubElement(head, "style").text = _STYLE


def _items(body: Element, items: Sequence[Item]) -> None:
    if not items:
        return
    listed = SubElement(body, "ul")
    for item in items:
        entry = _add(listed, "li", item.text)
        if item.detail:
            _add(entry, "span", f" ({item.detail})", kind="detail")
        for cite in item.cites:
            _link(entry, cite)


def _link(entry: Element, cite: Cite) -> None:
    SubElement(entry, "a", {"href": f"#line-{cite.line}", "class": "cite"}).text = cite.at


def _turn(body: Element, turn: Turn | Missing) -> None:
    if isinstance(turn, Missing):
        _add(body, "p", f"{turn.at} {turn.text}", kind="missing")
        return
    _add(body, "p", turn.name, kind="name")
    for line in turn.lines:
        said = SubElement(body, "p", {"id": f"line-{line.number}", "class": "line", "dir": "auto"})
        moment = SubElement(said, "a", {"href": f"#line-{line.number}"})
        moment.text, moment.tail = line.at, f" {line.text}"
        if line.mark:
            _add(said, "span", f" ({line.mark})", kind="mark")


def _add(parent: Element, tag: str, text: str, *, kind: str = "") -> Element:
    # Each in the direction of its own language: names and speech may be of any.
    element = SubElement(parent, tag, {"dir": "auto", **({"class": kind} if kind else {})})
    element.text = text
    return element
