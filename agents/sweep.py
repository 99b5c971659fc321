"""Finds open rooms that ask for agents and have none: a net below everything that is told.

A room may have opened while no worker ran, a dispatch may have been dropped, a lease may be gone
with its Redis. That agents are wanted is what its metadata says, or a dispatch that somebody made.
A nudge, which a webhook receiver writes, has one room looked at now; every agent name's sweep reads
it, and looks again soon where it could not.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Final

import aiohttp
from livekit import api
from livekit.protocol.agent_dispatch import AgentDispatch
from livekit.protocol.models import Room

from agents.failover import Lack, OpenRoom, lack
from agents.identity import EPOCH
from agents.livekit_api import (
    OURS,
    dispatch_again,
    forget_dispatches,
    is_person,
    open_api,
    people_in,
)
from agents.plugin import AgentSpec
from agents.room_settings import RoomSettings, fallback_settings, read_room_settings
from agents.room_state import room_key
from pipelines.errors import LeaseError, RoomSettingsError
from pipelines.lease import LeaseKey, Leases
from pipelines.metrics import metrics
from pipelines.settings import Settings

log = logging.getLogger(__name__)

API_TIMEOUT: Final = 10.0
"""Seconds that LiveKit's API has for one sweep."""

OTHERS: Final = 20
"""Rooms whose metadata asks for nobody that a sweep asks the dispatches of at most: they may be
another product's, and thousands. The rest has its turn in the next ones."""

FORGOTTEN: Final = 3600.0
"""Seconds for which it is remembered that a room was looked at."""

SOON: Final = 2.0
"""Seconds until a room whose agent may be on its way is looked at again."""


class Sweep:
    """Looks at open rooms now and then, and at those that are nudged.

    Args:
        settings: The process's settings.
        specs: The installed agents.
        leases: Who serves which room.
    """

    def __init__(self, settings: Settings, specs: Mapping[str, AgentSpec], leases: Leases) -> None:
        self._settings = settings
        self._specs = specs
        self._leases = leases
        self._again: dict[str, float] = {}
        self._seen: dict[str, float] = {}
        self._held: set[LeaseKey] = set()
        self._due = 0.0
        self._nudged_at = 0.0

    async def look(self) -> None:
        """Look at what is due; never fails."""
        try:
            # La Suite's agents come to who asks for them, to nobody else.
            if self._settings.profile or not self._settings.room_sweep_interval:
                return
            now = time.monotonic()
            nudges = await self._leases.nudges(self._nudged_at)
            nudged = {one.room for one in nudges if one.kind != "room_finished"}
            again = {name for name, at in self._again.items() if at <= now}
            self._nudged_at = max([self._nudged_at, *(one.at for one in nudges)])
            names = nudged | again
            # Until they were looked at.
            self._again |= dict.fromkeys(names, now + SOON)
            if now >= self._due:
                self._due = now + self._settings.room_sweep_interval
                await self._look(None)
            elif names:
                await self._look(sorted(names))
        except (LeaseError, api.TwirpError, aiohttp.ClientError, TimeoutError) as error:
            log.warning("rooms not looked at, next time", extra={"cause": repr(error)})

    async def _look(self, names: Sequence[str] | None) -> None:
        self._held = {one.key for one in await self._leases.leases("room")}
        served = {key.parts[0] for key in self._held if not key.parts[2]}
        looked = set(self._again if names is None else names)
        async with asyncio.timeout(API_TIMEOUT), open_api(self._settings) as livekit:
            listed = await livekit.room.list_rooms(api.ListRoomsRequest(names=names))
            self._again = {room: at for room, at in self._again.items() if room not in looked}
            # Whatever agent name holds it: the room is served.
            left = [one for one in listed.rooms if one.name not in served and one.num_participants]
            asking = [room for room in left if self._asks(room)]
            for room in asking:
                await self._look_at(livekit, room, asks=True)
            for room in self._next_of([room for room in left if room not in asking]):
                await self._look_at(livekit, room, asks=False)

    def _next_of(self, rooms: Sequence[Room]) -> list[Room]:
        """Return those of ``rooms`` that were not looked at for the longest time."""
        now = time.monotonic()
        chosen = sorted(rooms, key=lambda room: self._seen.get(room.sid, 0.0))[:OTHERS]
        self._seen |= {room.sid: now for room in chosen}
        self._seen = {sid: at for sid, at in self._seen.items() if now - at < FORGOTTEN}
        return chosen

    async def _look_at(self, livekit: api.LiveKitAPI, room: Room, *, asks: bool) -> None:
        name = self._settings.agent_name
        inside, dispatched = await asyncio.gather(
            people_in(livekit, room.name), livekit.agent_dispatch.list_dispatch(room.name)
        )
        if any(EPOCH in one.attributes for one in inside):
            return
        asked_by_name = {one.agent_name for one in dispatched} - {""}
        if asked_by_name and name not in asked_by_name:
            return  # Somebody asked for other agents: it is their room.
        now = time.time()
        ours = [one for one in dispatched if one.agent_name == name]
        times = [one.state.created_at / 1e9 for one in ours]
        # One that somebody made and that LiveKit dropped still stands for what they want.
        asked = [one for one in ours if OURS not in one.attributes]
        first = min(asked, key=lambda one: one.state.created_at, default=AgentDispatch())
        key = room_key(room.name, name, self._recording(room, first))
        if key in self._held:
            return
        tombstone = await self._leases.tombstone(key, room.sid)
        lacks = lack(
            OpenRoom(
                sid=room.sid,
                people=sum(map(is_person, inside)),
                asks=asks or bool(asked),
                age=now - room.creation_time,
                dispatched=now - max(times) if times else None,
            ),
            None,
            tombstone,
            explicit=False,
        )
        if lacks is Lack.SOON:
            self._again[room.name] = time.monotonic() + SOON
        if lacks is Lack.AGENT:
            if tombstone:
                await self._leases.clear_tombstone(key, room.sid, tombstone)
            metrics().replacements.labels("missing").inc()
            log.warning("room lacks its agent, dispatched", extra={"room": room.name})
            again = await dispatch_again(livekit, room.name, name, first.metadata, first=first.id)
            # One that was slow to come may have come at last.
            if not await self._leases.read(key):
                await forget_dispatches(livekit, room.name, name, first.metadata, before=again)

    def _asks(self, room: Room) -> bool:
        """Tell whether the room's metadata names agents that we have."""
        settings = self._read(room, "")
        return bool(settings and settings.agents)

    def _recording(self, room: Room, dispatch: AgentDispatch) -> str:
        """Return the id of the recording that a dispatch is for, or empty."""
        settings = self._read(room, dispatch.metadata) or fallback_settings(
            room.metadata, dispatch.metadata, specs=self._specs, defaults=()
        )
        return settings.recording_id

    def _read(self, room: Room, metadata: str) -> RoomSettings | None:
        """Return what a job with this metadata would be asked for; None where it is broken."""
        try:
            return read_room_settings(
                room.metadata,
                metadata,
                specs=self._specs,
                defaults=(),
                allowed=self._settings.allowed_agents,
            )
        except RoomSettingsError:
            return None
