"""How numbers, swear words and hesitations are written, where an engine can be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PARAMETERS: Final[Mapping[str, str]] = {
    "numerals": "numerals",
    "profanityFilter": "profanity_filter",
    "fillerWords": "filler_words",
}
"""The option as room metadata has it -> the parameter of an engine's constructor.

The parameters are those of LiveKit's Deepgram plugin; an engine of one's own takes an option by
having a parameter of that name. An engine without it ignores the option, which the room is told.
"""
