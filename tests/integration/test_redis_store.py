"""The Redis store, the early copy and the doctor's check against a real redis-server."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from agents.doctor.after_meeting import check_after_meeting
from agents.doctor.redis import check_redis
from bench.redis_server import RedisServer
from pipelines.errors import SettingsError, StoreError, StoreRefusedError
from pipelines.settings import Settings
from pipelines.transcript.early_copy import DEADLINE, EarlyCopy
from pipelines.transcript.line import Line
from pipelines.transcript.paths import meeting_key
from pipelines.transcript.stores.address import StoreAddress
from pipelines.transcript.stores.redis import INDEX, KEPT_AFTER_SEAL, RedisStore
from tests.integration.conftest import REDIS_PASSWORD

BATCH = 200
TEXT = "what somebody said"

pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="no redis-server; Debian's package is redis-server"
)


@asynccontextmanager
async def store_at(url: str) -> AsyncIterator[RedisStore]:
    store = RedisStore(StoreAddress("redis", "redis", url))
    try:
        yield store
    finally:
        await store.aclose()


@asynccontextmanager
async def client_at(url: str) -> AsyncIterator[Redis]:
    client: Redis = Redis.from_url(url)
    try:
        yield client
    finally:
        await client.aclose()


_numbers = count(1)


@pytest.fixture
def meeting() -> str:
    """Id of a meeting that no other test has."""
    return f"meeting {next(_numbers)}"


def lines(meeting: str, first: int, last: int, *, epoch: int = 7, text: str = TEXT) -> list[Line]:
    return [
        Line(meeting, epoch, n, "note", 1000.0 + n, {"n": n, "text": text})
        for n in range(first, last + 1)
    ]


async def append_all(store: RedisStore, given: Sequence[Line], *, batch: int = BATCH) -> None:
    for start in range(0, len(given), batch):
        await store.append(given[0].meeting, given[start : start + batch])


def keys_of(meeting: str) -> tuple[str, str]:
    return f"greffier:{{{meeting_key(meeting)}}}:lines", f"greffier:{{{meeting_key(meeting)}}}:kept"


async def test_writers_at_the_same_time_keep_each_line_once(
    redis_server: RedisServer, meeting: str
) -> None:
    given = lines(meeting, 1, 500)
    async with store_at(redis_server.url) as store, client_at(redis_server.url) as client:
        await asyncio.gather(*(append_all(store, given, batch=20 + n) for n in range(6)))
        assert await client.xlen(keys_of(meeting)[0]) == 500
        assert await store.read(meeting) == given


async def test_lines_given_again_with_other_boundaries_are_kept_once_and_read_in_order(
    redis_server: RedisServer, meeting: str
) -> None:
    old, new = lines(meeting, 1, 450), lines(meeting, 1, 10, epoch=8)
    async with store_at(redis_server.url) as store, client_at(redis_server.url) as client:
        await store.append(meeting, new)
        await store.append(meeting, old[100:103])  # finals that were copied early
        await append_all(store, old, batch=200)
        await append_all(store, old[37:], batch=70)
        assert await client.xlen(keys_of(meeting)[0]) == 460
        assert await store.read(meeting) == old + new


async def test_lines_of_any_size_and_text_come_back(redis_server: RedisServer) -> None:
    meeting = "\ud800 ../é {x}"
    given = lines(meeting, 1, 12, text="é\x00\n" * 60_000)
    given = [Line(meeting, 9, n, "note", 1.0, line.data) for n, line in enumerate(given, 1)]
    async with store_at(redis_server.url) as store:
        await store.append(meeting, given)
        assert [line.data for line in await store.read(meeting)] == [line.data for line in given]
        assert meeting in await store.unsealed(idle=0.0)
        await store.sealed(meeting, 12)
        assert meeting not in await store.unsealed(idle=0.0)


async def test_entries_of_others_in_the_stream_are_passed_over(
    redis_server: RedisServer, meeting: str
) -> None:
    async with store_at(redis_server.url) as store, client_at(redis_server.url) as client:
        await store.append(meeting, lines(meeting, 1, 2))
        await client.xadd(keys_of(meeting)[0], {"line": "no line"})
        await client.xadd(keys_of(meeting)[0], {"other": "field"})
        assert await store.read(meeting) == lines(meeting, 1, 2)


@pytest.mark.parametrize("lost", [0, 1], ids=["stream", "set"])
async def test_a_key_that_redis_dropped_does_not_keep_lines_out(
    redis_server: RedisServer, meeting: str, lost: int
) -> None:
    async with store_at(redis_server.url) as store, client_at(redis_server.url) as client:
        await store.append(meeting, lines(meeting, 1, 5))
        await client.delete(keys_of(meeting)[lost])
        await store.append(meeting, lines(meeting, 1, 6))
        assert await store.read(meeting) == lines(meeting, 1, 6)


async def test_redis_killed_and_started_again_has_what_it_took(
    own_redis: RedisServer, meeting: str
) -> None:
    given = lines(meeting, 1, 300)
    async with store_at(own_redis.url) as store:
        await append_all(store, given[:200])
        await asyncio.to_thread(own_redis.kill)
        with pytest.raises(StoreError):
            await store.append(meeting, given[200:])
        await asyncio.to_thread(own_redis.start)
        await store.append(meeting, given[200:])  # its scripts are gone as well
        assert await store.read(meeting) == given


@pytest.mark.parametrize("password", ["", "a-wrong-word"], ids=["none", "wrong"])
async def test_a_wrong_password_is_refused_and_shown_nowhere(
    redis_server: RedisServer, meeting: str, password: str
) -> None:
    async with store_at(redis_server.url_with(password)) as store:
        with pytest.raises(StoreRefusedError, match="GREFFIER_STORES") as failure:
            await store.append(meeting, lines(meeting, 1, 1))
        shown = f"{failure.value!r} {failure.value.__cause__} {store!r} {store._redis!r}"
        assert "-word" not in shown


async def test_a_user_who_may_not_run_our_scripts_is_refused_without_quoting_a_line(
    redis_server: RedisServer, meeting: str
) -> None:
    url = redis_server.url.replace("//:", "//limited:")
    async with client_at(redis_server.url) as client:
        await client.execute_command(  # type: ignore[no-untyped-call]  # the library's
            "ACL", "SETUSER", "limited", "on", f">{REDIS_PASSWORD}", "~*", "+@all", "-evalsha"
        )
    async with store_at(url) as store:
        with pytest.raises(StoreRefusedError, match="EVALSHA") as failure:
            await store.append(meeting, lines(meeting, 1, 1))
        assert TEXT not in str(failure.value)
        assert failure.value.__cause__ is None


async def test_a_full_redis_takes_a_batch_whole_or_not_and_has_all_when_there_is_room(
    meeting: str,
) -> None:
    given = lines(meeting, 1, 1200, text="x" * 10_000)
    full = {"maxmemory": "5mb"}
    with RedisServer(config=full) as server:
        async with store_at(server.url) as store, client_at(server.url) as client:
            with pytest.raises(StoreError, match="memory is full") as failure:
                await append_all(store, given, batch=50)
            assert not isinstance(failure.value, StoreRefusedError)
            kept = await store.read(meeting)
            assert 0 < len(kept) < len(given)
            assert len(kept) % 50 == 0
            assert kept == given[: len(kept)]
            await client.config_set("maxmemory", "100mb")
            await append_all(store, given, batch=200)
            assert await store.read(meeting) == given


async def test_calls_cancelled_at_any_moment_leave_no_reply_to_the_next_call(
    redis_server: RedisServer, meeting: str
) -> None:
    chance = random.Random(4)
    given = lines(meeting, 1, 1000)
    cancelled = 0
    async with store_at(redis_server.url) as store, client_at(redis_server.url) as client:
        for start in range(0, 1000, 5):
            batch = given[start : start + 5]
            with suppress(TimeoutError):
                async with asyncio.timeout(chance.uniform(0.0, 0.003)):
                    await store.append(meeting, batch)
                cancelled -= 1
            cancelled += 1
            assert isinstance(await store.unsealed(idle=1e6), list)
            await store.append(meeting, batch)
        assert cancelled > 20
        assert await store.read(meeting) == given
        assert await client.xlen(keys_of(meeting)[0]) == 1000


async def test_a_meeting_is_unsealed_by_redis_own_clock_until_it_is_sealed(
    redis_server: RedisServer, meeting: str
) -> None:
    other = f"{meeting}, an older one"
    async with store_at(redis_server.url) as store, client_at(redis_server.url) as client:
        await store.append(other, lines(other, 1, 1))
        await store.append(meeting, lines(meeting, 1, 3))
        mine = [one for one in await store.unsealed(idle=0.0) if one in {meeting, other}]
        assert mine == [other, meeting]
        assert meeting not in await store.unsealed(idle=60.0)
        await client.zincrby(INDEX, -61, meeting)
        assert meeting in await store.unsealed(idle=60.0)
        await store.append(meeting, lines(meeting, 3, 3))  # nothing new
        assert meeting in await store.unsealed(idle=60.0)
        await store.touch(meeting)
        assert meeting not in await store.unsealed(idle=60.0)
        await client.zincrby(INDEX, -61, meeting)
        await store.append(meeting, lines(meeting, 4, 4))
        assert meeting not in await store.unsealed(idle=60.0)
        await store.sealed(meeting, 3)  # A line came after the one who seals had read.
        assert meeting in await store.unsealed(idle=0.0)
        await store.sealed(meeting, 4)
        await store.sealed(meeting, 4)
        await store.touch(meeting)  # One that is not in the index does not come into it.
        mine = [one for one in await store.unsealed(idle=0.0) if one in {meeting, other}]
        assert mine == [other]


async def test_a_sealed_meeting_expires_unless_a_new_line_comes(
    redis_server: RedisServer, meeting: str
) -> None:
    async with store_at(redis_server.url) as store, client_at(redis_server.url) as client:

        async def seconds_left() -> list[Any]:
            return [await client.ttl(key) for key in keys_of(meeting)]

        await store.append(meeting, lines(meeting, 1, 3))
        assert await seconds_left() == [-1, -1]
        await store.sealed(meeting, 3)
        assert all(KEPT_AFTER_SEAL - 60 < left <= KEPT_AFTER_SEAL for left in await seconds_left())
        await store.append(meeting, lines(meeting, 4, 4))
        assert await seconds_left() == [-1, -1]
        assert meeting in await store.unsealed(idle=0.0)
        assert await store.read(meeting) == lines(meeting, 1, 4)


def test_an_option_that_there_is_not_stops_the_start() -> None:
    with pytest.raises(SettingsError, match=r"GREFFIER_STORES.*no_such_option") as failure:
        RedisStore(
            StoreAddress("redis", "redis", f"redis://:{REDIS_PASSWORD}@h:1/0?no_such_option=1")
        )
    assert REDIS_PASSWORD not in str(failure.value)


async def test_captions_wait_for_a_hanging_redis_once_and_again_when_it_goes_on(
    own_redis: RedisServer, meeting: str
) -> None:
    given = iter(lines(meeting, 1, 100))
    async with store_at(own_redis.url) as store:
        copy = EarlyCopy(store, meeting)

        async def wait() -> float:
            copy.offer(next(given))
            began = time.perf_counter()
            await copy.settled()
            return time.perf_counter() - began

        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(copy.run())
            await asyncio.sleep(0.3)
            for _ in range(10):
                await wait()
            assert not copy.suspended
            assert await store.read(meeting) == lines(meeting, 1, 10)
            own_redis.pause()
            try:
                waits = [await wait() for _ in range(20)]
                assert waits[0] >= DEADLINE * 0.9
                assert max(waits) < DEADLINE * 10
                assert max(waits[1:]) < DEADLINE / 2
                assert copy.suspended
                await asyncio.sleep(1.5)
                assert await wait() < DEADLINE / 2
            finally:
                own_redis.resume()
            async with asyncio.timeout(20):
                while copy.suspended:  # noqa: ASYNC110 - nobody is told when it resumes
                    await asyncio.sleep(0.05)
            assert await store.read(meeting) == lines(meeting, 1, 31)
            copy.close()
            await running


async def test_the_early_copy_of_a_hanging_redis_ends_in_time(
    own_redis: RedisServer, meeting: str
) -> None:
    async with store_at(own_redis.url) as store:
        copy = EarlyCopy(store, meeting)
        running = asyncio.create_task(copy.run())
        await asyncio.sleep(0.3)
        own_redis.pause()
        try:
            copy.offer(lines(meeting, 1, 1)[0])
            await asyncio.sleep(0.01)
            copy.close()
            async with asyncio.timeout(10):
                await running
        finally:
            own_redis.resume()


async def test_the_doctor_asks_of_a_broker_that_it_takes_our_key_and_scripts(
    redis_server: RedisServer,
) -> None:
    found = [
        await check_after_meeting(Settings(after="celery", celery_broker=SecretStr(url)))
        for url in (redis_server.url, redis_server.url_with("a-wrong-word"))
    ]
    assert [[check.level for check in checks] for checks in found] == [["ok"], ["error"]]
    assert "a-wrong-word" not in found[1][0].message


async def test_the_doctor_tells_a_redis_that_keeps_from_one_that_forgets(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    def address(url: str) -> StoreAddress:
        return StoreAddress("redis", "redis", url)

    found = await check_redis(address(redis_server.url))
    assert (found.level, found.fix) == ("ok", "")
    assert "7" in found.message or "8" in found.message
    refused = await check_redis(address(redis_server.url_with("a-wrong-word")))
    assert refused.level == "error"
    assert "-word" not in refused.message
    forgets = {"appendonly": "no", "maxmemory-policy": "allkeys-lru", "rename-command": "CONFIG x"}
    with RedisServer(tmp_path, config=forgets) as server:
        found = await check_redis(address(server.url))
        assert found.level == "warning"
        assert "appendonly yes" in found.fix
        assert "noeviction" in found.fix
        url = server.url
    assert (await check_redis(address(url))).level == "error"


async def test_a_checkpoint_never_goes_back_and_goes_with_the_meeting(
    redis_server: RedisServer, meeting: str
) -> None:
    async with store_at(redis_server.url) as store, client_at(redis_server.url) as client:
        await store.append(meeting, lines(meeting, 1, 1))
        for epoch, sequence in ((7, 30), (7, 20), (8, 4)):
            await store.note_checkpoint(meeting, "meetai", epoch, sequence)
        await store.note_checkpoint(meeting, "other", 7, 99)
        assert await store.checkpoints(meeting, "meetai") == {7: 30, 8: 4}
        await store.sealed(meeting, 1)
        (key,) = await client.keys(f"greffier:{{{meeting_key(meeting)}}}:checkpoints")
        assert await client.ttl(key) > 0
