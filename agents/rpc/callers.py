"""Who calls: the identity that LiveKit vouches for, and the role that the room gives it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import aiohttp
from livekit import api, rtc
from livekit.protocol.models import ParticipantInfo

from agents.roles import Role, role_of
from agents.room import NOT_PEOPLE
from agents.room_settings import RoomSettings

log = logging.getLogger(__name__)

UNSEEN: Final = 4.0
"""Seconds until the room has told of somebody who joined: LiveKit tells of those who publish
nothing every 3 s."""

LOOKED_UP: Final = 2.0
"""Seconds that the server may take to say who somebody is."""

_LOOK: Final = 0.05

LookUp = Callable[[str], Awaitable[ParticipantInfo | None]]


@dataclass(frozen=True, slots=True)
class Caller:
    """A participant as our methods know them."""

    identity: str
    name: str
    role: Role


class Callers:
    """The participants of a room with their roles.

    Args:
        room: The connected room.
        asked: Tells what the room's metadata asks for now.
        look_up: Asks the server for a participant whom the room has not told of.
    """

    def __init__(self, room: rtc.Room, asked: Callable[[], RoomSettings], look_up: LookUp) -> None:
        self._room = room
        self._asked = asked
        self._look_up = look_up
        self._newcomers: dict[str, tuple[Caller, float]] = {}

    async def seen(self, identity: str) -> Caller:
        """Return a participant, who may have joined just now, or be hidden.

        Whom neither the room nor the server knows is a stranger.
        """
        if caller := self._in_room(identity):
            return caller
        try:
            async with asyncio.timeout(LOOKED_UP):
                info = await self._look_up(identity)
        except (api.TwirpError, aiohttp.ClientError, TimeoutError) as error:
            log.warning("server does not say who calls", extra={"cause": type(error).__name__})
            return await self._waited_for(identity)
        if info is None:
            return Caller(identity, "", Role.STRANGER)
        caller = self._caller(
            info,
            may_update=info.permission.can_update_metadata or not info.HasField("permission"),
            is_seen=not info.permission.hidden,
        )
        if caller.role.is_person and not info.permission.hidden:
            self._newcomers[identity] = (caller, _now())
        return caller

    def people(self) -> list[Caller]:
        """Return the people in the room, strangers included.

        Who has just joined is there once they call, until the room should have told of them.
        """
        here = [found for who in self._room.remote_participants if (found := self._in_room(who))]
        # The room never tells of who is gone before it would have told of them.
        latest = _now() - UNSEEN
        self._newcomers = {who: new for who, new in self._newcomers.items() if new[1] > latest}
        newcomers = {who: caller for who, (caller, _) in self._newcomers.items()}
        callers = {**newcomers, **{caller.identity: caller for caller in here}}
        return [caller for caller in callers.values() if caller.role.is_person]

    def left(self, identity: str) -> None:
        """Forget somebody who has left."""
        self._newcomers.pop(identity, None)

    def least(self, method: str) -> Role | None:
        """Return the least role that the metadata asks for, where it says one for ``method``."""
        return self._asked().permissions.get(method)

    def _in_room(self, identity: str) -> Caller | None:
        participant = self._room.remote_participants.get(identity)
        if participant is None:
            return None
        self._newcomers.pop(identity, None)
        may = participant.permissions
        # Where no permissions are told, nothing says that it may not.
        return self._caller(
            participant, may_update=may.can_update_metadata or not may.IsInitialized()
        )

    def _caller(
        self,
        participant: rtc.RemoteParticipant | ParticipantInfo,
        *,
        may_update: bool,
        is_seen: bool = True,
    ) -> Caller:
        asked = self._asked()
        role = role_of(
            participant.identity,
            roles=asked.roles,
            attributes=participant.attributes,
            may_update_attributes=may_update,
            is_person=participant.kind not in NOT_PEOPLE,
            is_seen=is_seen,
            closed=asked.closed,
        )
        return Caller(participant.identity, participant.name, role)

    async def _waited_for(self, identity: str) -> Caller:
        for _ in range(round(UNSEEN / _LOOK)):
            if caller := self._in_room(identity):
                return caller
            await asyncio.sleep(_LOOK)
        return Caller(identity, "", Role.STRANGER)


def _now() -> float:
    return asyncio.get_running_loop().time()
