"""An event loop whose clock jumps to the next timer: seconds of waiting take none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

P = ParamSpec("P")


class VirtualLoop(asyncio.SelectorEventLoop):
    """For code without sockets and threads: whoever waits for those would be passed by."""

    _jumped = 0.0
    _ready: Any
    _scheduled: Any

    def time(self) -> float:
        return super().time() + self._jumped

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            self._jumped += max(0.0, self._scheduled[0].when() - self.time())
        super()._run_once()  # type: ignore[misc]


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test in a loop of its own whose seconds take no time."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
