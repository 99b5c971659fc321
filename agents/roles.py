"""What a participant may do in a meeting: pure.

A role counts only where it was given by somebody whom the room trusts: the room's metadata, which
only the server writes, or an attribute of a participant who can't change its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

ROLE_ATTRIBUTE: Final = "room_role"
"""Attribute of a participant's token, as La Suite Meet writes it."""


class Role(StrEnum):
    """From the least to the most trusted; an agent stands apart and is no person."""

    STRANGER = "stranger"
    ATTENDEE = "attendee"
    MODERATOR = "moderator"
    OWNER = "owner"
    AGENT = "agent"

    @property
    def is_person(self) -> bool:
        """Whether it is a person's role."""
        return self is not Role.AGENT

    def reaches(self, least: Role) -> bool:
        """Tell whether a person of this role may do what asks for ``least``; no agent may."""
        return self.is_person and _RANKS.index(self) >= _RANKS.index(least)


_RANKS: Final = (Role.STRANGER, Role.ATTENDEE, Role.MODERATOR, Role.OWNER)

_OF_ATTRIBUTE: Final[Mapping[str, Role]] = {
    "owner": Role.OWNER,
    "administrator": Role.MODERATOR,
    "moderator": Role.MODERATOR,
    "member": Role.ATTENDEE,
    "attendee": Role.ATTENDEE,
}


def role_of(
    identity: str,
    *,
    roles: Mapping[str, str],
    attributes: Mapping[str, str],
    may_update_attributes: bool,
    is_person: bool,
    is_seen: bool = True,
    closed: bool = False,
) -> Role:
    """Return the role of a participant.

    Args:
        identity: Who LiveKit says it is.
        roles: Identity -> role, from server-written metadata, ``createdByUserId`` included. Where
            it names an attendee it names everybody: whoever is not in it is a stranger.
        attributes: The participant's.
        may_update_attributes: Whether the participant can change them, so that they prove nothing.
        is_person: False of an agent and a recorder, by the kind that LiveKit vouches for.
        is_seen: False of a hidden participant: people don't see who would act, so only
            ``roles`` makes more than a stranger of it.
        closed: Whether whoever is not in ``roles`` is a stranger, whomever it names.
    """
    if not is_person:
        return Role.AGENT
    if told := roles.get(identity):
        return Role(told)
    if closed or not is_seen or Role.ATTENDEE in roles.values():
        return Role.STRANGER
    if may_update_attributes:
        return Role.ATTENDEE
    return _OF_ATTRIBUTE.get(attributes.get(ROLE_ATTRIBUTE, ""), Role.ATTENDEE)
