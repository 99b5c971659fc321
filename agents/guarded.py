"""What goes wrong with one participant or one event is logged, and ends nothing else."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec

log = logging.getLogger(__name__)
P = ParamSpec("P")


def guarded(handler: Callable[P, None]) -> Callable[P, None]:
    """Log what a handler raises: rtc would stop calling the handlers after it."""

    @wraps(handler)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            handler(*args, **kwargs)
        except Exception:
            log.exception("room event not handled", extra={"handler": handler.__name__})

    return guarded


async def logged(work: Awaitable[None]) -> None:
    """Log what a participant's task raises; it does not end the room."""
    try:
        await work
    except Exception:
        log.exception("participant's task failed")
