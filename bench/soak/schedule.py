"""Which fault strikes when: by seed alone, so that a run can be held again. Pure."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Final, Literal, get_args

Kind = Literal[
    "job killed",
    "job stopped",
    "torn line",
    "worker killed",
    "worker's parent killed",
    "worker stopped",
    "all workers killed",
    "worker told to end",
    "redis killed",
    "s3 killed",
    "http store killed",
    "livekit killed",
    "disk full",
    "disk read-only",
    "media cut",
    "host cut off",
    "tcp cut",
    "tcp hangs",
    "tcp slow",
    "clock jumps",
]

KINDS: Final[Sequence[Kind]] = get_args(Kind)

_LASTS: Final[dict[Kind, tuple[float, float]]] = {
    "job stopped": (5.0, 9.0),
    "worker killed": (0.5, 4.0),
    "worker's parent killed": (0.5, 4.0),
    "worker stopped": (5.0, 9.0),
    "all workers killed": (0.2, 1.0),
    "redis killed": (0.5, 8.0),
    "s3 killed": (0.5, 8.0),
    "http store killed": (0.5, 8.0),
    "livekit killed": (0.1, 1.0),
    "disk full": (3.0, 8.0),
    "disk read-only": (3.0, 8.0),
    "media cut": (1.5, 12.0),
    "host cut off": (1.5, 12.0),
    "tcp cut": (0.5, 6.0),
    "tcp hangs": (0.5, 6.0),
    "tcp slow": (3.0, 8.0),
    "clock jumps": (4.0, 8.0),
}
"""Seconds from the strike until it is mended; the others are over at once."""

_CALM: Final = (2.0, 6.0)


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault.

    Args:
        number: In the whole run, from 1.
        kind: What strikes.
        calm: Seconds without a fault before it, from when the last one is got over.
        lasts: Seconds until it is mended.
        seed: Of what else is left to chance: which service, how far a clock jumps.
    """

    number: int
    kind: Kind
    calm: float
    lasts: float
    seed: int


DEADLY: Final[frozenset[Kind]] = frozenset(
    {
        *("job killed", "job stopped", "torn line", "worker killed", "worker's parent killed"),
        *("worker stopped", "all workers killed", "disk read-only", "host cut off"),
    }
)
"""Those after which there is another job. A room whose jobs die in a row waits longer and longer
for the next (``agents/failover.py``), so that others come in between."""


def schedule(seed: int, *, kinds: Collection[Kind] = KINDS) -> Iterator[Strike]:
    """Iterate over strikes without end: every kind once, in random order, then again."""
    chance = random.Random(seed)
    number = 0
    while True:
        deadly = chance.sample(sorted(DEADLY & set(kinds)), len(DEADLY & set(kinds)))
        others = chance.sample(sorted(set(kinds) - DEADLY), len(set(kinds) - DEADLY))
        for kind in filter(None, chain.from_iterable(zip_longest(others, deadly))):
            number += 1
            yield Strike(
                number,
                kind,
                calm=round(chance.uniform(*_CALM), 2),
                lasts=round(chance.uniform(*_LASTS.get(kind, (0.0, 0.0))), 2),
                seed=chance.getrandbits(32),
            )
