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

# Whatever str.splitlines(), a browser or a terminal takes for the end of a line.
_BLANKS: Final = re.compile("[ \t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
# U+FFFF is no character, and Chromium's WebVTT reader takes it for the end of the file.
_UNREADABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_ARROW: Final = re.compile(r"-{2,}>")

_WEBVTT_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_WEBVTT_BLOCKS: Final = ("NOTE", "REGION", "STYLE")

_MARKDOWN_SYNTAX: Final = re.compile(
    r"[\\`*_{}\[\]<>~$&]"  # CommonMark 0.31 section 6, and the extensions that read { ~ $
    r"|^[-+=#]"  # sections 4 and 5: what opens a block
    r"|(?<=www)\.|:(?=//)",  # GitHub's bare links
    re.IGNORECASE,
)
_MARKDOWN_NUMBER: Final = re.compile(r"^(\d+)([.)])")


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
        text = _webvtt_text(_line(segment.text))
        voice = f"<v {_webvtt_annotation(_name(segment.name))}>{text}</v>"
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
        f"[{_clock(segment.start_ms)}] {_name(segment.name)}: {_line(segment.text)}\n"
        for segment in document.segments
    )


def to_markdown(document: TranscriptDocument) -> str:
    """Return CommonMark: title, date, participants, then each speaker's turns in paragraphs.

    Nothing that was said or that somebody is called becomes markup (CommonMark 0.31, section 2.4
    "Backslash escapes").
    """
    blocks = [f"# {_markdown(document.room or document.meeting)}"]
    if document.started_at:
        until = f" to {_date(document.ended_at)}" if document.ended_at else ""
        blocks.append(f"{_date(document.started_at)}{until} (UTC)")
    if document.participants:
        people = [f"- {_markdown(person.name)}" for person in document.participants]
        blocks += ["## Participants", "\n".join(people)]
    if document.segments:
        blocks.append("## Transcript")
    for _, turn in groupby(document.segments, key=lambda segment: segment.speaker):
        segments = list(turn)
        blocks.append(f"**{_markdown(segments[0].name)}** · {_clock(segments[0].start_ms)}")
        blocks += [_markdown(segment.text) for segment in segments]
    return "\n\n".join(blocks) + "\n"


EXPORTS: Final[Mapping[str, Callable[[TranscriptDocument], str]]] = {
    "json": to_json,
    "vtt": to_webvtt,
    "srt": to_srt,
    "txt": to_text,
    "md": to_markdown,
}
"""File name ending -> the function that gives the file's text, to be written as UTF-8."""


def _line(text: str) -> str:
    return _UNREADABLE.sub("\ufffd", _BLANKS.sub(" ", text)).strip()


def _name(name: str) -> str:
    return _line(name) or "?"


def _plain(text: str) -> str:
    return _ARROW.sub("->", _line(text))


def _clock(ms: int) -> str:
    seconds = ms // 1000
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _timings(segment: Segment, *, decimal_mark: str) -> str:
    end_ms = max(segment.end_ms, segment.start_ms + 1)
    start, end = (f"{_clock(ms)}{decimal_mark}{ms % 1000:03}" for ms in (segment.start_ms, end_ms))
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


def _date(moment: str) -> str:
    """Shorten an ISO 8601 time: ``2026-11-21 09:30``."""
    return moment[:16].replace("T", " ")


def _markdown(text: str) -> str:
    escaped = _MARKDOWN_SYNTAX.sub(r"\\\g<0>", _name(text))
    return _MARKDOWN_NUMBER.sub(r"\1\\\2", escaped)
