"""Leases against a real redis-server."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from agents.doctor.leases import check_leases
from bench.redis_server import RedisServer
from pipelines.errors import FencedError, HeldError, LeaseError
from pipelines.lease import NUDGED, REMEMBERED, Lease, LeaseKey, Leases, Tombstone
from pipelines.leases.redis import LONGEST_CALL, RedisLeases
from pipelines.leases.redis_scripts import MOST_NUDGES
from pipelines.settings import Settings
from pipelines.testing.memory_leases import MemoryLeases
from pipelines.transcript.stores.address import StoreAddress
from tests.integration.conftest import REDIS_PASSWORD

ROOM = LeaseKey("room", ("weekly", "greffier", ""))
TTL = 3.0
CLAIMERS = 20

pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="no redis-server; Debian's package is redis-server"
)


@asynccontextmanager
async def leases_at(url: str) -> AsyncIterator[RedisLeases]:
    leases = RedisLeases(StoreAddress("redis", "redis", url), setting="GREFFIER_LEASES")
    try:
        yield leases
    finally:
        await leases.aclose()


@pytest.fixture
async def leases(redis_server: RedisServer) -> AsyncIterator[RedisLeases]:
    """Of a Redis that has nothing."""
    async with Redis.from_url(redis_server.url) as redis:
        await redis.flushall()
    async with leases_at(redis_server.url) as leases:
        yield leases


@pytest.fixture
async def many(redis_server: RedisServer, leases: RedisLeases) -> AsyncIterator[list[RedisLeases]]:
    """As many workers, each with connections of its own."""
    async with AsyncExitStack() as stack:
        others = [leases_at(redis_server.url) for _ in range(CLAIMERS - 1)]
        workers = [leases, *[await stack.enter_async_context(other) for other in others]]
        await asyncio.gather(*(worker.time() for worker in workers))
        yield workers


async def claim(leases: Leases, holder: str, *, key: LeaseKey = ROOM, epoch: int = 10) -> Lease:
    return await leases.claim(key, holder=holder, epoch=epoch, ttl=TTL, state={})


async def step(leases: Leases, key: LeaseKey, epoch: int, dice: random.Random) -> object:
    """Do one thing with a lease, and return what can be seen of it."""
    holder, sid = dice.choice("abc"), dice.choice(["RM_1", "RM_2"])
    # What is beaten with 0 is expired at once, and all else is alive for longer than the test.
    ttl = dice.choice([0.0, 1000.0])
    state = {"by": holder, "at": dice.random(), "list": [], "text": "é\n"}
    match dice.choice(["claim", "beat", "beat", "take", "force", "release", "release", "clear"]):
        case "claim":
            answer: Any = leases.claim(key, holder=holder, epoch=epoch, ttl=ttl, state=state)
        case "beat":
            answer = leases.beat(key, holder=holder, epoch=epoch, ttl=ttl, state=state)
        case "take":
            answer = leases.take(key, epoch=epoch, floor=epoch + 2, ttl=ttl, state=state)
        case "force":
            answer = leases.take(key, epoch=epoch, floor=0, ttl=ttl, state=state, force=True)
        case "release":
            kinds: tuple[Tombstone | None, ...] = (None, "withdrawn", "empty")
            kind = dice.choice(kinds)
            answer = leases.release(key, epoch=epoch, tombstone=kind, sid=sid)
        case _:
            answer = leases.clear_tombstone(key, sid, "empty")
    try:
        done: object = seen(await answer)
    except (HeldError, FencedError) as error:
        done = (type(error), seen(error.lease))
    listed = [seen(lease) for lease in await leases.leases("room")]
    expired = [seen(lease) for lease in await leases.leases("room", expired=True)]
    return done, listed, expired, seen(await leases.read(key)), await leases.tombstone(key, sid)


def seen(lease: Lease | None) -> object:
    return lease and (lease.key, lease.epoch, lease.holder, lease.state, lease.expired)


@pytest.mark.parametrize("seed", range(3))
async def test_redis_follows_the_rules_that_the_files_follow(
    leases: RedisLeases, seed: int
) -> None:
    rules = MemoryLeases(time.monotonic)
    dice = random.Random(seed)
    keys = [LeaseKey("room", (room, "greffier", "")) for room in ("weekly", "dé jà")]
    for n in range(200):
        key = dice.choice(keys)
        record = rules._records.get(key)
        epoch = (record.epoch if record else 10) + dice.randint(-1, 1)
        cast = dice.random()
        done = await step(leases, key, epoch, random.Random(cast))
        assert done == await step(rules, key, epoch, random.Random(cast)), n


async def test_of_many_workers_that_claim_a_room_at_once_one_gets_it(
    many: list[RedisLeases],
) -> None:
    for n in range(20):
        key = LeaseKey("room", (f"room {n}", "greffier", ""))
        found = await asyncio.gather(
            *(claim(worker, f"job {i}", key=key) for i, worker in enumerate(many)),
            return_exceptions=True,
        )
        (won,) = (one for one in found if isinstance(one, Lease))
        refused = [one.lease.holder for one in found if isinstance(one, HeldError)]
        assert refused == [won.holder] * (CLAIMERS - 1)


async def test_of_many_watchers_that_take_a_room_at_once_one_gets_it(
    many: list[RedisLeases],
) -> None:
    held = await many[0].claim(ROOM, holder="job", epoch=10, ttl=0.0, state={})
    for force in (False, True):
        found = await asyncio.gather(
            *(
                worker.take(ROOM, epoch=held.epoch, floor=0, ttl=TTL, state={}, force=force)
                for worker in many
            )
        )
        (won,) = filter(None, found)
        assert won.epoch == held.epoch + 1
        held = won


async def test_a_claim_and_a_take_at_once_end_with_one_holder_or_none(
    many: list[RedisLeases],
) -> None:
    for n in range(20):
        key = LeaseKey("room", (f"room {n}", "greffier", ""))
        held = await many[0].claim(key, holder="dead", epoch=10, ttl=0.0, state={})
        taken, claimed = await asyncio.gather(
            many[1].take(key, epoch=held.epoch, floor=0, ttl=TTL, state={}),
            claim(many[2], "job", key=key),
        )
        now = await many[0].read(key)
        assert now
        # Whoever was first: the claim stands, in an epoch of its own.
        assert (now.holder, now.epoch) == ("job", held.epoch + 1)
        assert claimed.epoch == held.epoch + 1
        assert taken is None or taken.epoch == held.epoch + 1


async def test_a_lease_expires_by_the_clock_of_redis_alone(
    leases: RedisLeases, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = await leases.claim(ROOM, holder="a", epoch=10, ttl=0.5, state={})
    assert (held.age, held.left) == (0.0, 0.5)
    at = await leases.time()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    with pytest.raises(HeldError):
        await claim(leases, "b")
    await asyncio.sleep(0.6)
    found = await leases.read(ROOM)
    assert found
    assert found.expired
    assert await leases.time() - at >= 0.6
    assert found.age + found.left == pytest.approx(0.5)
    assert (await claim(leases, "b", epoch=1)).epoch == held.epoch + 1


async def test_of_a_redis_whose_clock_was_set_back_no_dead_holder_stays_alive(
    leases: RedisLeases, redis_server: RedisServer
) -> None:
    held = await claim(leases, "a")
    async with Redis.from_url(redis_server.url) as redis:  # What it was before the clock was set.
        later = await leases.time() + 3600
        name = ROOM.name
        await redis.hset(f"greffier:{{lease}}:room:{name}", "at", f"{later:.6f}")
        await redis.hset(f"greffier:{{lease}}:room:{name}", "until", f"{later + TTL:.6f}")
        await redis.zadd("greffier:{lease}:room", {name: later + TTL})
        await redis.zadd("greffier:{lease}:room:at", {name: later})
    (found,) = await leases.leases("room", expired=True)
    assert found.expired
    await leases.beat(ROOM, holder="a", epoch=held.epoch, ttl=TTL, state={})
    assert await leases.leases("room", expired=True) == []


async def test_redis_restarted_has_its_leases_and_no_epoch_is_lower(own_redis: RedisServer) -> None:
    async with leases_at(own_redis.url) as leases:
        held = await leases.claim(ROOM, holder="a", epoch=10, ttl=60.0, state={"sid": "RM_1"})
        await leases.release(LeaseKey("room", ("daily", "greffier", "")), epoch=77)
        own_redis.kill()
        with pytest.raises(LeaseError):
            await leases.read(ROOM)
        own_redis.start()
        found = await leases.read(ROOM)
        assert found
        assert (found.holder, found.epoch, found.state) == ("a", held.epoch, {"sid": "RM_1"})
        again = await claim(leases, "b", key=LeaseKey("room", ("daily", "greffier", "")), epoch=1)
        assert again.epoch == 78


async def test_an_emptied_redis_lowers_no_epoch_and_the_newer_holder_stays(
    leases: RedisLeases, redis_server: RedisServer
) -> None:
    old = await leases.claim(ROOM, holder="old", epoch=10, ttl=0.0, state={})
    new = await claim(leases, "new")
    async with Redis.from_url(redis_server.url) as redis:
        await redis.flushall()
    # The one that was fenced comes first, and makes the lease again.
    await leases.beat(ROOM, holder="old", epoch=old.epoch, ttl=TTL, state={})
    assert (await leases.beat(ROOM, holder="new", epoch=new.epoch, ttl=TTL, state={})).epoch == 11
    with pytest.raises(FencedError):
        await leases.beat(ROOM, holder="old", epoch=old.epoch, ttl=TTL, state={})


async def test_a_redis_that_hangs_is_given_up_in_time_and_used_again(
    own_redis: RedisServer,
) -> None:
    async with leases_at(own_redis.url) as leases:
        held = await claim(leases, "a")
        own_redis.pause()
        began = time.monotonic()
        with pytest.raises(LeaseError):
            await leases.beat(ROOM, holder="a", epoch=held.epoch, ttl=TTL, state={})
        assert time.monotonic() - began < 3 * LONGEST_CALL
        own_redis.resume()
        await leases.beat(ROOM, holder="a", epoch=held.epoch, ttl=TTL, state={})


async def test_a_tombstone_and_an_epoch_go_after_a_day_and_nothing_stays_for_ever(
    leases: RedisLeases, redis_server: RedisServer
) -> None:
    await claim(leases, "a")
    await leases.release(ROOM, epoch=10, tombstone="withdrawn", sid="RM_1")
    daily = LeaseKey("room", ("daily", "greffier", ""))
    await claim(leases, "a", key=daily)
    await leases.nudge("weekly", "room_started")
    async with Redis.from_url(redis_server.url) as redis:
        lives = {key: await redis.ttl(key) for key in await redis.keys("*")}
        for index in (b"greffier:{lease}:room", b"greffier:{lease}:room:at"):
            assert lives.pop(index) == -1
            assert await redis.zrange(index, 0, -1) == [daily.name.encode()]
    assert 0 < lives.pop(b"greffier:{nudges}") <= NUDGED
    assert len(lives) == 3
    assert all(REMEMBERED - 60 <= life <= REMEMBERED + 60 for life in lives.values()), lives


async def test_what_nobody_lists_or_lets_go_of_leaves_the_indexes_a_day_after_its_end(
    leases: RedisLeases, redis_server: RedisServer
) -> None:
    daily = LeaseKey("room", ("daily", "greffier", ""))
    await claim(leases, "a", key=daily)
    async with Redis.from_url(redis_server.url) as redis:
        for index in ("greffier:{lease}:room", "greffier:{lease}:room:at"):
            await redis.zadd(index, {"old": 1.0})
            await redis.zincrby(index, -REMEMBERED - 60, daily.name)
        await redis.delete(f"greffier:{{lease}}:room:{daily.name}")
        await claim(leases, "a")
        for index in ("greffier:{lease}:room", "greffier:{lease}:room:at"):
            assert await redis.zrange(index, 0, -1) == [ROOM.name.encode()]


async def test_a_listed_lease_that_redis_dropped_is_no_lease(
    leases: RedisLeases, redis_server: RedisServer
) -> None:
    await claim(leases, "a")
    async with Redis.from_url(redis_server.url) as redis:
        for key in await redis.keys(r"greffier:{lease}:room:\[*"):
            await redis.delete(key)
        assert await leases.leases("room") == []
        assert await redis.keys("*") == []


async def test_every_reader_has_each_nudge_and_they_do_not_grow(many: list[RedisLeases]) -> None:
    rooms = [f"room {n}" for n in range(50)]
    nudging = (many[n % CLAIMERS].nudge(room, "room_started") for n, room in enumerate(rooms))
    await asyncio.gather(*nudging)
    for found in await asyncio.gather(*(worker.nudges(0.0) for worker in many)):
        assert sorted(one.room for one in found) == sorted(rooms)
        assert {one.kind for one in found} == {"room_started"}
        assert await many[0].nudges(found[-1].at) == []
        assert await many[0].nudges(found[-2].at) == found[-1:]
    now = found[-1].at
    older = {f"room_started older {n}": now - 1 - n / 1e6 for n in range(MOST_NUDGES)}
    async with many[0]._redis.pipeline() as pipeline:
        pipeline.zadd("greffier:{nudges}", {**older, "room_started oldest": now - NUDGED - 1})
        await pipeline.execute()
    await many[0].nudge("newest", "room_finished")
    nudged = await many[0].nudges(0.0)
    assert len(nudged) == MOST_NUDGES
    assert (nudged[-1].room, nudged[-1].kind) == ("newest", "room_finished")
    assert "oldest" not in {one.room for one in nudged}


async def test_a_wrong_password_is_told_with_the_setting_and_never_shown(
    redis_server: RedisServer,
) -> None:
    async with leases_at(redis_server.url_with("wrong-word")) as leases:
        with pytest.raises(LeaseError, match="GREFFIER_LEASES") as refused:
            await claim(leases, "a")
    shown = f"{refused.value!r} {refused.value.__cause__} {leases!r} {leases._redis!r}"
    assert "wrong-word" not in shown


async def test_the_doctor_claims_a_lease_where_the_workers_do(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREFFIER_DATA_DIR", str(tmp_path))
    found = await check_leases(Settings.from_environment())
    assert (found.level, "this host" in found.message) == ("ok", True)

    monkeypatch.setenv("GREFFIER_LEASES", redis_server.url)
    found = await check_leases(Settings.from_environment())
    assert found.level != "error"
    assert REDIS_PASSWORD not in f"{found}"

    monkeypatch.setenv("GREFFIER_LEASES", redis_server.url_with("wrong-word"))
    found = await check_leases(Settings.from_environment())
    assert (found.level, "GREFFIER_LEASES" in found.message) == ("error", True)
    assert "wrong-word" not in f"{found}"
