"""Under which identity a job is in its room, and which others there are of the same agent."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from livekit.protocol.models import ParticipantInfo

EPOCH: Final = "greffier.epoch"
JOB_KEY: Final = "greffier.job"
"""Attributes of every agent of ours."""


def base_identity(agent_name: str, room: str) -> str:
    """Return the identity of a first epoch, as La Suite Meet names its agents."""
    return f"{agent_name or 'greffier'}-{room}"


def identity_of(agent_name: str, room: str, epoch: int, *, plain: bool) -> str:
    """Return the identity of a job: ``plain`` is a first epoch's, any other carries its number."""
    base = base_identity(agent_name, room)
    return base if plain else f"{base}-e{epoch}"


def others(
    participants: Collection[ParticipantInfo], *, agent_name: str, room: str, job_key: str, me: str
) -> dict[str, int]:
    """Return identity -> epoch of this job's other epochs in the room: ghosts, or a newer one."""
    ours = re.compile(re.escape(base_identity(agent_name, room)) + r"(-e\d+)?")
    return {
        participant.identity: int(participant.attributes.get(EPOCH, "0"))
        for participant in participants
        if participant.kind == ParticipantInfo.Kind.AGENT
        and ours.fullmatch(participant.identity)
        and participant.attributes.get(JOB_KEY, "") == job_key
        and participant.identity != me
    }
