"""Copies of the minutes in a directory or in a bucket: each file put once, whole."""

from __future__ import annotations

from collections.abc import Collection

from pipelines.errors import StepError, StoreRefusedError
from pipelines.post_meeting.artefacts import ArtefactStore
from pipelines.post_meeting.deliver.parcel import Parcel
from pipelines.post_meeting.deliver.sender import Sent


class CopySender:
    """Puts the files at ``<meeting key>/seal-<n>/`` of ``store``; what is there stays.

    Args:
        store: The destination.
    """

    def __init__(self, store: ArtefactStore) -> None:
        self._store = store

    async def send(self, parcel: Parcel, *, key: str, reached: Collection[str]) -> Sent:  # noqa: ARG002 - a name is its own key
        """Put the files; see ``Sender.send``."""
        place = self._store.at(parcel.directory)
        try:
            made = [await place.put(name, data) for name, data in parcel.files.items()]
        except StoreRefusedError as error:
            raise StepError("destination_refused", str(error)) from error
        return Sent(f"{sum(made)} files put, {len(made) - sum(made)} were there")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._store.aclose()
