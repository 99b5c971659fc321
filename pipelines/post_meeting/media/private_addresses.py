"""Which hosts a recording may be fetched from: pure.

An address comes from outside, and what is fetched comes back as a transcript: a URL must not lead
into the operator's network, nor to a cloud's metadata service.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

# https://url.spec.whatwg.org/#ends-in-a-number-checker: resolvers read "127.1" and "0x7f.1" too.
_ENDS_IN_NUMBER: Final = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$", re.ASCII)
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052


class AllowedHosts:
    """Public addresses, and what the operator adds.

    Args:
        allowed: Host names, addresses and networks (``10.1.0.0/16``) that may be private.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._networks: list[IPv4Network | IPv6Network] = []
        self._names: set[str] = set()
        for entry in allowed:
            try:
                self._networks.append(ip_network(entry, strict=False))
            except ValueError:
                self._names.add(_name(entry))

    def name(self, host: str) -> bool:
        """Tell whether a host may be fetched from wherever its name leads."""
        return _name(host) in self._names

    def host(self, text: str) -> bool:
        """Tell whether a URL's host may be asked, before its name is looked up.

        An address may be one that is allowed. A number that is no address in full ("127.1",
        "2130706433") is refused: resolvers differ in what they make of it.
        """
        named = _name(text)
        if self.name(named) or not (":" in named or _ENDS_IN_NUMBER.search(named)):
            return True
        return self.address(named)

    def address(self, text: str) -> bool:
        """Tell whether an IP address may be fetched from; what is none may not."""
        try:
            # A link-local address may carry the name of an interface.
            address = ip_address(text.partition("%")[0])
        except ValueError:
            return False
        return any(address in network for network in self._networks) or all(
            one.is_global and not one.is_multicast for one in _meant(address)
        )


def _meant(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    """Iterate over an address and the IPv4 address that a gateway would make of it."""
    if isinstance(address, IPv4Address):
        yield address
        return
    inner = address.ipv4_mapped or address.sixtofour
    if address.teredo:
        inner = address.teredo[1]
    if address in _NAT64:
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    # A mapped address is not global by itself.
    if not address.ipv4_mapped and address not in _NAT64:
        yield address
    if inner:
        yield inner


def _name(host: str) -> str:
    return host.strip().rstrip(".").lower()
