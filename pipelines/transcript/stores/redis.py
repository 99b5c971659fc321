"""The Redis store: a stream a meeting, and an index of those that are not sealed.

::

    greffier:{<meeting key>}:lines   stream; field `line` is the encoded line
    greffier:{<meeting key>}:kept    set of `epoch:sequence`; what the stream has
    greffier:{<meeting key>}:checkpoints   hash: `epoch:store` -> last sequence, of other stores
    greffier:unsealed                sorted set: meeting id, Unix time of its last new line, or
                                 of the last look of the host that has its journal

A sealed meeting leaves the index and its keys expire. Redis Cluster is not supported: a meeting's
keys and the index change in one script.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from redis.exceptions import RedisError

from pipelines.transcript.line import Line, TornLineError, distinct
from pipelines.transcript.paths import meeting_key
from pipelines.transcript.stores.address import StoreAddress
from pipelines.transcript.stores.redis_connection import as_text, open_redis, redis_call

log = logging.getLogger(__name__)

INDEX: Final = "greffier:unsealed"

KEPT_AFTER_SEAL: Final = 7 * 24 * 3600
"""Seconds until a sealed meeting's lines go. Every other store has them by then; a week leaves time
to see that one of them did not keep what it took, and to seal again."""

_CALL_BYTES: Final = 1 << 20
"""Most bytes in one script: Redis serves nobody else while it runs, and others' captions wait."""

_PAGE: Final = 200
"""Entries in one reply: what is decoded without letting go of the event loop."""

_CLOSING: Final = 1.0
"""Seconds for saying goodbye to a server that may be gone."""

# KEYS: stream, set, index; ARGV: meeting id, then key and line by turns.
# The line goes before its key: an error between the two costs a line kept twice, which the reader
# drops, not one that is never kept. A set without its stream (evicted, deleted) tells nothing.
_APPEND: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[2])
end
local new = 0
for i = 2, #ARGV, 2 do
  if redis.call('SISMEMBER', KEYS[2], ARGV[i]) == 0 then
    redis.call('XADD', KEYS[1], '*', 'line', ARGV[i + 1])
    redis.call('SADD', KEYS[2], ARGV[i])
    new = new + 1
  end
end
if new > 0 then
  local now = redis.call('TIME')
  redis.call('ZADD', KEYS[3], string.format('%d.%06d', now[1], now[2]), ARGV[1])
  redis.call('PERSIST', KEYS[1])
  redis.call('PERSIST', KEYS[2])
end
return new
"""

# KEYS: hash; ARGV: field, sequence.
_NOTE: Final = """
if tonumber(ARGV[2]) > tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0') then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
redis.call('PERSIST', KEYS[1])
"""

# KEYS: stream, set, index, hash; ARGV: meeting id, seconds until the keys expire, lines sealed.
_SEALED: Final = """
if redis.call('SCARD', KEYS[2]) > tonumber(ARGV[3]) then
  return
