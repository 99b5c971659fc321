"""Which sealed meetings are work to do, and which were given up: two directories of markers.

They lie in the same place as the artefacts, in files or in S3, so that nothing else has to be
there, and nothing can forget what that place remembers. A marker is put before the seal it is
about, and goes when nothing is left to do: what a nudge missed is found here. A meeting that is not
finished has one marker or both at any moment, whoever gives it up and whoever asks for it again.
"""

from __future__ import annotations

from typing import Final

from pipelines.post_meeting.artefacts import Artefacts, ArtefactStore
from pipelines.transcript.paths import PENDING, Sealed

DEAD: Final = ".dead"
"""Directory of the markers of meetings with a step that was given up: the dead letters."""


class Pending:
    """The index of work; see this module's text. Every call may raise StoreError."""

    def __init__(self, store: ArtefactStore) -> None:
        self._pending = store.at(PENDING)
        self._dead = store.at(DEAD)

    async def sealed(self) -> list[Sealed]:
        """Return what is to be looked at, in order of the keys."""
        return await _read(self._pending)

    async def given_up(self) -> list[Sealed]:
        """Return the dead letters, in order of the keys; not those that are to be looked at."""
        dead = await _read(self._dead)
        pending = set(await _read(self._pending))
        return [sealed for sealed in dead if sealed not in pending]

    async def add(self, sealed: Sealed) -> None:
        """Have it looked at, again if it was given up."""
        # A dead letter's marker stays: who gives it up just now takes the other one away.
        await self._pending.put(sealed.marker, b"")

    async def finish(self, sealed: Sealed) -> None:
        """Have it looked at no more: everything is there."""
        await self._pending.remove(sealed.marker)
        await self._dead.remove(sealed.marker)

    async def give_up(self, sealed: Sealed) -> None:
        """Have it looked at no more until somebody asks for it."""
        await self._dead.put(sealed.marker, b"")
        await self._pending.remove(sealed.marker)


async def _read(markers: Artefacts) -> list[Sealed]:
    found = (Sealed.of_marker(name) for name in await markers.names())
    return sorted(sealed for sealed in found if sealed)
