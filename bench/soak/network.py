"""A host of its own on this machine: a network namespace with two cables to where the servers are.

One cable carries media (UDP), the other everything else, so that either may be pulled. Needs root
and iproute2, and that this process is in a network namespace of its own (``python -m bench.soak``
sees to it): nothing is changed outside.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from types import TracebackType
from typing import Final, Self

MEDIA_ADDRESS: Final = "10.77.0.1"
"""Where livekit-server is for media; on a pair of devices that lead nowhere."""


def there() -> bool:
    """Tell whether hosts can be made here."""
    return os.geteuid() == 0 and all(map(shutil.which, ("ip", "unshare", "nsenter")))


def make_media_address() -> None:
    """Give this namespace the address that livekit-server has for media."""
    _ip("link", "set", "lo", "up")
    _ip("link", "add", "media", "type", "veth", "peer", "name", "media-end")
    _ip("address", "add", f"{MEDIA_ADDRESS}/32", "dev", "media")
    for end in ("media", "media-end"):
        _ip("link", "set", end, "up")


class NetworkHost:
    """One host; a context manager.

    Args:
        number: 1 to 254; of its addresses.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self.gateway = f"10.77.{number}.1"
        """Address at which the servers' side is reached, for all but media."""
        self._holder: subprocess.Popen[bytes] | None = None

    @property
    def prefix(self) -> list[str]:
        """What precedes a command that is to run on this host."""
        return ["nsenter", f"--net=/proc/{self._pid}/ns/net", "--"]

    def pull(self, *, media: bool, rest: bool) -> None:
        """Pull cables."""
        self._set("down", media=media, rest=rest)

    def plug(self) -> None:
        """Put both cables back."""
        self._set("up", media=True, rest=True)
        self._route()

    def _set(self, state: str, *, media: bool, rest: bool) -> None:
        for cable in [f"{kind}{self._number}" for kind in ("m" * media, "c" * rest) if kind]:
            _ip("link", "set", cable, state)

    @property
    def _pid(self) -> int:
        if self._holder is None:
            raise RuntimeError("the host is not there; use `with`")
        return self._holder.pid

    def _route(self) -> None:
        route = ["route", "replace", f"{MEDIA_ADDRESS}/32", "via", f"10.78.{self._number}.1"]
        _run(*self.prefix, "ip", *route, "src", f"10.78.{self._number}.2")

    def __enter__(self) -> Self:
        # The namespace lives as long as this process, which says so when it is in it.
        holding = ["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"]
        self._holder = subprocess.Popen(holding, stdout=subprocess.PIPE)
        if self._holder.stdout is None or not self._holder.stdout.readline():
            raise RuntimeError("no network namespace could be made")
        _run(*self.prefix, "ip", "link", "set", "lo", "up")
        for kind, net in (("c", "10.77"), ("m", "10.78")):
            ours, theirs = f"{kind}{self._number}", f"{kind}{self._number}-host"
            _ip(
                "link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", f"{self._pid}"
            )
            _ip("address", "add", f"{net}.{self._number}.1/24", "dev", ours)
            _ip("link", "set", ours, "up")
            address = f"{net}.{self._number}.2/24"
            _run(*self.prefix, "ip", "address", "add", address, "dev", theirs)
            _run(*self.prefix, "ip", "link", "set", theirs, "up")
        self._route()
        # Media must not find its way over the other cable.
        other = f"10.77.{self._number}.2"
        _ip("rule", "add", "blackhole", "from", MEDIA_ADDRESS, "to", other)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._holder is not None:
            self._holder.kill()
            self._holder.wait()


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
