"""The files made of a transcript document: JSON, WebVTT, SubRip, plain text, Markdown.

Names and speech may hold any Unicode. JSON keeps it. In the other formats a name or a segment's
text is one line: line breaks and runs of blanks become one space, what no reader shows (control
characters and U+FFFF) becomes U+FFFD, and what the format would read as its own syntax is
escaped. Direction marks and emoji stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Final
from urllib.parse import quote

from pipelines.transcript.document import Segment, TranscriptDocument
from pipelines.transcript.escapes import clock, date, markdown_text, one_line, shown_name

_ARROW: Final = re.compile(r"-{2,}>")

_WEBVTT_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_WEBVTT_BLOCKS: Final = ("NOTE", "REGION", "STYLE")


def to_json(document: TranscriptDocument) -> str:
    """Return the document itself, as ``docs/transcript.schema.json`` describes it."""
    return document.model_dump_json(indent=2) + "\n"


def to_webvtt(document: TranscriptDocument) -> str:
    """Return WebVTT, one cue per segment, times from the start of the meeting.

    After W3C's WebVTT, section 4.1 "WebVTT file structure": a cue's identifier is the segment's
    id, percent-encoded; a cue ends 1 ms or more after its start. Section 4.2.2 "WebVTT caption or
    subtitle cue text": the text is one voice span, annotated with the name.
    """
    blocks = ["WEBVTT", f"NOTE Meeting {_plain(document.meeting)}, seal {document.seal}"]
    for segment in document.segments:
        identifier = _cue_identifier(segment.id)
        timings = _timings(segment, decimal_mark=".")
        text = _webvtt_text(one_line(segment.text))
        voice = f"<v {_webvtt_annotation(shown_name(segment.name))}>{text}</v>"
        blocks.append("\n".join([*([identifier] if identifier else []), timings, voice]))
    return "\n\n".join(blocks) + "\n"


def to_srt(document: TranscriptDocument) -> str:
    """Return SubRip, one subtitle per segment: its number, times, ``Name: text``, a blank line.

    SubRip has neither a standard nor an escape. The form is that of SubRip's own output, read
    strictly: times are ``HH:MM:SS,mmm`` from the start of the meeting and span 1 ms or more; an
    arrow in speech is shortened to ``->``; anything else stands as it was said.
    """
    subtitles = [
        f"{number}\n{_timings(segment, decimal_mark=',')}\n"
        f"{_plain(segment.name) or '?'}: {_plain(segment.text)}\n"
        for number, segment in enumerate(document.segments, start=1)
    ]
    return "\n".join(subtitles)


def to_text(document: TranscriptDocument) -> str:
    """Return one line per segment: ``[HH:MM:SS] Name: text``, from the start of the meeting."""
    return "".join(
        f"[{clock(segment.start_ms)}] {shown_name(segment.name)}: {one_line(segment.text)}\n"
        for segment in document.segments
    )


def to_markdown(document: TranscriptDocument) -> str:
    """Return CommonMark: title, date, participants, then each speaker's turns in paragraphs.

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
    if document.segments:
        blocks.append("## Transcript")
    for _, turn in groupby(document.segments, key=lambda one: (one.speaker, one.name)):
        segments = list(turn)
        blocks.append(f"**{markdown_text(segments[0].name)}** · {clock(segments[0].start_ms)}")
        blocks += [markdown_text(segment.text) for segment in segments]
    return "\n\n".join(blocks) + "\n"


EXPORTS: Final[Mapping[str, Callable[[TranscriptDocument], str]]] = {
    "json": to_json,
    "vtt": to_webvtt,
    "srt": to_srt,
    "txt": to_text,
    "md": to_markdown,
}
"""File name ending -> the function that gives the file's text, to be written as UTF-8."""


def _plain(text: str) -> str:
    return _ARROW.sub("->", one_line(text))


def _timings(segment: Segment, *, decimal_mark: str) -> str:
    end_ms = max(segment.end_ms, segment.start_ms + 1)
    start, end = (f"{clock(ms)}{decimal_mark}{ms % 1000:03}" for ms in (segment.start_ms, end_ms))
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
