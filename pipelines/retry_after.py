"""The header ``Retry-After``: pure."""

from __future__ import annotations

import math
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST: Final = 3600.0
"""Seconds: who asks for more is asked again all the same."""


def seconds_to_wait(text: str, *, now: float, most: float = LONGEST) -> float | None:
    """Read the header (RFC 9110, section 10.2.3): seconds, or a date; None where it is neither.

    Args:
        text: The header's value.
        now: Unix seconds, for a date.
        most: Longest answer, seconds.
    """
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        # "-0000" is UTC of which nobody says where it was (RFC 5322, section 3.3).
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
    return min(max(seconds, 0.0), most) if math.isfinite(seconds) else None
