"""Leases in files of one host, for a worker without Redis.

::

    <root>/<scope>/<key>.json              a record as in rules.py
    <root>/<scope>/<key>.lock              locked while the record changes
    <root>/tombstones/<key and SID>.json   tombstone
    <root>/nudges/<room and kind>.json     room to look at

The clock is the host's since it started (CLOCK_BOOTTIME, which nobody can set), so that processes
in several containers agree. Each file names the start that its times are of: nothing that was held
before the host went down is held after.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from pipelines.errors import FencedError, HeldError, LeaseError
from pipelines.lease import (
    NUDGED,
    REMEMBERED,
    Lease,
    LeaseKey,
    Nudge,
    NudgeKind,
    Scope,
    Tombstone,
)
from pipelines.leases.file_lock import locked
from pipelines.leases.rules import (
    Record,
    beaten,
    claimed,
    encoded,
    lease_of,
    released,
    taken,
)
from pipelines.transcript.paths import meeting_key

_FORGET_EVERY: Final = 3600.0  # seconds between looks for old leases, of those who only claim

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def host_clock() -> float:
    """Return the seconds since this host started, the same for all of its processes."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def host_boot() -> str:
    """Return what tells this start of the host from all others; "" where the host does not."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:  # Not Linux.
        return ""


class FileLeases:
    """Keeps leases below ``root``; safe for several processes of one host.

    Nothing is synced to the disk: after a loss of power nobody holds anything.

    Args:
        root: Directory on a disk of this host; made when it is first needed.
        clock: Seconds, the same for all processes.
        boot: Which start of the host the clock counts from.
    """

    shared = False

    def __init__(
        self, root: Path, *, clock: Callable[[], float] = host_clock, boot: str | None = None
    ) -> None:
        self._root = root
        self._clock = clock
        self._boot = host_boot() if boot is None else boot
        self._forget_at: dict[Scope, float] = {}

    async def claim(
        self, key: LeaseKey, *, holder: str, epoch: int, ttl: float, state: Mapping[str, Any]
    ) -> Lease:
        """See :meth:`pipelines.lease.Leases.claim`."""
        rule = partial(claimed, holder=holder, epoch=epoch, ttl=ttl, state=encoded(state))
        done, lease = await asyncio.to_thread(self._change, key, rule)
        if not done:
            raise HeldError(lease)
        if self._clock() >= self._forget_at.get(key.scope, -math.inf):
            # Leases of effects are never released: a second claim must find them.
            self._forget_at[key.scope] = self._clock() + _FORGET_EVERY
            with suppress(LeaseError):
                await asyncio.to_thread(self._forget, key.scope)
        return lease

    async def beat(
        self, key: LeaseKey, *, holder: str, epoch: int, ttl: float, state: Mapping[str, Any]
    ) -> Lease:
        """See :meth:`pipelines.lease.Leases.beat`."""
        rule = partial(beaten, holder=holder, epoch=epoch, ttl=ttl, state=encoded(state))
        done, lease = await asyncio.to_thread(self._change, key, rule)
        if not done:
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
        rule = partial(taken, epoch=epoch, floor=floor, ttl=ttl, state=encoded(state), force=force)
        done, lease = await asyncio.to_thread(self._change, key, rule)
        return lease if done else None

    async def release(
        self, key: LeaseKey, *, epoch: int, tombstone: Tombstone | None = None, sid: str = ""
    ) -> None:
        """See :meth:`pipelines.lease.Leases.release`."""

        def release() -> None:
            done, _ = self._change(key, partial(released, epoch=epoch))
            if done and tombstone:
                mark = {"kind": tombstone, "at": self._clock(), "boot": self._boot}
                with _told(self._root):
                    _replace(self._tombstone(key, sid), mark)
            self._forget(key.scope)

        await asyncio.to_thread(release)

    async def tombstone(self, key: LeaseKey, sid: str) -> Tombstone | None:
        """See :meth:`pipelines.lease.Leases.tombstone`."""

        def read() -> Tombstone | None:
            with _told(self._root):
                found = _read(self._tombstone(key, sid))
            if found is None or self._age(found) > REMEMBERED:
                return None
            return cast("Tombstone", found["kind"])

        return await asyncio.to_thread(read)

    async def clear_tombstone(self, key: LeaseKey, sid: str, kind: Tombstone) -> None:
        """See :meth:`pipelines.lease.Leases.clear_tombstone`."""
        if await self.tombstone(key, sid) == kind:
            with _told(self._root):
                self._tombstone(key, sid).unlink(missing_ok=True)

    async def read(self, key: LeaseKey) -> Lease | None:
        """See :meth:`pipelines.lease.Leases.read`."""

        def read() -> Lease | None:
            with _told(self._root):
                record = self._record(_read(self._path(key)))
            return None if record is None or record.gone else lease_of(key, record, self._clock())

        return await asyncio.to_thread(read)

    async def leases(self, scope: Scope, *, expired: bool = False) -> list[Lease]:
        """See :meth:`pipelines.lease.Leases.leases`."""

        def read() -> list[Lease]:
            with _told(self._root):
                files = [_read(path) for path in (self._root / scope).glob("*.json")]
            now = self._clock()
            found = [
                lease_of(LeaseKey(scope, tuple(file["key"])), record, now)
                for file in files
                if (record := self._record(file)) and file and not record.gone
            ]
            wanted = (lease for lease in found if lease.expired or not expired)
            return sorted(wanted, key=lambda lease: lease.key.parts)

        return await asyncio.to_thread(read)

    async def time(self) -> float:
        """See :meth:`pipelines.lease.Leases.time`."""
        return self._clock()

    async def nudge(self, room: str, kind: NudgeKind) -> None:
        """See :meth:`pipelines.lease.Leases.nudge`."""
        path = self._root / "nudges" / f"{meeting_key(json.dumps([room, kind]))}.json"

        def write() -> None:
            told = {"room": room, "kind": kind, "at": self._clock(), "boot": self._boot}
            with _told(self._root):
                _replace(path, told)

        await asyncio.to_thread(write)

    async def nudges(self, after: float) -> list[Nudge]:
        """See :meth:`pipelines.lease.Leases.nudges`."""

        def read() -> list[Nudge]:
            found = []
            now = self._clock()
            with _told(self._root):
                for path in (self._root / "nudges").glob("*.json"):
                    told = _read(path)
                    if told is None or told.get("boot") != self._boot or now - told["at"] > NUDGED:
                        path.unlink(missing_ok=True)
                    elif told["at"] > after:
                        found.append(Nudge(told["room"], told["kind"], told["at"]))
            return sorted(found, key=lambda nudge: nudge.at)

        return await asyncio.to_thread(read)

    async def aclose(self) -> None:
        """Nothing is held open."""

    def _change(
        self, key: LeaseKey, rule: Callable[[Record | None, float], Record | None]
    ) -> tuple[bool, Lease]:
        """Apply a rule; return whether it changed the record, and the lease as it is now."""
        path = self._path(key)
        with _told(self._root), locked(path.with_suffix(".lock")):
            stored = self._record(_read(path))
            now = self._clock()
            record = rule(stored, now)
            if record:
                _replace(path, {"key": key.parts, "boot": self._boot, **dataclasses.asdict(record)})
        found = record or stored
        assert found, "a rule refuses only what there is"
        return record is not None, lease_of(key, found, now)

    def _forget(self, scope: Scope) -> None:
        """Delete what is gone for longer than it is to be remembered."""
        with _told(self._root):
            for path in (self._root / scope).glob("*.json"):
                if self._is_old(path):
                    lock = path.with_suffix(".lock")
                    with locked(lock):
                        if self._is_old(path):
                            path.unlink(missing_ok=True)
                            lock.unlink()
            for path in (self._root / "tombstones").glob("*.json"):
                if self._is_old(path):
                    path.unlink(missing_ok=True)

    def _is_old(self, path: Path) -> bool:
        found = _read(path)
        return found is not None and self._age(found) > REMEMBERED

    def _age(self, found: Mapping[str, Any]) -> float:
        """Return the seconds since what was read was written or, of a lease, expired.

        What was before the host started is as old as the start: it is remembered for a day more.
        """
        at = float(found.get("until", found["at"])) if found.get("boot") == self._boot else 0.0
        return self._clock() - at

    def _record(self, found: Mapping[str, Any] | None) -> Record | None:
        if found is None:
            return None
        fields = (field.name for field in dataclasses.fields(Record))
        record = Record(**{name: found[name] for name in fields if name in found})
        if found.get("boot") == self._boot:
            return record
        # Nobody knows how long the host was down: long enough that no meeting goes on.
        before = -float(REMEMBERED)
        return dataclasses.replace(record, at=before, until=before)

    def _path(self, key: LeaseKey) -> Path:
        return self._root / key.scope / f"{meeting_key(key.name)}.json"

    def _tombstone(self, key: LeaseKey, sid: str) -> Path:
        name = meeting_key(json.dumps([key.scope, key.name, sid]))
        return self._root / "tombstones" / f"{name}.json"


@contextmanager
def _told(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LeaseError(f"leases in {root}: {error.strerror or error}") from None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):  # Not whole: from before a loss of power.
        return None
    return found if isinstance(found, dict) else None


def _replace(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{secrets.token_hex(4)}.new")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "w") as file:
            json.dump(content, file)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
