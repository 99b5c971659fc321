"""Why an engine failed, in words that people understand and without secrets.

A provider's own message is left out: it may hold part of a key or of what was said.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from livekit.agents import APIConnectionError, APIError, APIStatusError, APITimeoutError

from pipelines.errors import EngineError, EngineFailedError


def is_worth_a_retry(error: Exception) -> bool:
    """Return True where the same request may succeed a moment later; a refused key never does."""
    return isinstance(error, APIError) and error.retryable


def failure(name: str, error: Exception, advice: str = "") -> EngineFailedError:
    """Return the error to show for ``error`` of the engine ``name``.

    Args:
        name: The engine, ``provider/model``.
        error: What its plugin raised.
        advice: What to do when the key is refused, e.g. ``check DEEPGRAM_API_KEY``.
    """
    return EngineFailedError(f"{name} {_reason(error, advice)}")


def _reason(error: Exception, advice: str) -> str:
    if isinstance(error, EngineError):
        return f"failed: {error}"
    chain = list(_causes(error))
    status = next((e.status_code for e in chain if isinstance(e, APIStatusError)), 0)
    if status > 0:
        return _answer(status, advice)
    root = type(chain[-1]).__name__
    if any(isinstance(e, APITimeoutError | TimeoutError) for e in chain):
        return "did not answer in time"
    if any(isinstance(e, APIConnectionError | APIStatusError) for e in chain):
        return f"can't be reached ({root})"
    return f"failed ({root})"


def _answer(status: int, advice: str) -> str:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"refused the key (HTTP {status})" + (f"; {advice}" if advice else "")
    if status in set(HTTPStatus):
        return f"answered HTTP {status} {HTTPStatus(status).phrase}"
    return f"closed the connection (code {status})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__
