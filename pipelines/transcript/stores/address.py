"""Which stores there are, chosen by address: ``[name=]address``, comma-separated.

::

    redis://[:password@]host:port/db     a Redis stream a meeting; ``rediss://`` for TLS
    s3://bucket/prefix                   an S3 server (``?endpoint=`` and ``?region=`` if it has
                                         others than the settings)
    https://host/path                    our own contract, ``docs/store.openapi.yaml``
    meetai+https://host                  a MeetAI-style backend
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

StoreKind: TypeAlias = Literal["redis", "s3", "http", "meetai"]

_KINDS: Final[Mapping[str, StoreKind]] = {
    "redis": "redis",
    "rediss": "redis",
    "s3": "s3",
    "http": "http",
    "https": "http",
    "meetai+http": "meetai",
    "meetai+https": "meetai",
}
_NAMED: Final = re.compile(r"(?:(?P<name>[a-z0-9-]{1,32})=)?(?P<url>\S+)")
_SCHEME: Final = re.compile(r"[a-z0-9+.-]{1,20}")
_RESERVED: Final = "files"


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """One store beside the files.

    Args:
        name: Unique; checkpoints and metrics carry it. Its kind where the operator gave none.
        kind: Which contract is spoken there.
        url: Where; may hold a password, so it is not in the repr.
    """

    name: str
    kind: StoreKind
    url: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.name}={self.shown}"

    @property
    def shown(self) -> str:
        """The address without user and password, fit to be shown."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def parse_addresses(text: str) -> tuple[StoreAddress, ...]:
    """Read a comma-separated list of ``[name=]address``.

    Raises:
        ValueError: An address is none, or two stores share a name; no password is quoted.
    """
    found: dict[str, StoreAddress] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        address = _parse(part)
        if address.name in found or address.name == _RESERVED:
            raise ValueError(
                f"two stores are called {address.name!r}: give one a name, as in "
                f"other={address.shown}"
            )
        found[address.name] = address
    return tuple(found.values())


def _parse(part: str) -> StoreAddress:
    named = _NAMED.fullmatch(part)
    url = named["url"] if named else part
    scheme, separator, rest = url.partition("://")
    kind = _KINDS.get(scheme)
    if not named or kind is None or not separator or not rest:
        # What is no scheme may be half of an address that was cut at a comma in its password.
        scheme = scheme.rpartition("=")[2]
        shown = repr(scheme) if _SCHEME.fullmatch(scheme) and separator else "an entry"
        raise ValueError(
            f"{shown} is no address of a store; there are "
            f"{', '.join(f'{known}://' for known in _KINDS)}, each also as name=address; "
            "a comma in a password is written %2C"
        )
    parts = urlsplit(url)
    try:
        host = parts.hostname
        _ = parts.port
    except ValueError:
        host = None
    if not host:
        raise ValueError(f"a {scheme}:// address needs a {'bucket' if kind == 's3' else 'host'}")
    return StoreAddress(name=named["name"] or kind, kind=kind, url=url)
