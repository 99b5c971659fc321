"""Child processes that recognise speech: started on demand, kept warm, bounded in number."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

from pipelines.errors import EngineFailedError
from pipelines.speech.local import frames

log = logging.getLogger(__name__)

ROOT: Final = Path(__file__).resolve().parents[3]
LOAD_TIMEOUT: Final = 600.0
"""Seconds that a model may take to load; a first use may download it."""
EXIT_TIMEOUT: Final = 2.0
"""Seconds that a child has to end after its stdin did."""


class ChildDiedError(Exception):
    """The child process ended in the middle of an utterance."""


class Child:
    """One child process; speaks :mod:`pipelines.speech.local.frames`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout

    @classmethod
    async def start(cls, config: Mapping[str, Any]) -> Child:
        """Start a child and wait until its model is loaded.

        Args:
            config: What ``CONFIG`` carries.

        Raises:
            EngineFailedError: The model can't be loaded; the message is the child's.
        """
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # a file of the working directory must not stand in for a library
            "-m",
            "pipelines.speech.local.child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # models print; some of them what they heard
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for the job
        )
        child = cls(process)
        try:
            child.send(frames.json_frame(frames.CONFIG, dict(config)))
            async with asyncio.timeout(LOAD_TIMEOUT):
                await child.receive()
        except (ChildDiedError, TimeoutError) as error:
            await child.kill()
            raise EngineFailedError(f"its process did not start ({type(error).__name__})") from None
        except BaseException:
            await child.kill()
            raise
        return child

    @property
    def alive(self) -> bool:
        """True until the process has ended."""
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def send(self, data: bytes) -> None:
        """Send a frame; never blocks. That the child died is seen by :meth:`receive`."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            self._stdin.write(data)

    async def receive(self) -> tuple[bytes, Any]:
        """Wait for a frame; return its kind and its JSON.

        Raises:
            ChildDiedError: The process ended.
            EngineFailedError: The model failed.
        """
        try:
            kind, payload = await frames.receive(self._stdout)
        except asyncio.IncompleteReadError:
            raise ChildDiedError from None
        value = json.loads(payload)
        if kind == frames.FAILED:
            raise EngineFailedError(value["reason"])
        return kind, value

    async def kill(self) -> None:
        """End the process now."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        self._stdin.close()

    async def aclose(self) -> None:
        """Let the process end by itself, which takes milliseconds; kill it if it does not."""
        self._stdin.close()
        try:
            async with asyncio.timeout(EXIT_TIMEOUT):
                await self._process.wait()
        except TimeoutError:
            await self.kill()


class Pool:
    """At most ``size`` children of one configuration; who finds none free waits in line."""

    def __init__(self, config: Mapping[str, Any], size: int) -> None:
        self._config = config
        self._free = asyncio.Semaphore(size)
        self._idle: list[Child] = []
        self._children: set[Child] = set()
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """Process ids of the children."""
        return [child.pid for child in self._children]

    @contextlib.asynccontextmanager
    async def child(self) -> AsyncIterator[Child]:
        """Lend a child for one utterance; one that is left in the middle of it is ended.

        Raises:
            EngineFailedError: No child can be started.
        """
        async with self._free:
            child = await self._take()
            try:
                yield child
            except BaseException:
                self._children.discard(child)
                await child.kill()
                raise
            self._idle.append(child)

    async def warm(self) -> None:
        """Start a child if there is none."""
        if not self._children:
            async with self.child():
                pass

    async def aclose(self) -> None:
        """End all children."""
        self._closed = True
        children = list(self._children)
        self._children.clear()
        self._idle.clear()
        await asyncio.gather(*(child.aclose() for child in children))

    async def _take(self) -> Child:
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            self._children.discard(child)
        if self._closed:
            raise EngineFailedError("it is closed")
        child = await Child.start(self._config)
        self._children.add(child)
        log.info("engine child started", extra={"pid": child.pid, **self._public()})
        return child

    def _public(self) -> dict[str, Any]:
        return {key: self._config[key] for key in ("library", "model") if key in self._config}
