"""What the doctor says of a Redis, from what Redis says of itself."""

from __future__ import annotations

import pytest

from agents.doctor.check import Level
from agents.doctor.redis import judge

GOOD = {
    "redis_version": "7.0.15",
    "redis_mode": "standalone",
    "role": "master",
    "aof_enabled": "1",
    "maxmemory_policy": "noeviction",
    "appendfsync": "everysec",
}


@pytest.mark.parametrize(
    ("change", "level", "fix"),
    [
        ({}, "ok", ""),
        ({"appendfsync": None}, "ok", ""),
        ({"aof_enabled": "0"}, "warning", "appendonly yes"),
        ({"aof_enabled": "0", "maxmemory_policy": "allkeys-lru"}, "warning", "noeviction"),
        ({"maxmemory_policy": "allkeys-lru"}, "warning", "maxmemory-policy noeviction"),
        ({"maxmemory_policy": "volatile-ttl"}, "warning", "maxmemory-policy noeviction"),
        ({"appendfsync": "no"}, "warning", "appendfsync everysec"),
        ({"aof_last_write_status": "err"}, "error", "free its disk"),
        ({"role": "slave"}, "error", "primary"),
        ({"redis_mode": "cluster"}, "error", "cluster"),
        ({"redis_version": "6.0.16"}, "error", "6.2"),
        (dict.fromkeys(GOOD), "warning", "INFO"),
    ],
    ids=str,
)
def test_what_redis_does_with_data_is_judged(
    change: dict[str, str | None], level: Level, fix: str
) -> None:
    found = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    check = judge("store redis", "redis://r:6379/0", found)
    assert check.level == level
    assert fix in check.fix
