"""Whom a chat message is for: decisions only, without LiveKit."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

DEFAULT_NAME: Final = "Greffier"
"""What the assistant is called where the room's metadata gives no name."""

LONGEST_NAME: Final = 64
LONGEST_INSTRUCTIONS: Final = 8_000
"""Characters that are read of ``agentData``; a backend's longer ones are cut."""


@dataclass(frozen=True, slots=True)
class Persona:
    """Who the assistant is in this room.

    Args:
        name: What people call it; never empty.
        instructions: What the room's backend tells it; may be empty.
    """

    name: str = DEFAULT_NAME
    instructions: str = ""


def persona_of(metadata: Mapping[str, Any]) -> Persona:
    """Return who the assistant is by the room's metadata, of which no type is certain."""
    told = metadata.get("agentData")
    told = told if isinstance(told, Mapping) else {}
    name, instructions = told.get("name"), told.get("instructions")
    name = on_one_line(name)[:LONGEST_NAME].strip() if isinstance(name, str) else ""
    instructions = instructions if isinstance(instructions, str) else ""
    return Persona(name or DEFAULT_NAME, instructions[:LONGEST_INSTRUCTIONS])


def is_addressed(text: str, name: str) -> bool:
    """Tell whether a chat message is for ``name``, and does not merely speak of it.

    It is where it begins with the name ("Greffier, ..."; at most two words go before it, if a
    comma or the like follows: "Hey Greffier, ..."), ends with it after a comma ("what is next,
    Greffier?"), or mentions it ("@Greffier") anywhere.
    """
    called = rf"{re.escape(_folded(name))}(?!\w)"
    patterns = (
        rf"\s*{called}",
        rf".*(?<!\w)@{called}",
        rf"\s*(\w+[ \t]+){{1,2}}{called}\s*[,:;!?]",
        rf".*,\s*{called}[\s.?!…]*$",
    )
    folded = _folded(text)
    return any(re.match(pattern, folded, re.DOTALL) for pattern in patterns)


def on_one_line(text: str) -> str:
    """Return ``text`` without line breaks and other control characters."""
    kept = "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in text)
    return " ".join(kept.split())


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
