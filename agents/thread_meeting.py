"""The meeting as an agent on a thread of its own sees it: calls go over to the job's loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from agents.audio import Speech
from agents.listening import Oldest
from agents.mailbox import Mailbox
from agents.meeting import RoomMeeting
from agents.plugin import AudioChunk, MeetingInfo, RpcCall, RpcHandler, Stored
from pipelines.events import CaptionFinal, CaptionInterim, Event
from pipelines.speech.engines import Engines

if TYPE_CHECKING:
    from agents.acting import Acting

T = TypeVar("T")


class ThreadMeeting:
    """A thread-safe :class:`agents.plugin.Meeting` in front of one in the job's loop.

    Args:
        inner: The meeting in the job's loop.
        job_loop: That loop.
    """

    def __init__(self, inner: RoomMeeting, job_loop: asyncio.AbstractEventLoop) -> None:
        self._inner = inner
        self._job_loop = job_loop

    @property
    def info(self) -> MeetingInfo:
        """Identity and start of the meeting."""
        return self._inner.info

    @property
    def engines(self) -> Engines:
        """Refused: a speech engine belongs to the job's loop.

        Raises:
            PermissionError: Always.
        """
        raise PermissionError('speech engines are for agents with isolation="inline"')

    @property
    def acting(self) -> Acting | None:
        """Refused: tools and approvals belong to the job's loop.

        Raises:
            PermissionError: Always.
        """
        raise PermissionError('tools and approvals are for agents with isolation="inline"')

    def events(self) -> AsyncIterator[Event]:
        """Iterate over what happens."""
        return self._inner.events()

    def participants(self) -> Mapping[str, str]:
        """Return identity -> display name of the people in the room."""
        return self._inner.participants()

    async def audio(self, identity: str) -> AsyncIterator[AudioChunk]:
        """Iterate over a participant's unmuted microphone."""
        async for chunk in await self._opened(lambda: self._inner.open_audio(identity)):
            yield chunk

    async def speech(self, identity: str) -> AsyncIterator[Speech]:
        """Iterate over what a participant says."""
        async for item in await self._opened(lambda: self._inner.open_speech(identity)):
            yield item

    async def publish(self, caption: CaptionInterim | CaptionFinal) -> None:
        """Show a caption and, where final, keep it."""
        await self._over_there(self._inner.publish(caption))

    def new_segment(self) -> str:
        """Return an unused id for a caption."""
        return self._inner.new_segment()

    async def notify(self, kind: str, **fields: Any) -> None:
        """Tell the room a fact."""
        await self._over_there(self._inner.notify(kind, **fields))

    async def send_data(self, payload: bytes | str, *, topic: str, to: Sequence[str] = ()) -> None:
        """Send text as a text stream, bytes as a reliable packet."""
        await self._over_there(self._inner.send_data(payload, topic=topic, to=to))

    async def register_rpc(self, method: str, handler: RpcHandler) -> None:
        """Answer RPC calls until the agent ends; the handler runs on the agent's loop."""
        own_loop = asyncio.get_running_loop()

        async def handle_here(call: RpcCall) -> str:
            # A handler may be any awaitable-returning callable; the loop wants a coroutine.
            return await handler(call)

        async def answer(call: RpcCall) -> str:
            return await asyncio.wrap_future(
                asyncio.run_coroutine_threadsafe(handle_here(call), own_loop)
            )

        await self._over_there(self._inner.register_rpc(method, answer))

    async def store(self, kind: str, data: Mapping[str, Any]) -> None:
        """Keep a line of the agent's own."""
        await self._over_there(self._inner.store(kind, data))

    async def stored(self) -> Sequence[Stored]:
        """Return what the agent stored so far."""
        return await self._over_there(self._inner.stored())

    async def mark_hole(self, identity: str, *, at: float, end: float, reason: str) -> None:
        """Keep that speech is lost, and tell the room."""
        await self._over_there(self._inner.mark_hole(identity, at=at, end=end, reason=reason))

    def watch_unsettled(self, oldest: Oldest) -> None:
        """Have the heartbeat ask how far back unsettled speech reaches."""
        self._job_loop.call_soon_threadsafe(self._inner.watch_unsettled, oldest)

    async def said(self, *, since: float = 0.0) -> Sequence[CaptionFinal]:
        """Return the meeting's finals."""
        return await self._over_there(self._inner.said(since=since))

    async def get_state(self, key: str) -> Any:
        """Return what was kept under ``key``, or None."""
        return await self._over_there(self._inner.get_state(key))

    async def set_state(self, key: str, value: Any) -> None:
        """Keep a small JSON value under ``key``."""
        await self._over_there(self._inner.set_state(key, value))

    async def _over_there(self, call: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self._job_loop))

    async def _opened(self, open_box: Callable[[], Mailbox[T]]) -> Mailbox[T]:
        async def opened() -> Mailbox[T]:
            return open_box()

        return await self._over_there(opened())
