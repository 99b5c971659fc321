"""Where approved calendar events go, chosen by address: ``name=address``. Pure.

::

    file:///srv/calendar                   a directory: a file for each event, by meeting
    chat:                                  the meeting's chat
    https://host/path                      a webhook, signed (Standard Webhooks)
    caldavs://[user@]host/path/calendar/   a CalDAV calendar; ``caldav://`` is without TLS
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from yarl import URL

PlaceKind: TypeAlias = Literal["files", "chat", "webhook", "caldav"]

_KINDS: Final[Mapping[str, PlaceKind]] = {
    "file": "files",
    "chat": "chat",
    "http": "webhook",
    "https": "webhook",
    "caldav": "caldav",
    "caldavs": "caldav",
}


@dataclass(frozen=True, slots=True)
class CalendarPlace:
    """One place that calendar events are delivered to.

    Args:
        name: What logs and results call it.
        kind: How it is spoken to.
        url: Where; a webhook's may hold a token, so it is not in the repr.
    """

    name: str
    kind: PlaceKind
    url: str = field(repr=False)

    @property
    def user(self) -> str:
        """Of a CalDAV account, or empty; its password is among the secrets."""
        return URL(self.url).user or "" if self.kind == "caldav" else ""

    @property
    def http_url(self) -> URL:
        """Where HTTP requests go, without a user; a calendar's ends in ``/``."""
        url = URL(self.url)
        if self.kind != "caldav":
            return url.with_fragment(None)
        scheme = "https" if url.scheme == "caldavs" else "http"
        return URL(self.url.replace(url.scheme, scheme, 1)).with_user(None) / ""


def parse_places(pairs: Mapping[str, str]) -> tuple[CalendarPlace, ...]:
    """Read names and addresses.

    Raises:
        ValueError: Something is wrong; no address is quoted.
    """
    return tuple(_parse(name, url) for name, url in pairs.items())


def _parse(name: str, text: str) -> CalendarPlace:
    scheme, colon, rest = text.partition(":")
    kind = _KINDS.get(scheme) if colon else None
    if kind is None:
        raise ValueError(
            f"{name}: that is no address of a calendar; there are file:///directory, chat:, "
            "https:// (a signed webhook), caldavs://user@host/calendar/"
        )
    if kind == "chat":
        if rest.strip("/"):
            raise ValueError(f"{name}: the chat's address is `chat:`, with nothing behind it")
        return CalendarPlace(name, kind, "chat:")
    try:
        parts = urlsplit(text)
        host, password, _ = parts.hostname, parts.password, parts.port
    except ValueError:
        raise ValueError(f"{name}: the address has no valid host or port") from None
    if kind == "files":
        if host or not parts.path.startswith("/"):
            raise ValueError(f"{name}: a file:// address has three slashes, file:///srv/calendar")
    elif not host:
        raise ValueError(f"{name}: the address needs a host")
    if password is not None:
        raise ValueError(
            f"{name}: the address holds a password; put it in GREFFIER_CALENDAR_SECRETS"
        )
    place = CalendarPlace(name, kind, text)
    if ":" in place.user:
        raise ValueError(f"{name}: the user holds a colon, which no server can be told")
    return place
