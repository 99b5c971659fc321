"""Which dispatch is served, and under which identity: decisions only, without LiveKit."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from agents.identity import base_identity, identity_of
from pipelines.transcript.epochs import next_epoch

FULL: Final = 0.7
"""The load at which livekit-server (``agents.target_load``) drops a dispatch without a word."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What at most one job serves at a time."""

    room_sid: str
    agent_name: str
    job_key: str


@dataclass(frozen=True, slots=True)
class Accept:
    """Serve it, as ``identity``, in ``epoch``."""

    identity: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do not serve it.

    ``elsewhere`` lets LiveKit ask another worker; ``mistaken`` is whoever dispatched it.
    """

    reason: str
    elsewhere: bool = False
    mistaken: bool = False


def answer(
    claim: Claim,
    *,
    room: str,
    held: bool | None,
    ahead: Collection[Claim] = (),
    serving: Collection[Claim],
    present: Collection[str] | None,
    epochs: Collection[int],
    now: float,
    most: int,
    recordings_only: bool = False,
) -> Accept | Refuse:
    """Decide on a dispatch.

    Args:
        claim: What it asks for.
        room: Name of the room.
        held: Whether somebody alive holds the lease; None if that could not be asked.
        ahead: Claims of earlier dispatches of this worker that are not at the lease yet.
        serving: Claims that jobs of this worker hold, or will once they have a process.
        present: Identities in the room now; None if nobody could be asked.
        epochs: Epochs of the meeting so far.
        now: Unix seconds.
        most: Claims that this worker may hold.
        recordings_only: Whether it must be of a recording.
    """
    if recordings_only and not claim.job_key:
        return Refuse("its metadata must be a recording id, a bare UUID", mistaken=True)
    # An earlier one is on its way to the lease: who asked first is who may withdraw it.
    if held or claim in ahead or (held is None and claim in serving):
        return Refuse("a job serves the room under this name already")
    if len({*serving, *ahead} - {claim}) >= most:
        return Refuse("this worker holds as many meetings as it may", elsewhere=True)
    epoch = next_epoch(list(epochs), now=now)
    base = base_identity(claim.agent_name, room)
    # Never rejoin under the identity of a ghost: the server would end the new job too.
    plain = not epochs and present is not None and base not in present
    return Accept(identity_of(claim.agent_name, room, epoch, plain=plain), epoch)


def reported_load(meetings: int, *, most: int) -> float:
    """Return what a worker tells LiveKit: by its meetings, and always below ``FULL``.

    LiveKit spreads dispatches by it. A full worker refuses by itself, so that another one is asked
    or the refusal is at least logged. The machine's CPU is not in it: a busy neighbour is no reason
    to drop a dispatch.
    """
    return 0.9 * FULL * min(1.0, meetings / most)
