"""Another job for a room whose job is gone: raise the epoch, fence the old one, dispatch again.

The room's lease is the only memory. Whoever takes it asks LiveKit for a job once; where none has
claimed it when its time is up, it is expired again, and some watcher takes it and asks again. A
room whose jobs die one after the other waits in the same way, as a lease that nobody holds.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import replace
from typing import Final

from livekit import api

from agents.captions import STATUS
from agents.failover import Fate, OpenRoom, fate, restart
from agents.handover import PATIENCE
from agents.identity import others
from agents.livekit_api import (
    dispatch_again,
    forget_dispatches,
    is_person,
    open_api,
    people_in,
    remove,
)
from agents.room_state import RoomState
from pipelines.events import CaptionState
from pipelines.lease import Lease, Leases
from pipelines.metrics import metrics
from pipelines.settings import Settings

log = logging.getLogger(__name__)

ASK_AGAIN: Final = (1.5, 2.0, 4.0, 8.0, 16.0)
"""Seconds that a dispatch has to be claimed in, by how often it was asked for before."""

API_TIMEOUT: Final = 3.0
"""Seconds that LiveKit's API has for one replacement."""

TAKEN_BACK: Final = 4.0
"""Seconds more, in which a job whose room nobody took over takes its lease back."""

REMEMBERED: Final = 8
"""Jobs that were taken for dead that a room's lease remembers: a hung one is killed by it."""

_PAUSED: Final = {False: CaptionState.INTERRUPTED, True: CaptionState.FAILED}
"""What people are told, by whether so many jobs died that trying again is not thought to help."""


