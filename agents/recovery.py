"""Looks for journals that a dead job left: at the worker's start, now and then, and when told.

The receiver of LiveKit's webhooks tells by a nudge that a room is over.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

import aiohttp
from livekit import api

from agents.livekit_api import is_dispatched, is_room_open, open_api
from agents.room_state import RoomState
from pipelines.errors import LeaseError
from pipelines.lease import Lease, Leases
from pipelines.settings import Settings
from pipelines.transcript.recording_file import open_recording_file
from pipelines.transcript.recovery import recover
from pipelines.transcript.resume import Before, goes_on
from pipelines.transcript.stores.open_stores import open_stores

log = logging.getLogger(__name__)

NUDGE_INTERVAL: Final = 1.0
"""Seconds between two looks for nudges."""


class Recovery:
    """The worker's one task beside its jobs: replay and seal what is left behind.

    Args:
        settings: The process's settings.
        leases: Who serves which room, of all workers.
    """

    def __init__(self, settings: Settings, leases: Leases) -> None:
        self._settings = settings
        self._leases = leases
        self._nudged_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin in the running loop; LiveKit's runner cancels it with the loop."""
        self._task = asyncio.create_task(self._run(), name="recovery")

    async def _run(self) -> None:
        stores = open_stores(self._settings)
        recording_file = open_recording_file(self._settings)
        while True:
            try:
                await recover(
                    self._settings.journal_dir,
                    stores.all,
                    is_open=self._is_open,
                    is_served=self._is_served,
                    finish=recording_file.finish if recording_file else None,
                    index=stores.redis,
                    vanished_after=self._settings.vanished_after,
                    continue_within=self._settings.continue_within,
                )
            except Exception:
                # The next look is the retry; the worker's meetings must not end for it.
                log.exception("recovery failed, next look later")
            await self._until_due()

    async def _until_due(self) -> None:
        """Return when the interval has passed, or when somebody nudges."""
        due = time.monotonic() + self._settings.recover_interval
        while (left := due - time.monotonic()) > 0:
            await asyncio.sleep(min(left, NUDGE_INTERVAL))
            if await self._nudged():
                return

    async def _nudged(self) -> bool:
        # Every host reads each nudge: the room's journal may be on any of them.
        try:
            nudges = await self._leases.nudges(self._nudged_at)
        except LeaseError as error:
            log.debug("nudges not read", extra={"cause": str(error)})
            return False
        self._nudged_at = max([self._nudged_at, *(one.at for one in nudges)])
        return any(one.kind == "room_finished" for one in nudges)

    async def _is_served(self, meeting: str) -> bool:
        """Tell whether a job has the meeting, if only to end it, or the next one may go on with it.

        A journal here may be that of an epoch long ago, and the room's SID another one since
        LiveKit was restarted: neither tells that the meeting is over.
        """
        try:
            leases = await self._leases.leases("room")
        except LeaseError as error:
            raise ConnectionError(f"nobody says whether the meeting is served: {error}") from error
        return any(self._serves(one, meeting) for one in leases)

    def _serves(self, lease: Lease, meeting: str) -> bool:
        state = RoomState.of(lease.state)
        if state.meeting != meeting:
            return False
        before = Before(meeting, state.sid, state.silent + lease.age)
        within = self._settings.continue_within
        return bool(lease.holder and not lease.expired) or goes_on(
            before, room=lease.key.parts[0], room_sid="", within=within
        )

    async def _is_open(self, room: str, sid: str, dispatch: str) -> bool:
        try:
            async with asyncio.timeout(5), open_api(self._settings) as livekit:
                return await is_room_open(livekit, room, sid) and (
                    not dispatch or await is_dispatched(livekit, room, dispatch)
                )
        except (api.TwirpError, aiohttp.ClientError, TimeoutError) as error:
            raise ConnectionError(
                f"LiveKit does not say whether the room is open: {error}"
            ) from error
