"""Does Redis keep what it is given."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from redis.exceptions import ResponseError

from agents.doctor.check import Check, error, ok, warning
from pipelines.errors import SettingsError, StoreError
from pipelines.transcript.stores.address import StoreAddress
from pipelines.transcript.stores.redis import RedisStore
from pipelines.transcript.stores.redis_connection import as_text, open_redis, redis_call

LEAST_VERSION: Final = (6, 2)

_TIMEOUT: Final = 10.0  # seconds


async def check_redis(address: StoreAddress) -> Check:
    """Reach Redis as the store does, then look at what it does with data."""
    name = f"store {address.name}"
    try:
        async with asyncio.timeout(_TIMEOUT):
            await _use(address)
            found = await _ask(address)
    except TimeoutError:
        return error(
            name, f"{address.shown}: no answer in time", "open the firewall, or correct its address"
        )
    except (SettingsError, StoreError) as failure:
        return error(name, str(failure), "start it, or correct GREFFIER_STORES")
    return judge(name, address.shown, found)


async def _use(address: StoreAddress) -> None:
    store = RedisStore(address)
    try:
        await store.unsealed(idle=0.0)  # a script on our keys, as everything the store does
    finally:
        await store.aclose()


async def _ask(address: StoreAddress) -> dict[str, Any]:
    """Return what INFO and CONFIG say, as far as Redis lets its user see it."""
    client = open_redis(address)
    found: dict[str, Any] = {}
    try:
        async with redis_call(address):
            # INFO has what matters also where CONFIG is forbidden, as on most managed Redis.
            for ask in (client.info, lambda: client.config_get("appendfsync")):
                try:
                    answer: Any = await ask()
                except ResponseError:  # not allowed, or renamed
                    continue
                found |= {as_text(key): as_text(value) for key, value in answer.items()}
    finally:
        await client.aclose()
    return found


def judge(name: str, shown: str, found: Mapping[str, str]) -> Check:
    """Judge a Redis that takes our scripts.

    Args:
        name: Of the check.
        shown: Its address, fit to be shown.
        found: What ``INFO`` and ``CONFIG GET`` say; may lack anything.
    """
    if unfit := _unfit(name, shown, found):
        return unfit
    if not found:
        return warning(
            name,
            f"{shown}: takes lines, but does not tell whether it keeps them",
            "let our user run INFO, or see yourself: appendonly yes, maxmemory-policy noeviction",
        )
    forgetful = _forgetful(found)
    if forgetful:
        return warning(
            name,
            f"{shown}: {'; '.join(forgetful)}",
            "; ".join(forgetful.values()),
        )
    return ok(name, f"{shown}: Redis {found.get('redis_version', '')}, keeps what it is given")


def _unfit(name: str, shown: str, found: Mapping[str, str]) -> Check | None:
    version = found.get("redis_version", "")
    if version and _numbers(version) < LEAST_VERSION:
        return error(name, f"{shown}: Redis {version}", "use Redis 6.2 or newer")
    if found.get("redis_mode") == "cluster":
        return error(name, f"{shown}: a Redis Cluster", "use a Redis without cluster mode")
    if found.get("role") == "slave":
        return error(name, f"{shown}: a replica", "point GREFFIER_STORES at its primary")
    if found.get("aof_last_write_status", "ok") != "ok":
        return error(name, f"{shown}: it can't write to its disk", "free its disk, see its log")
    return None


def _forgetful(found: Mapping[str, str]) -> dict[str, str]:
    """Return what makes it forget, each with its fix."""
    problems = {}
    if found.get("aof_enabled") != "1":
        problems["a restart loses the newest lines"] = "set `appendonly yes`"
    elif found.get("appendfsync") == "no":
        problems["a power cut loses up to half a minute"] = "set `appendfsync everysec`"
    policy = found.get("maxmemory_policy", "unknown")
    if policy != "noeviction":
        problems[f"it drops lines when its memory is full ({policy})"] = (
            "set `maxmemory-policy noeviction`"
        )
    return problems


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
