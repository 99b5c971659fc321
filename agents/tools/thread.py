"""Runs a tool on a thread and loop of its own, so that one that blocks blocks nobody else.

A tool that is given up is asked to stop where it awaits something; its context then does nothing
more for it. A thread that never returns ends only with the job.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from agents.plugin import MeetingInfo
from agents.tools.tool import Tool, ToolContext
from pipelines.errors import ToolError
from pipelines.events import CaptionFinal, ChatReceived

T = TypeVar("T")


async def call_in_thread(
    tool: Tool, context: ToolContext, arguments: Mapping[str, Any], *, ended: Callable[[], None]
) -> Any:
    """Run ``tool.call`` on a thread and return what it returns; see ``Tool.call``.

    Args:
        tool: What is run.
        context: In the job's loop.
        arguments: For the tool.
        ended: Called in the job's loop once the thread is no more, given up or not.
    """
    job_loop = asyncio.get_running_loop()
    given = _ThreadContext(context, job_loop)
    thread = _ToolThread(tool, given, arguments, job_loop, ended)
    try:
        thread.start()
    except RuntimeError:  # The system has no more of them.
        ended()
        raise ToolError(f"{tool.name} can't be run now; try again later") from None
    try:
        return await thread.done
    finally:
        given.closed = True
        thread.cancel()


class _ToolThread(threading.Thread):
    """A daemon thread with one run of a tool and one event loop."""

    def __init__(
        self,
        tool: Tool,
        context: ToolContext,
        arguments: Mapping[str, Any],
        job_loop: asyncio.AbstractEventLoop,
        ended: Callable[[], None],
    ) -> None:
        super().__init__(name=f"tool {tool.name}", daemon=True)
        self._tool = tool
        self._context = context
        self._arguments = arguments
        self._job_loop = job_loop
        self._ended = ended
        self._variables = contextvars.copy_context()
        self._own: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None
        self._given_up = threading.Event()
        self.done: asyncio.Future[Any] = job_loop.create_future()

    def run(self) -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            with asyncio.Runner() as runner:
                result = runner.run(self._serve(), context=self._variables)
        except BaseException as caught:
            error = caught
        with suppress(RuntimeError):  # The job's loop is closed: nobody asks any more.
            self._job_loop.call_soon_threadsafe(self._tell, result, error)

    def cancel(self) -> None:
        """Ask the tool to stop where it awaits something."""
        self._given_up.set()
        if self._own:
            loop, task = self._own
            with suppress(RuntimeError):  # It has ended.
                loop.call_soon_threadsafe(task.cancel)

    async def _serve(self) -> Any:
        task = asyncio.current_task()
        assert task
        self._own = (asyncio.get_running_loop(), task)
        if not self._given_up.is_set():
            return await self._tool.call(self._context, self._arguments)
        return None

    def _tell(self, result: Any, error: BaseException | None) -> None:
        self._ended()
        if self.done.done():
            return
        if isinstance(error, Exception):
            self.done.set_exception(error)
        elif error:
            self.done.set_exception(RuntimeError(f"the tool ended with {type(error).__name__}"))
        else:
            self.done.set_result(result)


class _ThreadContext:
    """A thread-safe :class:`~agents.tools.tool.ToolContext` in front of one in the job's loop."""

    def __init__(self, inner: ToolContext, job_loop: asyncio.AbstractEventLoop) -> None:
        self._inner = inner
        self._job_loop = job_loop
        self.closed = False

    @property
    def info(self) -> MeetingInfo:
        """Identity and start of the meeting, and what its metadata says."""
        return self._inner.info

    @property
    def asked_by(self) -> str:
        """Who asked for the call."""
        return self._inner.asked_by

    @property
    def key(self) -> str:
        """The same for every try of one call."""
        return self._inner.key

    def participants(self) -> Mapping[str, str]:
        """Return identity -> display name of the people in the room now."""
        return self._inner.participants()

    async def said(self, *, since: float = 0.0) -> Sequence[CaptionFinal]:
        """Return the meeting's finals."""
        return await self._over_there(self._inner.said(since=since))

    def chat(self) -> AsyncIterator[ChatReceived]:
        """Iterate over the chat messages that come from now on."""

        async def opened() -> AsyncIterator[ChatReceived]:
            return self._inner.chat()

        # Waited for, or the first messages would be missed; the job's loop is quick.
        return asyncio.run_coroutine_threadsafe(opened(), self._job_loop).result()

    async def post_chat(self, text: str, *, key: str = "") -> None:
        """Write in the chat."""
        await self._over_there(self._inner.post_chat(text, key=key))

    async def note(self, kind: str, data: Mapping[str, Any], *, key: str = "") -> bool:
        """Keep a note of the agent ``tools``, once."""
        return await self._over_there(self._inner.note(kind, data, key=key))

    async def _over_there(self, call: Coroutine[Any, Any, T]) -> T:
        if self.closed:
            call.close()
            raise ToolError("the tool took too long, and was given up")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self._job_loop))
