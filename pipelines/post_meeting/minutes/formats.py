"""The files that the minutes become, each made of the same transcript and summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pipelines.post_meeting.minutes.docx import minutes_docx
from pipelines.post_meeting.minutes.html import minutes_html
from pipelines.post_meeting.minutes.markdown import minutes_markdown
from pipelines.post_meeting.minutes.meetai import summary_markdown
from pipelines.post_meeting.summary import Summary
from pipelines.transcript.document import TranscriptDocument

MakeFile = Callable[[TranscriptDocument, Summary], bytes]


def _encoded(make: Callable[[TranscriptDocument, Summary], str]) -> MakeFile:
    return lambda document, summary: make(document, summary).encode()


MINUTES: Final[Mapping[str, MakeFile]] = {
    "summary.md": _encoded(summary_markdown),
    "minutes.md": _encoded(minutes_markdown),
    "minutes.html": _encoded(minutes_html),
    "minutes.docx": minutes_docx,
}
"""File name -> the function that gives the file's bytes."""

MEDIA_TYPES: Final[Mapping[str, str]] = {
    "json": "application/json",
    "md": "text/markdown; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
"""File name ending -> media type."""
