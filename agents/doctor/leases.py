"""Can leases be kept, and do other hosts see them."""

from __future__ import annotations

import time
from typing import Final

from agents.doctor.check import Check, error, ok, warning
from pipelines.errors import HeldError, LeaseError, SettingsError
from pipelines.lease import LeaseKey
from pipelines.leases.open_leases import open_leases
from pipelines.settings import Settings

LEASES: Final = "leases"

SLOW: Final = 0.1
"""Seconds that a claim may take."""

_PROBE: Final = LeaseKey("watch", ("doctor", "probe"))  # An agent's has one part.


async def check_leases(settings: Settings) -> Check:
    """Claim a lease and let it go, where the workers do."""
    place = settings.lease_place
    shown = place.shown if place else f"files in {settings.data_dir / 'leases'}"
    try:
        took = await _claim(settings)
    except (LeaseError, SettingsError) as failure:
        fix = "start it, or correct GREFFIER_LEASES" if place else "make GREFFIER_DATA_DIR writable"
        return error(LEASES, str(failure), fix)
    if took > SLOW:
        return warning(
            LEASES,
            f"{shown}: a claim takes {took * 1000:.0f} ms",
            "use a Redis that is near: what can not be claimed at once may be taken meanwhile",
        )
    seen_by = "every worker that uses it" if place else "the workers of this host"
    return ok(LEASES, f"{shown}: seen by {seen_by}; a claim takes {took * 1000:.1f} ms")


async def _claim(settings: Settings) -> float:
    """Return the seconds that a claim takes."""
    leases = open_leases(settings)
    try:
        await leases.time()  # Connecting is not what a dispatch waits for.
        began = time.monotonic()
        try:
            lease = await leases.claim(_PROBE, holder="doctor", epoch=1, ttl=5.0, state={})
        except HeldError:  # Another doctor's, at this moment.
            return time.monotonic() - began
        took = time.monotonic() - began
        await leases.release(_PROBE, epoch=lease.epoch)
        return took
    finally:
        await leases.aclose()
