"""Where minutes may be delivered to, chosen by address: ``name=address``.

::

    file:///srv/minutes                          a directory: one below it for each seal
    s3://bucket/prefix                           an S3 server (``?endpoint=`` and ``?region=``)
    https://host/path                            a webhook, signed (Standard Webhooks)
    smtp://[user@]host:587?from=...&to=...       mail; STARTTLS, and ``smtps://`` for TLS at once

Room metadata picks names; addresses and secrets are the operator's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.headerregistry import Address
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

DestinationKind: TypeAlias = Literal["files", "s3", "webhook", "mail"]

_KINDS: Final[Mapping[str, DestinationKind]] = {
    "file": "files",
    "s3": "s3",
    "http": "webhook",
    "https": "webhook",
    "smtp": "mail",
    "smtps": "mail",
}
_NAME: Final = re.compile("[a-z0-9-]{1,32}")
_SCHEME: Final = re.compile(r"[a-z0-9+.-]{1,20}")


@dataclass(frozen=True, slots=True)
class Destination:
    """One place that minutes are delivered to.

    Args:
        name: What room metadata calls it.
        kind: How it is spoken to.
        url: Where; a webhook's may hold a token, so it is not in the repr.
    """

    name: str
    kind: DestinationKind
    url: str = field(repr=False)

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        # A webhook's path is often its secret.
        return f"{self.name}={parts.scheme}://{host}{'' if self.kind == 'webhook' else parts.path}"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """The mail server of a destination, and who gets the mail.

    Args:
        host: The server that takes mail for everybody (submission).
        port: 587, or 465 with TLS at once, where the address has none.
        tls: Whether the connection begins with TLS; else STARTTLS is used where the server offers
            it, and required where there is a user.
        user: Of the account, or empty; its password is among the secrets.
        sender: The address that it is from.
        to: Who gets it.
    """

    host: str
    port: int
    tls: bool
    user: str
    sender: str
    to: tuple[str, ...]


def parse_destinations(text: str) -> tuple[Destination, ...]:
    """Read ``name=address, ...`` or a JSON object of names and addresses.

    Raises:
        ValueError: Something is wrong; no address is quoted.
    """
    return tuple(_parse(name, url) for name, url in parse_pairs(text, "address").items())


def parse_pairs(text: str, what: str) -> dict[str, str]:
    """Read ``name=value, ...`` or a JSON object of names and values.

    Args:
        text: The setting.
        what: What the values are, for the message.

    Raises:
        ValueError: It is something else, or a name is there twice; no value is quoted.
    """
    found: dict[str, str] = {}
    for name, value in _pairs(text, what):
        if name in found:
            raise ValueError(f"two of them are called {name!r}: give one another name")
        found[name] = value
    return found


def mailbox_of(destination: Destination) -> Mailbox:
    """Read the address of a mail destination.

    Raises:
        ValueError: It lacks a host, a sender or recipients, or has an option that there is not.
    """
    parts = urlsplit(destination.url)
    options = parse_qs(parts.query)
    if unknown := sorted(options.keys() - {"from", "to"}):
        raise ValueError(f"{destination} has an option {unknown[0]!r}; there are from, to")
    sender, to = options.get("from", []), options.get("to", [])
    if not parts.hostname or len(sender) != 1 or not to:
        raise ValueError(
            f"{destination} must be like smtp://host:587?from=minutes@example.org&to=a@example.org"
            "&to=b@example.org"
        )
    if parts.password is not None:
        raise ValueError(f"{destination} holds a password; put it in GREFFIER_DESTINATION_SECRETS")
    tls = parts.scheme == "smtps"
    return Mailbox(
        host=parts.hostname,
        port=parts.port or (465 if tls else 587),
        tls=tls,
        user=unquote(parts.username or ""),
        sender=_address(destination, sender[0]),
        to=tuple(dict.fromkeys(_address(destination, one) for one in to)),
    )


def _pairs(text: str, what: str) -> Iterable[tuple[str, str]]:
    if text.lstrip().startswith("{"):
        try:
            pairs = json.loads(text)
        except ValueError:
            # The library's message quotes nothing, but `from` would show the text.
            raise ValueError("is no JSON object") from None
        items = list(pairs.items())
    else:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        items = [(name, value) for name, _, value in (part.partition("=") for part in parts)]
    for name, value in items:
        if not _NAME.fullmatch(name) or not isinstance(value, str) or not value:
            raise ValueError(
                f"each entry is name={what}, a name being 1 to 32 of a-z, 0-9 and -; a comma in "
                "the rest is written %2C, or use a JSON object"
            )
    return items


def _parse(name: str, url: str) -> Destination:
    scheme, separator, rest = url.partition("://")
    kind = _KINDS.get(scheme)
    if kind is None or not separator or not rest:
        shown = repr(scheme) if separator and _SCHEME.fullmatch(scheme) else "that"
        raise ValueError(
            f"{name}: {shown} is no address to deliver to; there are "
            f"{', '.join(f'{known}://' for known in _KINDS)}"
        )
    destination = Destination(name, kind, url)
    try:
        host, _ = urlsplit(url).hostname, urlsplit(url).port
    except ValueError:
        raise ValueError(f"{name}: the address has no valid host or port") from None
    if kind == "files" and (host or not urlsplit(url).path.startswith("/")):
        raise ValueError(f"{name}: a file:// address has three slashes, as in file:///srv/minutes")
    if kind != "files" and not host:
        raise ValueError(f"{name}: the address needs a {'bucket' if kind == 's3' else 'host'}")
    if kind == "mail":
        mailbox_of(destination)
    return destination


def _address(destination: Destination, text: str) -> str:
    try:
        return Address(addr_spec=text).addr_spec
    except (ValueError, IndexError):  # The library raises the second for an empty part.
        raise ValueError(f"{destination}: {text!r} is no mail address") from None
