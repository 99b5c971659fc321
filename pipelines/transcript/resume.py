"""What a new epoch makes of the one before it: pure.

A job that dies leaves two signs of how far it had heard: the state in its lease, which tells it to
the second, and its lines, which tell it where there is no lease. From there to the first audio of
the new job nobody listened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from pipelines.events import Hole, HoleCause
from pipelines.transcript.line import Line
from pipelines.transcript.recording_metadata import AGENT, DISCONNECTED, SPEECH_END, SPEECH_START

HOLE_LEAST: Final = 1.2
"""Seconds that nobody listened, from which they are marked."""


@dataclass(frozen=True, slots=True)
class Before:
    """What is known of the epoch before, by its lease or its journal.

    Args:
        meeting: The meeting that it served.
        room_sid: Of the room that it was in.
        age: Seconds since its last sign of life.
        heard_until: Unix seconds; everything said before is settled. None where it did not tell.
    """

    meeting: str
    room_sid: str
    age: float
    heard_until: float | None = None


def goes_on(before: Before, *, room: str, room_sid: str, within: float) -> bool:
    """Tell whether a room without a meeting id of its own continues the meeting of ``before``.

    The same opening of the room always does. A room that was made anew does for a while: LiveKit
    was restarted, and the people came back.

    Args:
        before: The epoch before, of the same agent in the room of this name.
        room: Name of the room.
        room_sid: Of the room as it is now.
        within: Seconds since the last sign of life up to which a new room is the same meeting.
    """
    if not before.meeting.startswith(f"{room}/"):  # Somebody gave it an id: it is that meeting's.
        return False
    return before.room_sid == room_sid or before.age <= within


def may_go_on(lines: Sequence[Line], *, age: float, within: float) -> bool:
    """Tell whether a room that is closed may open anew and go on with its meeting.

    Args:
        lines: Of the meeting, at least one, in order.
        age: Seconds since its last sign of life.
        within: See :func:`goes_on`.
    """
    opened = next((line for line in reversed(lines) if line.kind == "opened"), None)
    if opened is None or lines[-1].kind == "ended":
        return False
    before = Before(opened.meeting, opened.data["room_sid"], age)
    return age <= within and goes_on(before, room=opened.data["room"], room_sid="", within=within)


def heard_until(earlier: Sequence[Line]) -> float | None:
    """Return the Unix seconds up to which earlier epochs have surely heard, by their lines alone.

    Args:
        earlier: Lines of earlier epochs, each once, in order of (epoch, sequence).

    Returns:
        None where nobody was to listen: there is no earlier epoch, or the last one ended in good
        order.
    """
    ended = next((n for n in range(len(earlier), 0, -1) if earlier[n - 1].kind == "ended"), 0)
    until: float | None = None
    for _, group in groupby(earlier[ended:], key=lambda line: line.epoch):
        lines = list(group)
        # One that died before it heard anything moves nothing: its own hole was not marked yet.
        if until is None or any(_is_proof(line) for line in lines):
            until = _heard_in(lines)
    return until


def gap(since: float | None, until: float) -> Hole | None:
    """Return the hole between two epochs, or None where it is too short to be one.

    Args:
        since: Up to when the earlier one had heard, Unix seconds; None: nobody was to listen.
        until: When the new one reads audio, Unix seconds.
    """
    if since is None or until - since <= HOLE_LEAST:
        return None
    return Hole(since, until, HoleCause.RESTART)


def _is_proof(line: Line) -> bool:
    return line.kind == "final" or (line.kind == "hole" and line.data["cause"] == HoleCause.RESTART)


def _heard_in(lines: Sequence[Line]) -> float:
    """Return up to when one epoch has heard: its last sign, or the start of speech left open."""
    began = next((line.data["started_at"] for line in lines if line.kind == "opened"), 0.0)
    last = 0.0
    speaking: dict[str, float] = {}
    for line in lines:
        if line.kind in ("final", "hole"):
            end = began + line.data["end_ms"] / 1000
            last = max(last, end)
            if line.kind == "final" and line.data["speaker"] in speaking:
                speaking[line.data["speaker"]] = max(speaking[line.data["speaker"]], end)
        else:
            last = max(last, line.at)
        if (
            line.kind == "note"
            and line.data.keys() >= {"agent", "kind", "data"}
            and line.data["agent"] == AGENT
        ):
            _follow(speaking, line.data)
    return min([last, *speaking.values()])


def _follow(speaking: dict[str, float], note: Mapping[str, Any]) -> None:
    kind, data = note["kind"], note["data"]
    if kind == SPEECH_START:
        speaking[data["identity"]] = datetime.fromisoformat(data["at"]).timestamp()
    elif kind in (SPEECH_END, DISCONNECTED):
        speaking.pop(data["identity"], None)
