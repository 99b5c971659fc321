"""What an engine's failure means, and why it failed in words that people understand.

A provider's own message is left out: it may hold part of a key or of what was said. So is the name
of an exception, which says nothing to the people in the room; the log has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus

from livekit.agents import APIConnectionError, APIError, APIStatusError, APITimeoutError

from pipelines.errors import EngineError, EngineFailedError
from pipelines.retry_after import seconds_to_wait


class CircuitOpenError(EngineError):
    """It fails for everybody at the moment, and is left alone for a while."""


class EngineSilentError(EngineError):
    """It did not answer in time."""


class NonsenseError(EngineError):
    """It sent an answer that can't be read."""


class TroubleKind(Enum):
    """What to do about a failure."""

    FAILED = auto()
    """Ask again, or another engine."""
    SLOW = auto()
    """It cost a time-out: another engine first."""
    REFUSED = auto()
    """The engine wants another key, account or model: don't ask again until something changes."""
    REJECTED = auto()
    """It will not take this speech; the next may be welcome."""
    LEFT_ALONE = auto()
    """It was not asked at all: its circuit is open."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure of an engine.

    Args:
        kind: What to do about it.
        reason: In words that people understand, the engine's name first.
        retry_after: Seconds that the engine asked us to wait, where it did.
    """

    kind: TroubleKind
    reason: str
    retry_after: float | None = None


_ABOUT_THE_KEY = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_REFUSALS = (*_ABOUT_THE_KEY, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.NOT_FOUND)
_SLOW = (APITimeoutError, TimeoutError, EngineSilentError)
_CANT_READ = (NonsenseError, ValueError, TypeError, AttributeError)
_UNWORDED = (EngineSilentError, NonsenseError)
_UNREADABLE = "sent an answer that can't be read"


def trouble(name: str, error: Exception, advice: str = "", *, now: float = 0.0) -> Trouble:
    """Say what ``error`` of the engine ``name`` means.

    Args:
        name: The engine, ``provider/model``.
        error: What its plugin raised.
        advice: What to do when the key is refused, e.g. ``check DEEPGRAM_API_KEY``.
        now: Unix seconds, for a date in ``Retry-After``.
    """
    chain = list(_causes(error))
    status = next((e.status_code for e in chain if isinstance(e, APIStatusError)), 0)
    reason = f"{name} {_reason(chain, status, advice)}"
    return Trouble(_kind(chain, status), reason, retry_after(error, now=now))


def failure(name: str, error: Exception, advice: str = "") -> EngineFailedError:
    """Return the error to show for ``error`` of the engine ``name``; see :func:`trouble`."""
    return EngineFailedError(trouble(name, error, advice).reason)


def _kind(chain: list[BaseException], status: int) -> TroubleKind:
    if isinstance(chain[0], CircuitOpenError):
        return TroubleKind.LEFT_ALONE
    if status in _REFUSALS:
        return TroubleKind.REFUSED
    if isinstance(chain[0], APIError) and not chain[0].retryable:
        return TroubleKind.REJECTED
    if any(isinstance(e, _SLOW) for e in chain):
        return TroubleKind.SLOW
    return TroubleKind.FAILED


def _reason(chain: list[BaseException], status: int, advice: str) -> str:
    if isinstance(chain[0], EngineError) and not isinstance(chain[0], _UNWORDED):
        return f"failed: {chain[0]}"
    if status > 0:
        return _answer(status, advice)
    if any(isinstance(e, _SLOW) for e in chain):
        return "did not answer in time"
    if any(isinstance(e, _CANT_READ) for e in chain):
        return _UNREADABLE  # As a plugin fails that tries to read it.
    if any(isinstance(e, APIConnectionError | APIStatusError) for e in chain):
        return "can't be reached"
    return "failed for a reason that the log tells"


def _answer(status: int, advice: str) -> str:
    if status in _ABOUT_THE_KEY:
        return f"refused the key (HTTP {status})" + (f"; {advice}" if advice else "")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return f"is asked too much (HTTP {status})"
    if status in set(HTTPStatus):
        return f"answered HTTP {status} {HTTPStatus(status).phrase}"
    return f"closed the connection (code {status})"


def retry_after(error: BaseException, *, now: float) -> float | None:
    """Return the seconds of ``Retry-After``: plugins drop it, the error they caught still has it.

    Args:
        error: What a plugin raised.
        now: Unix seconds, for a date.
    """
    for cause in _causes(error):
        response = getattr(cause, "response", None)
        headers = getattr(cause, "headers", None) or getattr(response, "headers", None)
        text = headers.get("Retry-After", "") if headers else ""
        if text:
            return seconds_to_wait(text, now=now)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Follow causes, and what ``from None`` hides."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or at.__context__
