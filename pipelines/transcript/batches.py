"""How lines are cut into what a store takes at once: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pipelines.transcript.line import Line

BATCH: Final = 200
"""Most lines in one call of a store."""

BLIND_BATCH: Final = 10
"""Most lines in one call of a store that can't be read back: what a crash may double there."""

BATCH_BYTES: Final = 1 << 20
"""Most bytes in one call, if it is more than one line: a slow network has some seconds for it."""


def batches(lines: Iterable[Line], *, most: int = BATCH) -> Iterator[Sequence[Line]]:
    """Cut lines, in order, into runs of one epoch that a store takes at once."""
    batch: list[Line] = []
    size = 0
    for line in lines:
        longer = size + len(line.encode())
        full = len(batch) == most or longer > BATCH_BYTES
        if batch and (full or line.epoch != batch[0].epoch):
            yield batch
            batch, longer = [], len(line.encode())
        batch.append(line)
        size = longer
    if batch:
        yield batch
