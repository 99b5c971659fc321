"""Which template a summary follows, and in which language it is written.

Both are asked for in a room's metadata and go into instructions, so only what is known passes.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Final

from babel import Locale, UnknownLocaleError

from pipelines.transcript.document import Segment
from prompts import Prompts

logger = logging.getLogger(__name__)

FOLDER: Final = "summary/templates"
DEFAULT: Final = "general"


def choose_template(prompts: Prompts, *names: str) -> str:
    """Return the first of the names that there is a template of; the general one where none is."""
    there = prompts.names(FOLDER)
    for name in filter(None, names):
        if name in there:
            return name
        logger.warning("no such template", extra={"template": name[:80], "there": there})
    return DEFAULT


def choose_language(wanted: str, segments: Iterable[Segment]) -> str:
    """Return a BCP 47 tag: the one that is wanted, or that of most of what was said.

    Empty where neither is known.
    """
    if language_name(wanted):
        return wanted
    if wanted:
        logger.warning("no such language", extra={"language": wanted[:80]})
    said = Counter[str]()
    for segment in segments:
        said[segment.language] += len(segment.text)
    return next((tag for tag, _ in said.most_common() if language_name(tag)), "")


def language_name(tag: str) -> str:
    """Return a language's name in English; empty where the tag is none of CLDR's."""
    try:
        return Locale.parse(tag, sep="-").get_display_name("en") or ""
    except (UnknownLocaleError, ValueError, TypeError):
        return ""
