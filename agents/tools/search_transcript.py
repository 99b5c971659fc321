"""The tool that finds what was said."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import Field

from agents.tools.tool import ToolContext, tool
from pipelines.events import CaptionFinal

LONGEST: Final = 24 * 1024
"""Bytes of the lines that are returned, the latest: well within a result."""


@tool(effects="none", title="Search the transcript")
async def search_transcript(
    context: ToolContext,
    *,
    words: Annotated[str, Field(max_length=200, description="All of them; empty finds all.")] = "",
    speaker: Annotated[str, Field(max_length=200, description="Part of a name.")] = "",
    limit: Annotated[int, Field(ge=1, le=200, description="Most lines; the latest count.")] = 20,
) -> dict[str, Any]:
    """Find what was said in this meeting so far: lines that have all the words."""
    said = [
        caption
        for caption in await context.said()
        if caption.text and _has(caption.text, words) and _has(caption.name, speaker)
    ]
    lines = [_line(caption, context.info.started_at) for caption in said[-limit:]]
    return {"found": len(said), "lines": _latest(lines)}


def _has(text: str, words: str) -> bool:
    folded = _fold(text)
    return all(word in folded for word in _fold(words).split())


def _fold(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))


def _line(caption: CaptionFinal, started_at: float) -> dict[str, str]:
    minutes, seconds = divmod(max(0, round(caption.at - started_at)), 60)
    return {
        "time": f"{minutes:02}:{seconds:02}",
        "speaker": caption.name or caption.identity,
        "text": caption.text,
    }


def _latest(lines: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    room = LONGEST
    kept: list[dict[str, str]] = []
    for line in reversed(lines):
        room -= len(json.dumps(line)) + 2
        if room < 0:
            break
        kept.append(line)
    return kept[::-1]
