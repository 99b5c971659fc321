"""The lines of a meeting that nobody held: every kind of line, as a worker writes them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count
from typing import Any, Final

from pipelines.events import CaptionFinal, Hole, HoleCause
from pipelines.transcript.line import Line, LineKind, final_data, hole_data

STARTED: Final = 1_790_000_000.0
"""Start of the meeting, Unix seconds."""

_PEOPLE: Final = {"ada": "Ada Lovelace", "емма": "Емма", "li": "李 雷 🎙"}
_WORDS: Final = (
    "the",
    "budget",
    "is",
    "d'accord",
    "\\n",
    "二十四",
    "two\u2028lines",
    '"quoted"',
    "🚀",
)


def meeting_lines(meeting: str, epoch: int, *, lines: int, seed: int) -> Iterator[Line]:
    """Iterate over ``lines`` lines, the first ``opened`` and the last ``ended``.

    Most are finals; one in twelve revises the final before it. The same seed gives the same lines.
    """
    chance = random.Random(seed)
    numbers = count(1)

    def line(kind: LineKind, at: float, data: dict[str, Any]) -> Line:
        return Line(meeting, epoch, next(numbers), kind, round(at, 3), data)

    opened = {"room": "weekly", "room_sid": "RM_1", "started_at": STARTED}
    yield line("opened", STARTED, opened)
    at, index, segment, revision, speaker = STARTED, 0, 0, 0, "ada"
    for _ in range(lines - 2):
        at += chance.uniform(0.2, 4.0)
        kinds: list[LineKind] = ["final", "note", "state", "person", "hole"]
        match chance.choices(kinds, [20, 2, 1, 1, 1])[0]:
            case "note":
                data = {"n": index, "words": chance.choices(_WORDS, k=3)}
                yield line("note", at, {"agent": "metadata", "kind": "speech", "data": data})
            case "state":
                yield line("state", at, {"key": "presence", "value": {"n": index}})
            case "person":
                identity, name = chance.choice(list(_PEOPLE.items()))
                yield line("person", at, {"identity": identity, "name": name})
            case "hole":
                hole = Hole(at, at + 2.5, HoleCause.ENGINE, ("емма",), "no answer in 15 s")
                yield line("hole", at, hole_data(hole, meeting_start=STARTED))
            case _:
                index += 1
                if segment and chance.random() < 1 / 12:
                    revision += 1
                else:
                    segment, revision, speaker = segment + 1, 0, chance.choice(list(_PEOPLE))
                caption = CaptionFinal(
                    at=at,
                    end=at + 1.5,
                    segment=f"{epoch}-{segment}",
                    revision=revision,
                    identity=speaker,
                    name=_PEOPLE[speaker],
                    text=" ".join(chance.choices(_WORDS, k=chance.randint(1, 40))),
                    track="TR_1",
                    language="en",
                    engine="echo",
                    index=index,
                )
                yield line("final", at, final_data(caption, meeting_start=STARTED))
    yield line("ended", at + 1, {})
