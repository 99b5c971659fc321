"""The lines of a recording that nobody made, as a collector writes them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any, Final

from pipelines.events import iso
from pipelines.transcript.line import Line, LineKind

RECORDING: Final = "7f3c2f0e-6b1d-4d58-9a53-0c5b1f6b7a11"
MEETING: Final = f"recording-{RECORDING}"
START: Final = 1_790_000_000.0
"""Start of the meeting, Unix seconds."""


class RecordingLines:
    """The lines of one epoch, in ``lines``; times are seconds from the start of the meeting.

    Args:
        epoch: Of the job that writes them.
        at: When it began.
    """

    def __init__(self, *, epoch: int = 7, at: float = 0.0) -> None:
        self.lines: list[Line] = []
        self._epoch = epoch
        self._sequence = count(1)
        opened = {"room": "r", "room_sid": "RM_1", "started_at": START, "recording": RECORDING}
        self.line("opened", at, opened)

    def line(self, kind: LineKind, at: float, data: dict[str, Any]) -> None:
        """Write any line."""
        line = Line(MEETING, self._epoch, next(self._sequence), kind, START + at, data)
        self.lines.append(Line.decode(line.encode()))

    def note(self, kind: str, at: float, *, written: float | None = None, **data: Any) -> None:
        """Write a note of the metadata agent; ``written`` is when, if not at once."""
        fields = {"at": iso(START + at), **data}
        note = {"agent": "metadata", "kind": kind, "data": fields}
        self.line("note", at if written is None else written, note)

    def join(self, who: str, at: float, name: str = "") -> None:
        """Somebody joins."""
        self.line("person", at, {"identity": who, "name": name})
        self.note("participant_connected", at, identity=who)

    def rename(self, who: str, at: float, name: str) -> None:
        """Somebody has another name."""
        self.line("person", at, {"identity": who, "name": name})

    def leave(self, who: str, at: float) -> None:
        """Somebody leaves."""
        self.note("participant_disconnected", at, identity=who)

    def start(self, who: str, at: float) -> None:
        """Somebody begins to speak, which is found a little later."""
        self.note("speech_start", at, written=at + 0.2, identity=who)

    def end(self, who: str, at: float, started: float) -> None:
        """Somebody who began at ``started`` ends."""
        self.note("speech_end", at, written=at + 0.6, identity=who, started_at=iso(START + started))

    def say(self, who: str, start: float, end: float) -> None:
        """Somebody speaks from ``start`` to ``end``."""
        self.start(who, start)
        self.end(who, end, start)

    def finish(self, at: float) -> None:
        """The job ends in good order."""
        self.line("ended", at, {})


def two_hours(seed: int) -> list[Line]:
    """Make the lines of two hours: ten people come, go, rename, talk at once and chat."""
    meeting, chance = RecordingLines(), random.Random(seed)
    doings = [doing for n in range(10) for doing in _doings(meeting, f"p{n}", chance)]
    for _, do in sorted(doings, key=lambda one: one[0]):
        do()
    meeting.finish(7300.0)
    return meeting.lines


def _doings(
    meeting: RecordingLines, who: str, chance: random.Random
) -> Iterator[tuple[float, Callable[[], None]]]:
    at = chance.uniform(0, 60)
    yield at, partial(meeting.join, who, at, f"Name of {who}")
    while (at := at + chance.uniform(1, 60)) < 7200:
        match chance.choices(["say", "leave", "rename", "chat"], [90, 3, 2, 5])[0]:
            case "say":
                end = at + chance.uniform(0.3, 30)
                yield at, partial(meeting.start, who, at)
                if chance.random() < 0.95:  # The others are cut off by a leave, or by the end.
                    yield end, partial(meeting.end, who, end, at)
                at = end
            case "leave":
                yield at, partial(meeting.leave, who, at)
                at += 5
                yield at, partial(meeting.join, who, at, f"Name of {who}")
            case "rename":
                yield at, partial(meeting.rename, who, at, f"{who} at {at:.0f}")
            case "chat":
                yield at, partial(meeting.note, "chat_received", at, identity=who, text="…")