end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('EXPIRE', KEYS[4], ARGV[2])
"""

# KEYS: index; ARGV: meeting id.
_TOUCH: Final = """
local now = redis.call('TIME')
redis.call('ZADD', KEYS[1], 'XX', string.format('%d.%06d', now[1], now[2]), ARGV[1])
"""

# KEYS: index; ARGV: seconds. Redis' clock is the only one that all hosts share.
_UNSEALED: Final = """
local now = redis.call('TIME')
local latest = string.format('(%.6f', now[1] + now[2] / 1000000 - ARGV[1])
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', latest)
"""


class RedisStore:
    """Keeps lines in the Redis at ``address``; safe for any number of processes and hosts.

    Raises:
        SettingsError: The address has an option that there is not.
    """

    reads_back = True

    def __init__(self, address: StoreAddress) -> None:
        self.name = address.name
        self._address = address
        self._redis = open_redis(address)
        self._append = self._redis.register_script(_APPEND)
        self._seal = self._redis.register_script(_SEALED)
        self._unsealed = self._redis.register_script(_UNSEALED)
        self._touch = self._redis.register_script(_TOUCH)
        self._note = self._redis.register_script(_NOTE)

    async def ping(self) -> None:
        """Return when Redis answers.

        Raises:
            StoreError: It does not.
        """
        async with redis_call(self._address):
            await self._redis.ping()

    async def append(self, meeting: str, lines: Sequence[Line]) -> None:
        """Append those of ``lines`` that the stream does not have, in one script or few.

        Raises:
            StoreError: Redis could not, or is not there.
            StoreRefusedError: It refuses our key, or is a cluster.
        """
        for arguments in _calls(lines):
            async with redis_call(self._address):
                await self._append(keys=_keys(meeting), args=[_member(meeting), *arguments])

    async def read(self, meeting: str) -> list[Line]:
        """Return every line of the meeting once, in order of (epoch, sequence).

        Raises:
            StoreError: Redis could not, or is not there.
        """
        stream = _keys(meeting)[0]
        lines: list[Line] = []
        foreign = 0
        after = "-"
        while after:
            async with redis_call(self._address):
                # Any: the library's annotation allows for replies that XRANGE does not give.
                page: Any = await self._redis.xrange(stream, min=after, max="+", count=_PAGE)
            for _, fields in page:
                try:
                    lines.append(Line.decode(fields[b"line"]))
                except (TornLineError, KeyError):
                    foreign += 1
            after = f"({as_text(page[-1][0])}" if len(page) == _PAGE else ""
        if foreign:
            log.warning(
                "entries in the meeting's stream are no lines of ours",
                extra={"store": self.name, "entries": foreign},
            )
        return distinct(lines)

    async def unsealed(self, *, idle: float) -> list[str]:
        """Return the meetings not sealed that got no new line for ``idle`` seconds, oldest first.

        Redis' clock counts. A meeting whose people are silent is among them, so whoever seals one
        looks first whether its room is open.

        Raises:
            StoreError: Redis could not, or is not there.
        """
        async with redis_call(self._address):
            found = await self._unsealed(keys=[INDEX], args=[idle])
        return [as_text(meeting) for meeting in found]

    async def touch(self, meeting: str) -> None:
        """Note that a host has the meeting's journal and sees to it: it is not idle.

        Raises:
            StoreError: Redis could not, or is not there.
        """
        async with redis_call(self._address):
            await self._touch(keys=[INDEX], args=[_member(meeting)])

    async def sealed(self, meeting: str, lines: int) -> None:
        """Take the meeting out of the index and let its lines expire in a week.

        Nothing changes where it has more than ``lines``. A new line that comes later brings the
        meeting back, with all it has.

        Raises:
            StoreError: Redis could not, or is not there.
        """
        async with redis_call(self._address):
            keys = [*_keys(meeting), _checkpoints_key(meeting)]
            await self._seal(keys=keys, args=[_member(meeting), KEPT_AFTER_SEAL, lines])

    async def note_checkpoint(self, meeting: str, store: str, epoch: int, sequence: int) -> None:
        """Note that ``store`` has the lines of ``epoch`` up to ``sequence``; never goes back.

        Raises:
            StoreError: Redis could not, or is not there.
        """
        async with redis_call(self._address):
            await self._note(keys=[_checkpoints_key(meeting)], args=[f"{epoch}:{store}", sequence])

    async def checkpoints(self, meeting: str, store: str) -> dict[int, int]:
        """Return epoch -> the last sequence that was noted for ``store``.

        Raises:
            StoreError: Redis could not, or is not there.
        """
        async with redis_call(self._address):
            # Any: the library's annotation allows for a client that does not wait.
            noted: Any = await self._redis.hgetall(_checkpoints_key(meeting))
        found = {}
        for field, sequence in noted.items():
            epoch, _, name = as_text(field).partition(":")
            if name == store:
                found[int(epoch)] = int(sequence)
        return found

    async def aclose(self) -> None:
        """Close the connections; never fails, and waits a second at most."""
        with suppress(RedisError, OSError):
            async with asyncio.timeout(_CLOSING):
                await self._redis.aclose()


def _keys(meeting: str) -> list[str]:
    key = meeting_key(meeting)
    return [f"greffier:{{{key}}}:lines", f"greffier:{{{key}}}:kept", INDEX]


def _checkpoints_key(meeting: str) -> str:
    return f"greffier:{{{meeting_key(meeting)}}}:checkpoints"


def _member(meeting: str) -> bytes:
    return meeting.encode("utf-8", "surrogatepass")


def _calls(lines: Sequence[Line]) -> Iterator[list[Any]]:
    """Yield the arguments of each script: key and line by turns, ``_CALL_BYTES`` at most."""
    arguments: list[Any] = []
    size = 0
    for line in lines:
        encoded = line.encode()
        if arguments and size + len(encoded) > _CALL_BYTES:
            yield arguments
            arguments, size = [], 0
        arguments += (f"{line.epoch}:{line.sequence}", encoded)
        size += len(encoded)
    if arguments:
        yield arguments
