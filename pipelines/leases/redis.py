"""Leases in Redis: one script a step, and Redis' clock.

::

    greffier:{lease}:<scope>                      sorted set: name, when it expires
    greffier:{lease}:<scope>:at                   sorted set: name, when it was beaten last
    greffier:{lease}:<scope>:<name>               hash, a record as in rules.py
    greffier:{lease}:<scope>:<name>:<room SID>    tombstone
    greffier:{nudges}                             sorted set: kind and room name, when

What nobody touches for a day goes; nudges after a minute.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, cast

from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from pipelines.errors import FencedError, HeldError, LeaseError, StoreError
from pipelines.lease import Lease, LeaseKey, Nudge, NudgeKind, Scope, Tombstone
from pipelines.leases import redis_scripts as scripts
from pipelines.leases.rules import encoded
from pipelines.transcript.stores.address import StoreAddress
from pipelines.transcript.stores.redis_connection import as_text, open_redis, redis_call

LONGEST_CALL: Final = 2.0
"""Seconds that a call may take. A holder tries again with its next beat."""

_CLOSING: Final = 1.0
"""Seconds for saying goodbye to a server that may be gone."""

_NUDGES: Final = "greffier:{nudges}"


class RedisLeases:
    """Keeps leases in the Redis at ``address``; safe for any number of processes and hosts.

    Args:
        address: Of the server.
        setting: Which has the address, for who has to correct it.

    Raises:
        SettingsError: The address has an option that there is not.
    """

    shared = True

    def __init__(self, address: StoreAddress, *, setting: str = "GREFFIER_STORES") -> None:
        self._address = address
        self._setting = setting
        self._redis = open_redis(address, setting=setting)
        self._scripts: dict[str, AsyncScript] = {}

    async def claim(
        self, key: LeaseKey, *, holder: str, epoch: int, ttl: float, state: Mapping[str, Any]
    ) -> Lease:
        """See :meth:`pipelines.lease.Leases.claim`."""
        arguments = [key.name, holder, epoch, ttl, encoded(state)]
        answer, lease = _lease(key, await self._run(scripts.CLAIM, _keys(key), arguments))
        if not answer:
            raise HeldError(lease)
        return lease

    async def beat(
        self, key: LeaseKey, *, holder: str, epoch: int, ttl: float, state: Mapping[str, Any]
    ) -> Lease:
        """See :meth:`pipelines.lease.Leases.beat`."""
        arguments = [key.name, holder, epoch, ttl, encoded(state)]
        answer, lease = _lease(key, await self._run(scripts.BEAT, _keys(key), arguments))
        if not answer:
            raise FencedError(lease)
        return lease

    async def take(
        self,
        key: LeaseKey,
        *,
        epoch: int,
        floor: int,
        ttl: float,
        state: Mapping[str, Any],
        force: bool = False,
    ) -> Lease | None:
        """See :meth:`pipelines.lease.Leases.take`."""
        arguments = [key.name, epoch, floor, ttl, encoded(state), int(force)]
        answer, lease = _lease(key, await self._run(scripts.TAKE, _keys(key), arguments))
        return lease if answer else None

    async def release(
        self, key: LeaseKey, *, epoch: int, tombstone: Tombstone | None = None, sid: str = ""
    ) -> None:
        """See :meth:`pipelines.lease.Leases.release`."""
        keys = [*_keys(key), _tombstone(key, sid)]
        await self._run(scripts.RELEASE, keys, [key.name, epoch, tombstone or ""])

    async def tombstone(self, key: LeaseKey, sid: str) -> Tombstone | None:
        """See :meth:`pipelines.lease.Leases.tombstone`."""
        async with self._call():
            found = await self._redis.get(_tombstone(key, sid))
        return cast("Tombstone", as_text(found)) if found else None

    async def clear_tombstone(self, key: LeaseKey, sid: str, kind: Tombstone) -> None:
        """See :meth:`pipelines.lease.Leases.clear_tombstone`."""
        await self._run(scripts.CLEAR, [_tombstone(key, sid)], [kind])

    async def read(self, key: LeaseKey) -> Lease | None:
        """See :meth:`pipelines.lease.Leases.read`."""
        found = await self._run(scripts.READ, _keys(key), [])
        return _lease(key, found)[1] if found else None

    async def leases(self, scope: Scope, *, expired: bool = False) -> list[Lease]:
        """See :meth:`pipelines.lease.Leases.leases`."""
        found = []
        for told in await self._run(scripts.LEASES, _indexes(scope), [int(expired)]):
            key = LeaseKey(scope, tuple(json.loads(told[-1])))
            found.append(_lease(key, told)[1])
        return sorted(found, key=lambda lease: lease.key.parts)

    async def time(self) -> float:
        """See :meth:`pipelines.lease.Leases.time`."""
        seconds, micros = await self._run(scripts.TIME, [], [])
        return int(seconds) + int(micros) / 1e6

    async def nudge(self, room: str, kind: NudgeKind) -> None:
        """See :meth:`pipelines.lease.Leases.nudge`."""
        told = f"{kind} {room}".encode("utf-8", "surrogatepass")
        await self._run(scripts.NUDGE, [_NUDGES], [told])

    async def nudges(self, after: float) -> list[Nudge]:
        """See :meth:`pipelines.lease.Leases.nudges`."""
        told = iter(await self._run(scripts.NUDGES, [_NUDGES], [f"{after:.6f}"]))
        found = []
        for named, at in zip(told, told, strict=True):
            kind, _, room = as_text(named).partition(" ")
            found.append(Nudge(room, cast("NudgeKind", kind), float(at)))
        return found

    async def aclose(self) -> None:
        """See :meth:`pipelines.lease.Leases.aclose`."""
        with suppress(RedisError, OSError):
            async with asyncio.timeout(_CLOSING):
                await self._redis.aclose()

    async def _run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        if script not in self._scripts:
            self._scripts[script] = self._redis.register_script(script)
        async with self._call():
            return await self._scripts[script](keys=keys, args=arguments)

    @asynccontextmanager
    async def _call(self) -> AsyncIterator[None]:
        try:
            async with redis_call(self._address, within=LONGEST_CALL, setting=self._setting):
                yield
        except StoreError as error:
            raise LeaseError(str(error)) from None


def _indexes(scope: Scope) -> list[str]:
    index = f"greffier:{{lease}}:{scope}"
    return [index, f"{index}:at"]


def _keys(key: LeaseKey) -> list[str]:
    index, *_ = indexes = _indexes(key.scope)
    return [f"{index}:{key.name}", *indexes]


def _tombstone(key: LeaseKey, sid: str) -> str:
    return f"{_keys(key)[0]}:{sid}"


def _lease(key: LeaseKey, told: Sequence[bytes]) -> tuple[bool, Lease]:
    """Return what a script answered, and the lease it told."""
    answer, epoch, holder, state, left, age, _name = told
    lease = Lease(
        key=key,
        epoch=int(epoch),
        holder=as_text(holder),
        state=json.loads(state),
        left=float(left),
        age=float(age),
    )
    return answer == b"yes", lease
