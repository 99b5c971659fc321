"""Batches: of one epoch, bounded in lines and bytes, nothing left out."""

from __future__ import annotations

from pipelines.transcript.batches import BATCH, BATCH_BYTES, batches
from pipelines.transcript.line import Line


def line(sequence: int, *, epoch: int = 7, size: int = 0) -> Line:
    return Line("m", epoch, sequence, "note", 1000.0, {"text": "x" * size})


def test_a_batch_holds_so_many_lines_of_one_epoch() -> None:
    lines = [line(n) for n in range(1, BATCH + 2)] + [line(1, epoch=8)]
    cut = list(batches(lines))
    assert [len(batch) for batch in cut] == [BATCH, 1, 1]
    assert [one for batch in cut for one in batch] == lines


def test_long_lines_make_small_batches_and_one_that_is_too_long_goes_alone() -> None:
    lines = [line(n, size=BATCH_BYTES * 2 // 5) for n in range(1, 6)]
    lines.append(line(6, size=BATCH_BYTES))
    assert [[one.sequence for one in batch] for batch in batches(lines)] == [
        [1, 2],
        [3, 4],
        [5],
        [6],
    ]


def test_no_lines_make_no_batch() -> None:
    assert list(batches([])) == []
