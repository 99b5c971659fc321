"""The files made of a transcript document: JSON, WebVTT, SubRip, plain text, Markdown.

Names and speech may hold any Unicode. JSON keeps it. In the other formats a name or a segment's
text is one line: line breaks and runs of blanks become one space, what no reader shows (control
characters and U+FFFF) becomes U+FFFD, and what the format would read as its own syntax is
escaped. Direction marks and emoji stay.

A hole, where speech may be missing, stands in square brackets between the segments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from heapq import merge
from itertools import groupby
from typing import Final
from urllib.parse import quote

from pipelines.events import HoleCause
from pipelines.transcript.document import Hole, Segment, TranscriptDocument
from pipelines.transcript.escapes import clock, date, markdown_text, one_line, shown_name

_CAUSES: Final[Mapping[str, str]] = {
    HoleCause.RESTART: "the agent was restarted",
    HoleCause.ENGINE: "the speech engine did not answer",
    HoleCause.NETWORK: "no audio came",
}

_ARROW: Final = re.compile(r"-{2,}>")

_WEBVTT_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_WEBVTT_BLOCKS: Final = ("NOTE", "REGION", "STYLE")


def to_json(document: TranscriptDocument) -> str:
    """Return the document itself, as ``docs/transcript.schema.json`` describes it."""
    return document.model_dump_json(indent=2) + "\n"


def to_webvtt(document: TranscriptDocument) -> str:
    """Return WebVTT, one cue per segment and hole, times from the start of the meeting.

    After W3C's WebVTT, section 4.1 "WebVTT file structure": a cue's identifier is the segment's
    id, percent-encoded; a cue ends 1 ms or more after its start. Section 4.2.2 "WebVTT caption or
    subtitle cue text": the text is one voice span, annotated with the name; a hole's
    cue has neither voice nor identifier.
    """
    blocks = ["WEBVTT", f"NOTE Meeting {_plain(document.meeting)}, seal {document.seal}"]
    for part in _parts(document):
        timings = _timings(part, decimal_mark=".")
        if isinstance(part, Hole):
            blocks.append(f"{timings}\n{_webvtt_text(_hole(part))}")
            continue
        identifier = _cue_identifier(part.id)
        text = _webvtt_text(one_line(part.text))
        voice = f"<v {_webvtt_annotation(shown_name(part.name))}>{text}</v>"
        blocks.append("\n".join([*([identifier] if identifier else []), timings, voice]))
    return "\n\n".join(blocks) + "\n"


def to_srt(document: TranscriptDocument) -> str:
    """Return SubRip, one subtitle per segment: its number, times, ``Name: text``, a blank line.

    A hole is a subtitle too.

    SubRip has neither a standard nor an escape. The form is that of SubRip's own output, read
    strictly: times are ``HH:MM:SS,mmm`` from the start of the meeting and span 1 ms or more; an
    arrow in speech is shortened to ``->``; anything else stands as it was said.
    """
    subtitles = [
        f"{number}\n{_timings(part, decimal_mark=',')}\n{_subtitle(part)}\n"
        for number, part in enumerate(_parts(document), start=1)
    ]
    return "\n".join(subtitles)


def to_text(document: TranscriptDocument) -> str:
    """Return one line per segment: ``[HH:MM:SS] Name: text``, from the start of the meeting.

    A hole's line has its time and, in brackets, what is missing.
    """
    return "".join(f"[{clock(part.start_ms)}] {_text(part)}\n" for part in _parts(document))


def to_markdown(document: TranscriptDocument) -> str:
    """Return CommonMark: title, date, participants, then each speaker's turns in paragraphs.

    A hole is a paragraph in italics, and ends the turn that it is in.

    Nothing that was said or that somebody is called becomes markup (CommonMark 0.31, section 2.4
    "Backslash escapes").
    """
    blocks = [f"# {markdown_text(document.room or document.meeting)}"]
    if document.started_at:
        until = f" to {date(document.ended_at)}" if document.ended_at else ""
        blocks.append(f"{date(document.started_at)}{until} (UTC)")
    if document.participants:
        people = [f"- {markdown_text(person.name)}" for person in document.participants]
        blocks += ["## Participants", "\n".join(people)]
    if document.segments or document.holes:
        blocks.append("## Transcript")
    for _, turn in groupby(_parts(document), key=_whose):
        parts = list(turn)
        if isinstance(parts[0], Segment):
            blocks.append(f"**{markdown_text(parts[0].name)}** · {clock(parts[0].start_ms)}")
        for part in parts:
            if isinstance(part, Segment):
                blocks.append(markdown_text(part.text))
            else:
                blocks.append(f"*{markdown_text(_hole(part))}* · {clock(part.start_ms)}")
    return "\n\n".join(blocks) + "\n"


EXPORTS: Final[Mapping[str, Callable[[TranscriptDocument], str]]] = {
    "json": to_json,
    "vtt": to_webvtt,
    "srt": to_srt,
    "txt": to_text,
    "md": to_markdown,
}
"""File name ending -> the function that gives the file's text, to be written as UTF-8."""


def _parts(document: TranscriptDocument) -> list[Segment | Hole]:
    """Return segments and holes in the order of their start."""
    segments: Iterable[Segment | Hole] = document.segments
    return list(merge(segments, document.holes, key=lambda part: part.start_ms))


def _whose(part: Segment | Hole) -> tuple[str, str] | None:
    return (part.speaker, part.name) if isinstance(part, Segment) else None


def _hole(hole: Hole) -> str:
    """Say what is missing: ``[Ada not heard for 2.5 s: the agent was restarted]``."""
    seconds = (hole.end_ms - hole.start_ms) / 1000
    names = ", ".join(shown_name(person.name) for person in hole.speakers)
    who = f"{names} not heard" if names else "not heard"
    return f"[{who} for {seconds:.1f} s: {one_line(_CAUSES.get(hole.cause, hole.cause))}]"


def _text(part: Segment | Hole) -> str:
    if isinstance(part, Hole):
        return _hole(part)
    return f"{shown_name(part.name)}: {one_line(part.text)}"


def _subtitle(part: Segment | Hole) -> str:
    if isinstance(part, Hole):
        return _plain(_hole(part))
    return f"{_plain(part.name) or '?'}: {_plain(part.text)}"


def _plain(text: str) -> str:
    return _ARROW.sub("->", one_line(text))


def _timings(part: Segment | Hole, *, decimal_mark: str) -> str:
    end_ms = max(part.end_ms, part.start_ms + 1)
    start, end = (f"{clock(ms)}{decimal_mark}{ms % 1000:03}" for ms in (part.start_ms, end_ms))
    return f"{start} --> {end}"


def _webvtt_text(text: str) -> str:
    return text.translate(_WEBVTT_ESCAPES)


def _webvtt_annotation(name: str) -> str:
    # The bracket that closes the tag would make an arrow of a name that ends in "--".
    return re.sub("-$", "&#45;", _webvtt_text(name))


def _cue_identifier(segment_id: str) -> str:
    """Percent-encode: no arrow, no line break, and two ids never become one."""
    identifier = quote(segment_id, safe="")
    if identifier in _WEBVTT_BLOCKS:  # Parsers take it for the head of another block.
        return f"%{ord(identifier[0]):X}{identifier[1:]}"
    return identifier
