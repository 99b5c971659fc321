"""Can every store with an address be used, and does it keep what it is given."""

from __future__ import annotations

import asyncio

from agents.doctor.check import Check
from agents.doctor.http_stores import check_http_store, check_meetai
from agents.doctor.redis import check_redis
from agents.doctor.s3 import check_place, check_s3
from pipelines.settings import Settings
from pipelines.transcript.recording_file import recordings_place
from pipelines.transcript.stores.address import StoreAddress


async def check_stores(settings: Settings) -> list[Check]:
    """Ask every store at once, and the bucket of La Suite Meet's recordings."""
    checks = [_check(address, settings) for address in settings.stores]
    if place := recordings_place(settings):
        checks.append(check_place("recordings", place))
    return await asyncio.gather(*checks)


async def _check(address: StoreAddress, settings: Settings) -> Check:
    match address.kind:
        case "redis":
            return await check_redis(address)
        case "s3":
            return await check_s3(address, settings.s3_access)
        case "http":
            return await check_http_store(address, settings.store_secret)
        case "meetai":
            return await check_meetai(address, settings.meetai_secret)
