"""Can what comes after a meeting be done: the broker, the artefacts' place, the destinations."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from agents.doctor.check import Check, error, ok
from agents.doctor.s3 import check_place
from pipelines.errors import LeaseError, SettingsError
from pipelines.leases.redis import RedisLeases
from pipelines.post_meeting.deliver.deliver import open_sender
from pipelines.post_meeting.deliver.destination import Destination
from pipelines.post_meeting.deliver.settings import s3_place_of
from pipelines.settings import Settings
from pipelines.transcript.stores.address import StoreAddress
from pipelines.transcript.stores.s3_access import S3Place

BROKER: Final = "Celery's broker"
ARTEFACTS: Final = "artefacts"

_DESTINATIONS: Final = "GREFFIER_DESTINATIONS"
_TIMEOUT: Final = 10.0  # seconds to find a host by its name


async def check_after_meeting(settings: Settings) -> list[Check]:
    """Look at everything at once; nothing is delivered and no step is done."""
    checks: list[Awaitable[Check]] = []
    if settings.after == "celery" and settings.broker:
        setting = (
            "GREFFIER_STORES" if settings.broker in settings.stores else "GREFFIER_CELERY_BROKER"
        )
        checks.append(_check_broker(settings.broker, setting))
    if settings.artefacts:
        checks.append(_check_artefacts(settings.artefacts, settings))
    checks += [_check_destination(one, settings) for one in settings.destinations]
    return await asyncio.gather(*checks)


async def _check_broker(address: StoreAddress, setting: str) -> Check:
    # It may forget everything: queues hold nudges only. So it is asked for less than a store is.
    try:
        leases = RedisLeases(address, setting=setting)
        try:
            await leases.time()  # A script, as everything that the leases do.
        finally:
            await leases.aclose()
    except (LeaseError, SettingsError) as failure:
        return error(BROKER, str(failure), f"start it, or correct {setting}")
    return ok(BROKER, f"{address.shown}: reachable, takes our scripts")


async def _check_artefacts(address: StoreAddress, settings: Settings) -> Check:
    try:
        place = S3Place.of(address, settings.s3_access, setting="GREFFIER_ARTEFACTS")
    except SettingsError as failure:
        return error(ARTEFACTS, str(failure), "correct GREFFIER_ARTEFACTS")
    return await check_place(ARTEFACTS, place)


async def _check_destination(destination: Destination, settings: Settings) -> Check:
    name = f"destination {destination.name}"
    try:
        sender = open_sender(destination, settings, settings.s3_access)  # which reads its key
        await sender.aclose()
    except SettingsError as failure:
        return error(name, str(failure), f"correct {_DESTINATIONS}, or its secret")
    if destination.kind == "files":
        return _check_directory(name, Path(unquote(urlsplit(destination.url).path)))
    host = _host(destination, settings)
    try:
        async with asyncio.timeout(_TIMEOUT):
            await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # the second for a name that nobody can have
        where = "GREFFIER_S3_ENDPOINT" if destination.kind == "s3" else _DESTINATIONS
        return error(name, f"{destination}: no host is called {host}", f"correct {where}")
    return ok(name, f"{destination}: its host has an address; nothing was sent")


def _check_directory(name: str, directory: Path) -> Check:
    there = next(path for path in (directory, *directory.parents) if path.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return ok(name, f"{directory}: writable")
    return error(
        name,
        f"{there}: not a directory that can be written",
        f"let the worker's user write it, or correct {_DESTINATIONS}",
    )


def _host(destination: Destination, settings: Settings) -> str:
    if destination.kind != "s3":
        return urlsplit(destination.url).hostname or ""
    access = s3_place_of(destination, settings.s3_access).access
    return urlsplit(access.url or f"https://s3.{access.region}.amazonaws.com").hostname or ""
