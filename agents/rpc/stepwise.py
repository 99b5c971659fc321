"""What a coroutine takes of its event loop, step by step."""

from __future__ import annotations

import time
import types
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def stepwise(
    coroutine: Coroutine[Any, Any, T], spent: Callable[[float], None]
) -> Generator[Any, Any, T]:
    """Await ``coroutine``, and tell ``spent`` the seconds of each of its steps as it ends.

    A step goes from one wait to the next: nothing else runs in the loop meanwhile. Its seconds are
    those of the thread's processor time, so that a busy host does not count.
    """
    step: Callable[[], Any] = partial(coroutine.send, None)
    while True:
        began = time.thread_time()
        try:
            waits_for = step()
        except StopIteration as returned:
            result: T = returned.value
            return result
        finally:
            spent(time.thread_time() - began)
        try:
            sent = yield waits_for
        except BaseException as error:  # A cancellation, or what it waited for has failed.
            step = partial(coroutine.throw, error)
        else:
            step = partial(coroutine.send, sent)
