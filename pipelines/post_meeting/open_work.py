"""Opens what a process needs to work on sealed meetings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pipelines.lease import Leases
from pipelines.leases.open_leases import open_leases
from pipelines.post_meeting.artefacts import ArtefactStore
from pipelines.post_meeting.open_artefacts import open_artefacts
from pipelines.post_meeting.pending import Pending
from pipelines.post_meeting.runner import OnProgress, Runner
from pipelines.post_meeting.steps import steps_of
from pipelines.settings import Settings


@dataclass(frozen=True, slots=True)
class Work:
    """What is open.

    Args:
        store: Has the artefacts.
        pending: Knows what is to be done.
        leases: Knows who does it.
        runner: Does it.
    """

    store: ArtefactStore
    pending: Pending
    leases: Leases
    runner: Runner


@asynccontextmanager
async def open_work(
    settings: Settings, *, on_progress: OnProgress | None = None
) -> AsyncIterator[Work]:
    """Open everything, close it at the end; nothing is connected to before it is used.

    Raises:
        SettingsError: An address can't be used.
    """
    store = open_artefacts(settings)
    leases = open_leases(settings)
    try:
        runner = Runner(
            store,
            leases,
            steps_of(settings),
            timeout=settings.step_timeout,
            ttl=settings.step_lease,
            on_progress=on_progress,
        )
        yield Work(store, Pending(store), leases, runner)
    finally:
        await leases.aclose()
        await store.aclose()
