"""Run one coroutine until it is done or the process is asked to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any


def run_until_stopped(main: Coroutine[Any, Any, None]) -> None:
    """Run ``main``; SIGTERM and SIGINT cancel it, so that what it opened is closed in order."""
    asyncio.run(_run(main))


async def _run(main: Coroutine[Any, Any, None]) -> None:
    stopped = asyncio.Event()
    own = asyncio.current_task()

    def stop() -> None:
        stopped.set()
        if own is not None:
            own.cancel()

    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop)
    try:
        await main
    except asyncio.CancelledError:
        if not stopped.is_set():
            raise
