"""Can lines be put into the bucket, had back, and put without ever replacing others."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from agents.doctor.check import Check, error, ok, warning
from pipelines.errors import SettingsError, StoreError, StoreRefusedError
from pipelines.transcript.stores.address import StoreAddress
from pipelines.transcript.stores.s3_access import S3Access, S3Place
from pipelines.transcript.stores.s3_bucket import S3Bucket, S3RefusedError

TIMEOUT: Final = 10.0  # seconds for all of it

_BODY: Final = b"greffier doctor\n"


async def check_s3(address: StoreAddress, access: S3Access, *, patience: float = TIMEOUT) -> Check:
    """Look at the place of a store.

    Args:
        address: ``s3://bucket/prefix``.
        access: The server and the key, where the address says nothing else.
        patience: Seconds that all of it may take.
    """
    name = f"store {address.name}"
    try:
        place = S3Place.of(address, access)
    except SettingsError as failure:
        return error(name, str(failure), "correct GREFFIER_STORES")
    return await check_place(name, place, patience=patience)


async def check_place(name: str, place: S3Place, *, patience: float = TIMEOUT) -> Check:
    """Put, read back, list and delete a small object under the place's prefix."""
    bucket = S3Bucket(place)
    try:
        async with asyncio.timeout(patience):
            return await _try(name, place, bucket)
    except S3RefusedError as refused:
        return error(name, refused.what, refused.fix)
    except TimeoutError:
        return error(
            name,
            f"{place}: no answer in {patience:g} s",
            "open the firewall, or correct GREFFIER_S3_ENDPOINT",
        )
    except StoreError as failure:
        return error(name, str(failure), "start the server, or correct GREFFIER_S3_ENDPOINT")
    finally:
        await bucket.aclose()


async def _try(name: str, place: S3Place, bucket: S3Bucket) -> Check:
    key = f".doctor-{secrets.token_hex(8)}"
    await bucket.put(key, _BODY)
    if await bucket.get(key) != _BODY or key not in await bucket.keys(key):
        return error(name, f"{place}: what was put does not come back", "use another S3 server")
    try:
        await bucket.delete(key)
    except StoreRefusedError:  # The store deletes nothing, so a key that may not is a good one.
        return warning(
            name,
            f"{place}: writable and readable; the key may not delete",
            f"nothing, or delete {place.prefix}{key} yourself",
        )
    if not await bucket.can_create():
        return ok(
            name, f"{place}: writable and readable; without If-None-Match a line can stand twice"
        )
    return ok(name, f"{place}: writable and readable")
