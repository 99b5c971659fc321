"""Makes the stores that the settings name: files first, then those with an address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from pipelines.settings import Settings
from pipelines.transcript.stores.address import StoreAddress
from pipelines.transcript.stores.bounded import BoundedStore
from pipelines.transcript.stores.files import FilesStore
from pipelines.transcript.stores.store import Store

if TYPE_CHECKING:
    from pipelines.transcript.early_copy import EarlyCopy
    from pipelines.transcript.stores.redis import RedisStore


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of a process.

    Args:
        files: Takes the seals too.
        others: Those with an address, each bounded in time.
        redis: The first Redis store among them: it gets finals early and knows what is unsealed.
    """

    files: FilesStore
    others: Sequence[Store] = ()
    redis: RedisStore | None = None

    @property
    def all(self) -> Sequence[Store]:
        """Every store, the files store first."""
        return (self.files, *self.others)

    def early_copy(self, meeting: str) -> EarlyCopy | None:
        """Return what has the meeting's lines in Redis early, if there is a Redis store."""
        if self.redis is None:
            return None
        from pipelines.transcript.early_copy import EarlyCopy  # noqa: PLC0415 - see open_store

        return EarlyCopy(self.redis, meeting)


def open_stores(settings: Settings) -> Stores:
    """Return the stores; none connects before it is used."""
    opened = [(address, open_store(address, settings)) for address in settings.stores]
    return Stores(
        files=FilesStore(settings.store_dir, leaves_work=settings.after != "off"),
        others=[BoundedStore(store, settings.store_timeout) for _, store in opened],
        redis=next(
            # Its class is not imported here, see open_store.
            (cast("RedisStore", store) for address, store in opened if address.kind == "redis"),
            None,
        ),
    )


def open_store(address: StoreAddress, settings: Settings) -> Store:
    """Return the store at ``address``; its client library is loaded only now."""
    # A worker that keeps nothing in S3 does not pay for loading its client.
    match address.kind:
        case "redis":
            from pipelines.transcript.stores.redis import RedisStore  # noqa: PLC0415 - see above

            return RedisStore(address)
        case "s3":
            from pipelines.transcript.stores.s3 import S3Store  # noqa: PLC0415 - see above

            return S3Store(address, settings.s3_access)
        case "http":
            from pipelines.transcript.stores.http import HttpStore  # noqa: PLC0415 - see above

            return HttpStore(address, settings.store_secret)
        case "meetai":
            from pipelines.transcript.stores.meetai import MeetaiStore  # noqa: PLC0415 - see above

            return MeetaiStore(address, settings.meetai_secret)
