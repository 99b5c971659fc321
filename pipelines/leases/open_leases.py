"""Opens the leases that the settings name."""

from __future__ import annotations

from pipelines.lease import Leases
from pipelines.leases.files import FileLeases
from pipelines.settings import Settings


def open_leases(settings: Settings) -> Leases:
    """Return the leases; nothing is connected to or made before they are used."""
    place = settings.lease_place
    if place is None:
        return FileLeases(settings.data_dir / "leases")
    from pipelines.leases.redis import RedisLeases  # noqa: PLC0415 - loaded only where it is used

    return RedisLeases(place, setting=settings.lease_setting)
