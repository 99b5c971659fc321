"""Runs the agents of a meeting side by side, so that none can harm the others.

An ``inline`` agent is a task of the job's loop. Any other runs on a thread and loop of its own:
what blocks there blocks nobody else. Its loop is asked for a sign of life every second; after 5 s
of silence the agent is failed, told to the room, and given nothing more. A thread that never
returns ends only with the job.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from agents.meeting import Desk, RoomMeeting
from agents.plugin import AgentSettings, AgentSpec, MeetingAgent
from agents.thread_meeting import ThreadMeeting
from pipelines.events import Event, SettingsChanged

log = logging.getLogger(__name__)

SILENCE: Final = 5.0
"""Seconds without a sign of life after which an agent is failed."""

_ASK: Final = 1.0


@dataclass(slots=True)
class _Running:
    spec: AgentSpec
    settings: AgentSettings
    meeting: RoomMeeting
    task: asyncio.Task[None]


class AgentHost:
    """Starts, feeds, re-configures and stops the agents of one meeting.

    ``failed`` has the names of those that raised, until they are started again.

    Args:
        desk: What they share.
        tasks: Owns the agents' tasks.
    """

    def __init__(self, desk: Desk, tasks: asyncio.TaskGroup) -> None:
        self._desk = desk
        self._tasks = tasks
        self._running: dict[str, _Running] = {}
        self.failed: set[str] = set()

    @property
    def names(self) -> frozenset[str]:
        """The agents that run."""
        return frozenset(self._running)

    @property
    def hears(self) -> bool:
        """Whether an agent that runs reads audio."""
        return any(running.spec.hears for running in self._running.values())

    def spread(self, event: Event) -> None:
        """Give an event to every agent."""
        for running in self._running.values():
            running.meeting.inbox.put(event)

    def start(self, spec: AgentSpec, settings: AgentSettings, *, so_far: list[Event]) -> None:
        """Start an agent; ``so_far`` tells it what is already the case."""
        self.failed.discard(spec.name)
        meeting = RoomMeeting(spec, self._desk)
        for event in so_far:
            meeting.inbox.put(event)
        task = self._tasks.create_task(
            self._run(spec, settings, meeting), name=f"agent {spec.name}"
        )
        self._running[spec.name] = _Running(spec, settings, meeting, task)

    def configure(self, name: str, settings: AgentSettings) -> None:
        """Tell a running agent its new settings, if they differ."""
        running = self._running[name]
        if running.settings != settings:
            running.settings = settings
            running.meeting.inbox.put(SettingsChanged(time.time(), settings))

    async def stop(self, name: str, *, deadline: float) -> None:
        """End what an agent is given and wait at most ``deadline`` seconds for it to return."""
        if running := self._running.pop(name, None):
            running.meeting.switch_off()
            await _ended(running.task, deadline)

    async def stop_all(self, *, deadline: float) -> None:
        """Stop every agent; the end of the room's intake has ended what they hear.

        Those that hear come first: the others are told the captions that they still settle.
        """
        for hears, share in ((True, 0.75), (False, 0.25)):
            last = [one for one in self._running.values() if one.spec.hears is hears]
            for running in last:
                running.meeting.inbox.close()
            await asyncio.gather(*(_ended(one.task, deadline * share) for one in last))
        self._running.clear()

    async def _run(self, spec: AgentSpec, settings: AgentSettings, meeting: RoomMeeting) -> None:
        run = self._run_inline if spec.isolation == "inline" else self._run_in_thread
        try:
            await run(lambda: spec.create(settings), meeting)
        except Exception as error:
            # Whatever a plugin raises: it is failed, the meeting goes on.
            # Its message may quote speech, so the log has where it was raised, not what it said.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error(
                "agent failed",
                extra={"agent": spec.name, "cause": type(error).__name__, "where": where},
            )
            self._failed(spec.name, type(error).__name__)
        finally:
            meeting.end()
            if (running := self._running.get(spec.name)) and running.meeting is meeting:
                del self._running[spec.name]

    def _failed(self, agent: str, reason: str) -> None:
        self.failed.add(agent)
        self._desk.captions.notify(
            "agent", {"agent": agent, "state": "failed", "reason": reason}, about=agent
        )

    async def _run_inline(self, create: Callable[[], MeetingAgent], meeting: RoomMeeting) -> None:
        await create().run(meeting)

    async def _run_in_thread(
        self, create: Callable[[], MeetingAgent], meeting: RoomMeeting
    ) -> None:
        job_loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = job_loop.create_future()
        worker = _AgentThread(create, ThreadMeeting(meeting, job_loop), job_loop, done)
        worker.start()
        try:
            while not done.done():
                await asyncio.wait({done}, timeout=_ASK)
                if worker.unanswered * _ASK >= SILENCE:
                    raise TimeoutError(f"no sign of life for {SILENCE:.0f} s")
                worker.ask()
            await done
        finally:
            done.cancel()
            worker.cancel()


async def _ended(task: asyncio.Task[None], deadline: float) -> None:
    await asyncio.wait({task}, timeout=deadline)
    task.cancel()


class _AgentThread(threading.Thread):
    """A daemon thread with one agent and one event loop."""

    def __init__(
        self,
        create: Callable[[], MeetingAgent],
        meeting: ThreadMeeting,
        job_loop: asyncio.AbstractEventLoop,
        done: asyncio.Future[None],
    ) -> None:
        super().__init__(name="agent", daemon=True)
        self._create = create
        self._meeting = meeting
        self._job_loop = job_loop
        self._done = done
        self._loop = asyncio.new_event_loop()
        self._main: asyncio.Task[None] | None = None
        self.unanswered = 0  # Asked, not timed: the whole process may have been stopped.

    def run(self) -> None:
        error: BaseException | None = None
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except BaseException as caught:
            error = caught
        with suppress(RuntimeError):  # The job's loop is closed: nobody asks any more.
            self._job_loop.call_soon_threadsafe(self._tell, error)

    def ask(self) -> None:
        """Ask the loop for a sign of life, which sets ``unanswered`` back."""
        self.unanswered += 1
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._sign)

    def cancel(self) -> None:
        """Ask the agent to stop where it awaits something."""
        with suppress(RuntimeError):
            if self._main:
                self._loop.call_soon_threadsafe(self._main.cancel)

    async def _serve(self) -> None:
        self._main = asyncio.current_task()
        await self._create().run(self._meeting)

    def _sign(self) -> None:
        self.unanswered = 0

    def _tell(self, error: BaseException | None) -> None:
        if self._done.done():
            return
        if isinstance(error, Exception):
            self._done.set_exception(error)
        elif error:
            self._done.set_exception(RuntimeError(f"the agent ended with {type(error).__name__}"))
        else:
            self._done.set_result(None)
