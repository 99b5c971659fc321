"""The worker's part in that the agent comes back: it sees its own jobs die, and watches all rooms.

A job that dies is known here at once, by its process; one whose worker or host died, or that
hangs, by its silent lease.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import aiohttp
from livekit import api
from livekit.agents import AgentServer
from livekit.agents.job import JobAcceptArguments
from livekit.protocol.agent import Job

from agents.identity import JOB_KEY
from agents.livekit_compat import ClosedJob, kill_job, on_job_closed
from agents.plugin import AgentSpec
from agents.replacement import Replacement
from agents.room_state import RoomState, room_key
from agents.sweep import Sweep
from agents.watcher import Watcher
from pipelines.errors import LeaseError
from pipelines.lease import Lease, LeaseKey, Leases
from pipelines.settings import Settings

log = logging.getLogger(__name__)

_FAILURES: Final = (LeaseError, api.TwirpError, aiohttp.ClientError, TimeoutError)

DRAINING: Final = 0.1
"""Seconds between two looks whether the worker is told to end."""

NOT_ASKED: Final = 2.0
"""Seconds until a hand-over is tried again that could not be asked for."""

NOBODY_CAME: Final = (15.0, 30.0, 60.0)
"""Seconds until a hand-over is tried again, by how often it was; then the last."""


class Comeback:
    """One worker's watch over jobs; begun in the worker's loop.

    Args:
        settings: The process's settings.
        server: The worker.
        specs: The installed agents.
        leases: Who serves which room.
    """

    def __init__(
        self,
        settings: Settings,
        server: AgentServer,
        specs: Mapping[str, AgentSpec],
        leases: Leases,
    ) -> None:
        self._settings = settings
        self._server = server
        self._leases = leases
        self._replacement = Replacement(settings, leases)
        self._sweep = Sweep(settings, specs, leases)
        self._closed: asyncio.Queue[ClosedJob] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin in the running loop; LiveKit's runner cancels it with the loop."""
        on_job_closed(self._server, self._closed.put_nowait)
        self._task = asyncio.create_task(self._run(), name="comeback")

    async def _run(self) -> None:
        watcher = Watcher(
            self._leases,
            self._settings.agent_name,
            ttl=self._settings.lease_ttl,
            see_to=self._silent,
            sweep=self._sweep.look,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watcher.run(), name="watcher")
            tasks.create_task(self._hand_over_in_the_end(), name="hand-over")
            tasks.create_task(self._end_the_hung(), name="hung jobs")
            while True:
                closed = await self._closed.get()
                tasks.create_task(self._died(closed), name="replacement")

    async def _died(self, closed: ClosedJob) -> None:
        """See to the room of a job of this worker whose process is gone."""
        key = room_key(
            closed.job.room.name, self._settings.agent_name, closed.attributes.get(JOB_KEY, "")
        )
        try:
            lease = await self._leases.read(key)
            # One that ended in good order has let go of its room.
            if lease and closed.job.id in _serving(lease):
                await self._replacement.see_to(lease, died=True, metadata=closed.job.metadata)
        except _FAILURES as error:
            # The watcher finds its lease expired.
            cause = {"room": closed.job.room.name, "cause": repr(error)}
            log.warning("job not replaced at once", extra=cause)
        except Exception:
            # One room's trouble is not that of the others.
            log.exception("job not replaced at once", extra={"room": closed.job.room.name})

    async def _hand_over_in_the_end(self) -> None:
        """Have other workers take this one's rooms over, once it is told to end."""
        while not self._server.draining:  # noqa: ASYNC110 - LiveKit's worker tells nobody
            await asyncio.sleep(DRAINING)
        clock = asyncio.get_running_loop().time
        due: dict[str, float] = {}
        tries: Counter[str] = Counter()
        while True:  # A job that was accepted before may begin now; whoever can take one may come.
            for info in self._server.active_jobs:
                job = info.job
                if clock() < due.get(job.id, 0.0):
                    continue
                pause = NOBODY_CAME[min(tries[job.id], len(NOBODY_CAME) - 1)]
                if await self._hand_over(job, self._key(job, info.accept_arguments)):
                    tries[job.id] += 1
                else:
                    pause = NOT_ASKED
                due[job.id] = clock() + pause
            await asyncio.sleep(DRAINING)

    async def _hand_over(self, job: Job, key: LeaseKey) -> bool:
        """Have the room of a job handed over; return whether that could be asked for."""
        try:
            lease = await self._leases.read(key)
            if lease and lease.holder == job.id:
                await self._replacement.hand_over(lease, metadata=job.metadata)
        except _FAILURES as error:
            # The job goes on until the meeting or the worker's patience ends.
            fields = {"room": job.room.name, "cause": repr(error)}
            log.warning("room not handed over, next try soon", extra=fields)
            return False
        except Exception:
            # One room's trouble is not that of the others.
            log.exception("room not handed over", extra={"room": job.room.name})
        return True

    async def _silent(self, lease: Lease) -> bool:
        """See to a room whose lease is expired; return whether its job is replaced now.

        Raises:
            ConnectionError: LiveKit can't be reached.
        """
        try:
            return await self._replacement.see_to(lease)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConnectionError(f"LiveKit can't be reached: {error!r}") from error
        except (LeaseError, api.TwirpError) as error:
            cause = {"room": lease.key.parts[0], "cause": repr(error)}
            log.warning("job not replaced, next try soon", extra=cause)
            return False

    async def _end_the_hung(self) -> None:
        """Kill jobs of this worker that were taken for dead and are there still.

        One that can leaves by itself with its next heartbeat; LiveKit's worker waits a minute.
        """
        suspects: set[str] = set()
        while True:
            await asyncio.sleep(2 * self._settings.lease_ttl)
            dead = set()
            for info in self._server.active_jobs:
                with suppress(LeaseError):
                    lease = await self._leases.read(self._key(info.job, info.accept_arguments))
                    if not lease or lease.holder == info.job.id:
                        continue  # It has shown that it lives.
                    if info.job.id in RoomState.of(lease.state).dead:
                        dead.add(info.job.id)
            for job_id in dead & suspects:
                if kill_job(self._server, job_id):
                    log.error("hung job killed", extra={"job_id": job_id})
            suspects = dead

    def _key(self, job: Job, accepted: JobAcceptArguments) -> LeaseKey:
        job_key = (accepted.attributes or {}).get(JOB_KEY, "")
        return room_key(job.room.name, self._settings.agent_name, job_key)


def _serving(lease: Lease) -> set[str]:
    """Return the id of the job that serves, also if it is to hand over and nobody has come."""
    return {lease.holder or RoomState.of(lease.state).handover} - {""}
