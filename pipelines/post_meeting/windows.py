"""What of a meeting is put before a model at once: numbered lines, cut into windows.

Pure. A window fits the model's context by an estimate that is meant to be too high: byte pair
encodings differ, and a request that is too long is refused whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from pipelines.transcript.document import Segment
from pipelines.transcript.escapes import one_line

_LETTERS_PER_TOKEN: Final = 3  # English has some 4.5, Finnish with an English encoding some 3
_LETTERS: Final = re.compile(r"[A-Za-z]+")
_OTHERS: Final = re.compile(r"[^\sA-Za-z]|\n")
_MOST_PER_CHARACTER: Final = 3  # tokens
_LONGEST_NAME: Final = 60  # characters
_EARLIEST: Final = 0.8  # of its fair share: where a window may end for the sake of a pause


@dataclass(frozen=True, slots=True)
class Window:
    """Lines that are put before a model at once.

    Args:
        first: Number of the first line, counted from 1 over the whole meeting.
        last: Number of the last.
        text: The lines, ``number|speaker|words`` each.
    """

    first: int
    last: int
    text: str

    @property
    def numbers(self) -> range:
        """The numbers of its lines."""
        return range(self.first, self.last + 1)


def tokens(text: str) -> int:
    """Return how many tokens a text takes at most, by estimate.

    A word counts a token for every three letters of ASCII, a digit and a sign one each. Other
    characters count a token less than they have bytes in UTF-8: one in Greek, Cyrillic and Arabic,
    two in Chinese and Devanagari.
    """
    words = sum(-(-len(word) // _LETTERS_PER_TOKEN) for word in _LETTERS.findall(text))
    others = _OTHERS.findall(text)
    if text.isascii():
        return words + len(others)
    return words + sum(max(1, len(char.encode(errors="replace")) - 1) for char in others)


def windows(segments: Sequence[Segment], room: int) -> list[Window]:
    """Cut a meeting into windows of about the same size, in pauses where there are some.

    A speaker can't forge a line or a name: what was said has no line breaks, a name no ``|``. A
    segment that is too long for one window is carried on in the next, under the same number.

    Args:
        segments: All of the meeting, in order.
        room: Most tokens of a window.
    """
    lines = [
        (number, line)
        for number, segment in enumerate(segments, start=1)
        for line in _lines(number, segment, room)
    ]
    ends = [segments[number - 1].end_ms for number, _ in lines]
    starts = [segments[number - 1].start_ms for number, _ in lines]
    pauses = [start - end for start, end in zip(starts[1:], ends[:-1], strict=True)]
    return [
        Window(
            lines[part.start][0], lines[part.stop - 1][0], "\n".join(lines[at][1] for at in part)
        )
        for part in split([tokens(line) + 1 for _, line in lines], room, pauses)
    ]


def split(costs: Sequence[int], room: int, pauses: Sequence[int] = ()) -> list[range]:
    """Cut a sequence into as few parts as fit, of about the same cost; a part is never empty.

    Args:
        costs: Of each item; one that is dearer than ``room`` has a part of its own.
        room: What a part may cost.
        pauses: After each item but the last: where a cut is welcome, the longer the more.
    """
    total = [0, *accumulate(costs)]
    parts: list[range] = []
    start = 0
    while start < len(costs):
        left = total[-1] - total[start]
        share = left / max(1, -(-left // room))
        end = start + 1
        while (
            end < len(costs)
            and total[end + 1] - total[start] <= room
            and (total[end] - total[start] < share)
        ):
            end += 1
        if pauses and end < len(costs):
            cuts = [
                at
                for at in range(start + 1, end + 1)
                if total[at] - total[start] >= _EARLIEST * share or at == end
            ]
            end = max(cuts, key=lambda cut: (pauses[cut - 1], cut))
        parts.append(range(start, end))
        start = end
    return parts


def _lines(number: int, segment: Segment, room: int) -> Iterator[str]:
    name = one_line(segment.name).replace("|", "/")[:_LONGEST_NAME] or "?"
    head = f"{number}|{name}|"
    text = one_line(segment.text)
    left = room - tokens(head) - 1
    if len(text) * _MOST_PER_CHARACTER <= left or tokens(text) <= left:
        yield head + text
        return
    size = max(1, left // _MOST_PER_CHARACTER)
    for at in range(0, len(text), size):
        yield head + text[at : at + size]
