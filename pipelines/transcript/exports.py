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

_CAUSES: Final[Mapping[str, str]] = {
    HoleCause.RESTART: "the agent was restarted",
    HoleCause.ENGINE: "the speech engine did not answer",
    HoleCause.NETWORK: "no audio came",
}

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
        text = _webvtt_text(_line(part.text))
        voice = f"<v {_webvtt_annotation(_name(part.name))}>{text}</v>"
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
    return "".join(f"[{_clock(part.start_ms)}] {_text(part)}\n" for part in _parts(document))


def to_markdown(document: TranscriptDocument) -> str:
    """Return CommonMark: title, date, participants, then each speaker's turns in paragraphs.

    A hole is a paragraph in italics, and ends the turn that it is in.

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
    if document.segments or document.holes:
        blocks.append("## Transcript")
    for _, turn in groupby(_parts(document), key=lambda part: getattr(part, "speaker", None)):
        parts = list(turn)
        if isinstance(parts[0], Segment):
            blocks.append(f"**{_markdown(parts[0].name)}** · {_clock(parts[0].start_ms)}")
        for part in parts:
            if isinstance(part, Segment):
                blocks.append(_markdown(part.text))
            else:
                blocks.append(f"*{_markdown(_hole(part))}* · {_clock(part.start_ms)}")
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


def _hole(hole: Hole) -> str:
    """Say what is missing: ``[Ada not heard for 2.5 s: the agent was restarted]``."""
    seconds = (hole.end_ms - hole.start_ms) / 1000
    names = ", ".join(_name(person.name) for person in hole.speakers)
    who = f"{names} not heard" if names else "not heard"
    return f"[{who} for {seconds:.1f} s: {_line(_CAUSES.get(hole.cause, hole.cause))}]"


def _text(part: Segment | Hole) -> str:
    return _hole(part) if isinstance(part, Hole) else f"{_name(part.name)}: {_line(part.text)}"


def _subtitle(part: Segment | Hole) -> str:
    if isinstance(part, Hole):
        return _plain(_hole(part))
    return f"{_plain(part.name) or '?'}: {_plain(part.text)}"


def _line(text: str) -> str:
    return _UNREADABLE.sub("\ufffd", _BLANKS.sub(" ", text)).strip()


def _name(name: str) -> str:
    return _line(name) or "?"


def _plain(text: str) -> str:
    return _ARROW.sub("->", _line(text))


def _clock(ms: int) -> str:
    seconds = ms // 1000
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _timings(part: Segment | Hole, *, decimal_mark: str) -> str:
    end_ms = max(part.end_ms, part.start_ms + 1)
    start, end = (f"{_clock(ms)}{decimal_mark}{ms % 1000:03}" for ms in (part.start_ms, end_ms))
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
