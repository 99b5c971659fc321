"""How a Redis server is reached, and what its failures mean.

One server, or a primary with replicas behind one address; Redis Cluster is not supported, because
a meeting's keys and the index of meetings change together. Redis 6.2 or newer.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    ConnectionError,  # noqa: A004 - the library's own; the built-in one is an OSError
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004 - as above
)

from pipelines.errors import SettingsError, StoreError, StoreRefusedError
from pipelines.transcript.stores.address import StoreAddress

LONGEST_CALL: Final = 30.0
"""Seconds after which a server that says nothing has failed; most callers wait less."""

_UNACKNOWLEDGED: Final = 30_000
"""Milliseconds that sent bytes may go unacknowledged. A call that was given up leaves the kernel
with what it had not sent; to a host that vanished, Linux would else go on for 15 minutes."""

_KEEPALIVE: Final = {
    getattr(socket, name): value
    for name, value in (
        ("TCP_KEEPIDLE", 30),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", _UNACKNOWLEDGED),
    )
    if hasattr(socket, name)
}

# Redis' error codes: https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors
_REFUSALS: Final[Mapping[str, str]] = {
    "NOAUTH": "it refuses the user or password",
    "NOPERM": "its user may not run our scripts (EVALSHA, SCRIPT LOAD) on keys greffier:*",
    "CLUSTER": "it is a Redis Cluster, which is not supported",
    "WRONGTYPE": "a key that begins with greffier: is not ours",
}
_FAILURES: Final[Mapping[str, str]] = {
    "OOM": "its memory is full (maxmemory)",
    "READONLY": "it is a replica, or was made one just now",
    "LOADING": "it is still loading its data",
    "MISCONF": "it can't write to its own disk",
    "BUSY": "a script keeps it busy",
    "NOREPLICAS": "it has too few replicas",
    "MASTERDOWN": "it is a replica without its primary",
}
_CODES: Final[tuple[tuple[type[RedisError], str], ...]] = (
    # The library takes the code out of the text of these.
    (AuthenticationError, "NOAUTH"),
    (AuthorizationError, "NOAUTH"),
    (NoPermissionError, "NOPERM"),
    (ClusterCrossSlotError, "CLUSTER"),
    (ClusterDownError, "CLUSTER"),
    (MovedError, "CLUSTER"),
    (OutOfMemoryError, "OOM"),
    (ReadOnlyError, "READONLY"),
    (BusyLoadingError, "LOADING"),
)
# Before Redis 7 a script's error has its code in the middle: `ERR Error running script: -OOM ...`.
_CODE: Final = re.compile(rf"\b({'|'.join((*_REFUSALS, *_FAILURES))})\b")


def open_redis(address: StoreAddress, *, setting: str = "GREFFIER_STORES") -> Redis:
    """Return a client that makes one try per call; it connects when it is first used.

    Args:
        address: Of the server.
        setting: Which has the address, for who has to correct it.

    Raises:
        SettingsError: The address has an option that there is not.
    """
    try:
        # RESP2: with RESP3 the library also takes maintenance notices, and then no longer drops
        # a pooled connection that has an unread reply. No time-out of the library's own: before
        # Python 3.12 it could swallow a cancellation (`asyncio.wait_for`).
        client: Redis = Redis.from_url(
            address.url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=None,
            socket_connect_timeout=None,
            socket_keepalive=True,
            socket_keepalive_options=_KEEPALIVE,
        )
        # Connects to nothing, but an option that there is not comes to light now.
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # library's
    except (TypeError, ValueError, RedisError) as error:  # the last: what it can't make of TLS
        raise SettingsError(f"{setting}: {address}: {error}") from None
    return client


@asynccontextmanager
async def redis_call(
    address: StoreAddress, *, within: float = LONGEST_CALL, setting: str = "GREFFIER_STORES"
) -> AsyncIterator[None]:
    """Turn whatever the library raises into our errors, and bound the time.

    Args:
        address: Of the server that is called.
        within: Seconds.
        setting: Which has the address, for who has to correct it.

    Raises:
        StoreError: Redis could not do it.
        StoreRefusedError: It will not do it until the operator changes something.
    """
    try:
        async with asyncio.timeout(within):
            yield
    except (RedisError, OSError) as error:  # the built-in TimeoutError is an OSError
        # Not `from error`: a reply may quote what was sent, which is what people said.
        raise _store_error(address, error, setting) from None


def _store_error(address: StoreAddress, error: Exception, setting: str) -> StoreError:
    code = _code(error)
    if code in _REFUSALS:
        return StoreRefusedError(
            f"{address}: {_REFUSALS[code]}; correct its address in {setting}, or the server"
        )
    return StoreError(f"{address}: {_FAILURES.get(code) or _described(error)}")


def _code(error: Exception) -> str:
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    found = _CODE.search(str(error)) if isinstance(error, ResponseError) else None
    return found[1] if found else ""


def _described(error: Exception) -> str:
    match error:
        case ConnectionError():  # the library's words: host, port and the system's cause
            return str(error)
        case TimeoutError() | OSError():
            return "no answer in time"
        case _:
            return f"it answered {type(error).__name__}"


def as_text(value: Any) -> str:
    """Return what Redis gave, as text; ids from metadata may hold lone surrogates."""
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else str(value)