class Replacement:
    """Brings a room's job back.

    Args:
        settings: The process's settings.
        leases: Who serves which room.
    """

    def __init__(self, settings: Settings, leases: Leases) -> None:
        self._settings = settings
        self._leases = leases

    async def see_to(
        self, lease: Lease, *, died: bool = False, metadata: str | None = None
    ) -> bool:
        """Replace the holder of a lease that is expired, or let the lease go.

        Args:
            lease: The room's, as it was read.
            died: The holder's process is gone, whatever its lease says.
            metadata: The job's, where it is known better than by the lease.

        Returns:
            Whether the holder was fenced and is replaced; else the lease may be looked at again.

        Raises:
            LeaseError: The leases can't be reached.
            TwirpError: LiveKit refuses.
            ClientError: LiveKit is not there.
            TimeoutError: It does not answer in time.
        """
        state = RoomState.of(lease.state)
        async with asyncio.timeout(API_TIMEOUT), open_api(self._settings) as livekit:
            room, ghosts = await self._look(livekit, lease)
            decided = fate(
                room,
                sid=state.sid,
                silent=state.silent + lease.age,
                continues=self._settings.continue_within,
            )
            if decided is Fate.FORGET:
                await self._leases.release(lease.key, epoch=lease.epoch)
            return decided is Fate.REPLACE and await self._replace(
                livekit,
                lease,
                state,
                first=_first(state, room.sid) if room else "",
                ghosts=ghosts,
                force=died,
                metadata=metadata,
            )

    async def hand_over(self, lease: Lease, *, metadata: str) -> None:
        """Have another worker take a room over from its job, which goes on until then.

        Args:
            lease: The room's, held by a job of this worker.
            metadata: The job's.

        Raises:
            LeaseError: The leases can't be reached.
            TwirpError: LiveKit refuses.
            ClientError: LiveKit is not there.
            TimeoutError: It does not answer in time.
        """
        room = lease.key.parts[0]
        state = RoomState.of(lease.state)
        state = replace(state, handover=lease.holder, leaving=state.identity, asked=1)
        async with asyncio.timeout(API_TIMEOUT), open_api(self._settings) as livekit:
            found, _ = await self._look(livekit, lease)
            if found is None or not found.people:
                return  # Its job ends by itself; a dispatch would open the room again.
            taken = await self._leases.take(
                lease.key,
                epoch=lease.epoch,
                floor=int(time.time() * 1000),
                ttl=PATIENCE + TAKEN_BACK,
                state=state.as_dict(),
                force=True,
            )
            if taken:
                log.info("room is to be handed over", extra={"room": room, "epoch": taken.epoch})
                await dispatch_again(
                    livekit,
                    room,
                    self._settings.agent_name,
                    metadata,
                    first=_first(state, found.sid),
                )

    async def _look(
        self, livekit: api.LiveKitAPI, lease: Lease
    ) -> tuple[OpenRoom | None, dict[str, int]]:
        """Return the room as LiveKit has it, and identity -> epoch of this lease's jobs in it."""
        name, agent_name, job_key = lease.key.parts
        listed, inside = await asyncio.gather(
            livekit.room.list_rooms(api.ListRoomsRequest(names=[name])), people_in(livekit, name)
        )
        people = sum(map(is_person, inside))
        room = next(
            (OpenRoom(one.sid, people=people, asks=True, age=0.0) for one in listed.rooms), None
        )
        ours = others(inside, agent_name=agent_name, room=name, job_key=job_key, me="")
        return room, ours

    async def _replace(
        self,
        livekit: api.LiveKitAPI,
        lease: Lease,
        state: RoomState,
        *,
        first: str,
        ghosts: dict[str, int],
        force: bool,
        metadata: str | None,
    ) -> bool:
        name = lease.key.parts[0]
        now = time.time()
        pause, loops = 0.0, False
        state = replace(state, silent=state.silent + lease.age)
        if not lease.holder or state.leaving not in ghosts:
            # It would have taken its lease back, or it is not there: it hands over nothing.
            state = replace(state, handover="", leaving="")
        if lease.holder:  # Somebody had it, and died.
            again = restart(state.restarts, now)
            pause, loops = again.after, again.loops
            dead = (*state.dead, lease.holder)[-REMEMBERED:]
            state = replace(state, asked=0, restarts=again.restarts, dead=dead)
        if not pause:
            state = replace(state, asked=state.asked + 1)
        taken = await self._leases.take(
            lease.key,
            epoch=lease.epoch,
            floor=int(now * 1000),
            ttl=pause or ASK_AGAIN[min(state.asked, len(ASK_AGAIN)) - 1],
            state=state.as_dict(),
            force=force,
        )
        if taken is None:  # Somebody else was quicker, or it lives.
            return False
        if lease.holder:
            metrics().replacements.labels("died" if force else "silent").inc()
        fields = {"room": name, "epoch": taken.epoch, "silent": round(lease.age, 3)}
        # Its successor has another identity: it may come while the ghost is put out.
        # One that hands over is none.
        gone = [
            who for who, epoch in ghosts.items() if epoch < taken.epoch and who != state.leaving
        ]
        fencing = [remove(livekit, name, who) for who in gone]
        if pause:
            log.error("jobs of a room die, the next one waits", extra={**fields, "pause": pause})
            reason = f"the agent stopped again and again; the next try is in {pause:.0f} s"
            await asyncio.gather(*fencing, self._tell(livekit, name, _PAUSED[loops], reason))
            return True
        if metadata is None:
            metadata = await _metadata(livekit, name, state)
        if metadata is None:
            # Without the key it would neither hear nor be heard, nor know what not to keep.
            log.error("encrypted room's job not replaced: its key is gone", extra=fields)
            reason = "the agent is gone, and the room's key with it; dispatch it again"
            await asyncio.gather(*fencing, self._tell(livekit, name, CaptionState.FAILED, reason))
            return True
        log.warning("job is replaced", extra={**fields, "asked": state.asked})
        agent_name = self._settings.agent_name
        asking = dispatch_again(livekit, name, agent_name, metadata, first=first)
        asked, *_ = await asyncio.gather(asking, *fencing)
        # Where it was asked for before in vain, that dispatch's job may be on its way; one that
        # hands over serves by its own.
        if state.asked == 1 and not state.leaving and asked:
            await forget_dispatches(livekit, name, agent_name, metadata, before=asked)
        return True

    async def _tell(
        self, livekit: api.LiveKitAPI, room: str, state: CaptionState, reason: str
    ) -> None:
        """Tell the room that nobody listens: by the server, for want of an agent in it."""
        if self._settings.listen_only:  # Its agents write no captions, and tell nothing.
            return
        notice = {"type": "captions", "state": state, "reason": reason}
        await livekit.room.send_data(
            api.SendDataRequest(
                room=room,
                data=json.dumps(notice).encode(),
                kind=api.DataPacket.Kind.RELIABLE,
                topic=STATUS,
            )
        )


def _first(state: RoomState, sid: str) -> str:
    """Return the dispatch that asked first; a room that was made anew has none of before."""
    return state.first if state.sid == sid else ""


async def _metadata(livekit: api.LiveKitAPI, room: str, state: RoomState) -> str | None:
    """Return the metadata to dispatch with; where it has a secret only LiveKit may know it."""
    if state.metadata is not None:
        return state.metadata
    ids = {state.first, state.dispatch}
    listed = await livekit.agent_dispatch.list_dispatch(room)
    return next((one.metadata for one in listed if one.id in ids), None)
