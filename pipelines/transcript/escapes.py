"""Names and speech as one line of plain text or of Markdown, and moments as people read them.

Names and speech may hold any Unicode. Here a name or what somebody said is one line: line breaks
and runs of blanks become one space, and what no reader shows (control characters and U+FFFF)
becomes U+FFFD. Direction marks and emoji stay.
"""

from __future__ import annotations

import re
from typing import Final

# Whatever str.splitlines(), a browser or a terminal takes for the end of a line.
_BLANKS: Final = re.compile("[ \t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
# U+FFFF is no character, and Chromium's WebVTT reader takes it for the end of the file.
_UNREADABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

_MARKDOWN_SYNTAX: Final = re.compile(
    r"[\\`*_{}\[\]<>~$&]"  # CommonMark 0.31 section 6, and the extensions that read { ~ $
    r"|^[-+=#]"  # sections 4 and 5: what opens a block
    r"|(?<=www)\.|:(?=//)",  # GitHub's bare links
    re.IGNORECASE,
)
_MARKDOWN_NUMBER: Final = re.compile(r"^(\d+)([.)])")


def one_line(text: str) -> str:
    """Return ``text`` as one line without what no reader shows; empty where nothing is left."""
    return _UNREADABLE.sub("\ufffd", _BLANKS.sub(" ", text)).strip()


def shown_name(name: str) -> str:
    """Return a name as one line, ``?`` where there is none."""
    return one_line(name) or "?"


def markdown_text(text: str) -> str:
    """Return one line of CommonMark that reads as ``text``, ``?`` where there is none.

    Nothing in it becomes markup (CommonMark 0.31, section 2.4 "Backslash escapes").
    """
    escaped = _MARKDOWN_SYNTAX.sub(r"\\\g<0>", shown_name(text))
    return _MARKDOWN_NUMBER.sub(r"\1\\\2", escaped)


def clock(ms: int) -> str:
    """Return milliseconds from the start of the meeting as ``HH:MM:SS``."""
    seconds = ms // 1000
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def date(moment: str) -> str:
    """Shorten an ISO 8601 time: ``2026-11-21 09:30``."""
    return moment[:16].replace("T", " ")
