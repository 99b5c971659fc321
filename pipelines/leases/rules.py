"""What becomes of a lease's record: the rules that the files follow, and Redis' scripts too.

Each function returns the new record, or None where the answer is no. ``now`` is in seconds, of one
clock for all who look.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pipelines.lease import Lease, LeaseKey

SKEW: Final = 1.0
"""Seconds that a clock may be set back before a record from its future is taken for an old one."""

NOTHING: Final = "{}"
"""The state of a gone lease."""


@dataclass(frozen=True, slots=True)
class Record:
    """A lease as it is kept.

    Args:
        epoch: Never lowered.
        holder: "" where it was taken and nobody has claimed it.
        state: JSON.
        at: When it was last claimed, beaten, taken or released.
        until: When it expires.
        gone: Whether it was released.
    """

    epoch: int
    holder: str
    state: str
    at: float
    until: float
    gone: bool = False

    def left(self, now: float) -> float:
        """Return the seconds until it expires; 0 where the clock was set back behind it."""
        # A dead holder must not live for as long as somebody set the clock back.
        return self.until - now if self.at <= now + SKEW else 0.0

    def is_alive(self, now: float) -> bool:
        """Tell whether its holder lives, or whoever is to claim it may still come."""
        return not self.gone and self.left(now) > 0


def claimed(
    stored: Record | None, now: float, *, holder: str, epoch: int, ttl: float, state: str
) -> Record | None:
    """Return the record once ``holder`` has it; None where another one is alive."""
    if stored is not None:
        same = not stored.gone and stored.holder in {holder, ""}
        if not same and stored.is_alive(now):
            return None
        epoch = max(epoch, stored.epoch if same else stored.epoch + 1)
    return Record(epoch, holder, state, now, now + ttl)


def beaten(
    stored: Record | None, now: float, *, holder: str, epoch: int, ttl: float, state: str
) -> Record | None:
    """Return the record after a beat; None where the holder is fenced."""
    # A lower epoch: the lease was lost, and one that is fenced has made it again. The newer counts.
    if stored is not None and stored.epoch >= epoch:
        same = stored.epoch == epoch and stored.holder in {holder, ""}
        if stored.gone or not same:
            return None
    return Record(epoch, holder, state, now, now + ttl)


def taken(
    stored: Record | None,
    now: float,
    *,
    epoch: int,
    floor: int,
    ttl: float,
    state: str,
    force: bool,
) -> Record | None:
    """Return the record without a holder, in the next epoch; None where it is not to be taken."""
    if stored is not None and (
        stored.epoch > epoch
        or (stored.is_alive(now) and not force)
        or (stored.gone and stored.epoch == epoch)
    ):
        return None
    return Record(max(epoch, floor) + 1, "", state, now, now + ttl)


def released(stored: Record | None, now: float, *, epoch: int) -> Record | None:
    """Return the record that remembers the epoch; None where a higher one has the lease."""
    if stored is not None and stored.epoch > epoch:
        return None
    return Record(epoch, "", NOTHING, now, now, gone=True)


def lease_of(key: LeaseKey, record: Record, now: float) -> Lease:
    """Return the lease that is kept in a record."""
    return Lease(
        key=key,
        epoch=record.epoch,
        holder=record.holder,
        state=json.loads(record.state),
        left=record.left(now),
        age=max(0.0, now - record.at),
    )


def encoded(state: Mapping[str, Any]) -> str:
    """Return a state as it is kept.

    Raises:
        ValueError: It is no JSON: it holds a NaN, or a type that JSON has not.
    """
    try:
        return json.dumps(state, separators=(",", ":"), allow_nan=False)
    except TypeError as error:
        raise ValueError(f"a lease's state is a JSON object: {error}") from None
