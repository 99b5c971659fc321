"""Which speech is a job's, while it and its successor are both in the room: pure.

A worker that ends hands its rooms over: the new job hears before the old one leaves. At one moment,
the watershed, the old one begins no further span of speech; it finishes those that are open. Of
each speaker it tells the cut: a moment in the silence after the last that it takes. The new one
keeps back what it hears until it knows the cut, and takes what comes after.

Each job has a detector and a clock of its own. One may see a span where the other sees two, or its
start a tenth of a second later, on this side or that of any moment that was agreed before. A moment
in the middle of a silence lies in the same silence for both.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from pipelines.speech.spans import PRE_ROLL

LONGEST: Final = 10.0
"""Seconds after the watershed in which the old job finishes; of speech that goes on without a pause
for longer, the new one takes the rest."""

UNDECIDED: Final = 0.75
"""Seconds at the end of what was heard in which speech may have begun and is not found yet."""

SPEECH: Final = 0.5
"""Probability from which a piece is speech."""


class Sound(Protocol):
    """A piece of audio of one speaker."""

    @property
    def at(self) -> float:
        """Its start, Unix seconds."""

    @property
    def speech(self) -> float:
        """How likely somebody speaks in it, 0 to 1."""


S = TypeVar("S", bound=Sound)


@dataclass(frozen=True, slots=True)
class Began:
    """A span of speech began at ``at``, Unix seconds."""

    at: float


@dataclass(frozen=True, slots=True)
class Ceased:
    """It ended at ``at``, Unix seconds."""

    at: float


@dataclass(slots=True)
class Turn:
    """The time that is a job's, in Unix seconds.

    Args:
        since: The watershed to its predecessor.
        until: The watershed to its successor; infinite until it has passed.
        cuts: Identity -> where this job's share of their speech begins, None where it is not known
            yet. None as a whole: the predecessor has not told.
        others: The same for all who are not in it: the predecessor never heard them.
    """

    since: float = -math.inf
    until: float = math.inf
    cuts: Mapping[str, float | None] | None = field(default_factory=dict)
    others: float = -math.inf

    def has(self, at: float) -> bool:
        """Tell whether what happened at ``at``, and is no speech, is this job's."""
        return self.since <= at < self.until

    def begins(self, identity: str) -> float | None:
        """Return where this job's share of somebody's speech begins; None: not known yet."""
        return None if self.cuts is None else self.cuts.get(identity, self.others)

    def leave_the_rest(self) -> None:
        """Take nothing of which the share is not known by now: the predecessor does."""
        if self.cuts is None:
            self.cuts, self.others = {}, math.inf
        self.cuts = {who: math.inf if cut is None else cut for who, cut in self.cuts.items()}

    @property
    def is_over(self) -> bool:
        """Whether no further span of speech is this job's."""
        return self.until < math.inf


class Share(Generic[S]):
    """What a job takes of one speaker's speech: a detector's spans in, the job's spans out.

    ``speaking`` tells whether a span is open. ``cut`` is where the successor's share begins, once
    it is known.
    """

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._passed_over = False  # a span is open that began in the predecessor's share
        self._lead: deque[S] = deque()  # of it, what may lead into this job's first words
        self._quiet_at = 0.0  # in the silence after the last span
        self._ends_at = math.inf
        self.speaking = False
        self.cut: float | None = None

    def began(self, at: float, *, begins: float) -> Iterator[Began]:
        """A span began; ``begins`` is where the job's share does."""
        if self._turn.is_over:
            return
        self._passed_over = at < begins
        self._lead.clear()
        if not self._passed_over:
            self.speaking = True
            yield Began(at)

    def sounds(self, sound: S, *, begins: float) -> Iterator[Began | S | Ceased]:
        """It goes on."""
        if self.speaking and sound.at >= self._ends_at:
            yield from self._cease(sound.at, quiet_at=sound.at)
        if sound.at < begins:
            return
        if self._passed_over and not self._turn.is_over:
            yield from self._go_on(sound)
        elif self.speaking:
            yield sound

    def ceased(self, at: float, *, heard: float) -> Iterator[Ceased]:
        """It ended at ``at``, with silence from there up to ``heard``."""
        self._passed_over = False
        if self.speaking:
            yield from self._cease(at, quiet_at=(at + heard) / 2)

    def hand_over(self, heard: float) -> None:
        """Begin no further span: the watershed has come, and audio up to ``heard`` was taken."""
        self._ends_at = self._turn.until + LONGEST
        if not self.speaking:
            self.cut = max(self._quiet_at, heard - UNDECIDED)

    def _go_on(self, sound: S) -> Iterator[Began | S]:
        """Begin in the middle of a span, where the first speech is: to the other job it is new."""
        self._lead.append(sound)
        if sound.speech < SPEECH:
            while self._lead[0].at < sound.at - PRE_ROLL:
                self._lead.popleft()
            return
        self._passed_over, self.speaking = False, True
        yield Began(sound.at)
        yield from self._lead

    def _cease(self, at: float, *, quiet_at: float) -> Iterator[Ceased]:
        self.speaking = False
        self._quiet_at = quiet_at
        if self._turn.is_over:
            self.cut = quiet_at
        yield Ceased(at)
