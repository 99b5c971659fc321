"""Minutes delivered to receivers that are killed: is each there, once per key, and only the signed?

``python -m bench.deliveries --trials 25`` kills a webhook receiver and a mail server in the middle
of each delivery, before and after they keep it, and counts.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import logging
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, get_args

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from bench.child_process import ChildProcess
from bench.delivery_server import READY, Death, read_entries
from bench.livekit_server import free_port
from bench.summarised_meeting import summary_of, weekly
from pipelines.errors import RetryableError
from pipelines.post_meeting.artefacts import FilesArtefacts
from pipelines.post_meeting.deliver.deliver import deliver
from pipelines.post_meeting.deliver.destination import parse_destinations
from pipelines.post_meeting.deliver.history import Delivery, read_delivery
from pipelines.post_meeting.deliver.parcel import Parcel, pack
from pipelines.settings import Settings

DESTINATIONS = ("hook", "mail")
_ATTEMPTS = 20
_PAUSE = 0.1  # seconds between two attempts; the runner's are longer


class DeliveryServerProcess:
    """The delivery server as a process, with one directory and the same ports for life.

    Args:
        directory: Takes what it keeps, and its log.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        self._ports = free_port(), free_port()
        self._process: ChildProcess | None = None

    def start(self, die: Death = "") -> Self:
        """Start it and return when it listens, killing it first if it runs."""
        self.stop()
        webhook, mail = self._ports
        command = [sys.executable, "-m", "bench.delivery_server", f"--secret={self.secret}"]
        command += ["--webhook-port", str(webhook), "--mail-port", str(mail)]
        command += ["--dir", str(self.directory), *(["--die", die] if die else [])]
        process = ChildProcess("delivery server", command, log=self.directory / "server.log")
        self._process = process.start()
        self._process.wait_for_output(READY)
        return self

    def stop(self) -> None:
        """Kill it."""
        if self._process:
            self._process.kill()

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int:
        """Process id, of a running one."""
        assert self._process
        return self._process.pid

    def settings(self, secret: str = "") -> Settings:
        """Return settings whose destinations ``hook`` and ``mail`` are this server's.

        Args:
            secret: Of the webhook, if not the right one.
        """
        webhook, mail = self._ports
        return Settings(
            destinations=parse_destinations(
                f"hook=http://127.0.0.1:{webhook}/hook,mail=smtp://127.0.0.1:{mail}"
                "?from=minutes@example.org&to=ada@example.org&to=alan@example.org"
            ),
            destination_secrets=SecretStr(f"hook={secret or self.secret}"),
            delivery_timeout=20,
        )

    def came(self, kind: str) -> list[str]:
        """Return the keys of what came, as often as it came."""
        return self._keys("came.jsonl", kind)

    def kept(self, kind: str) -> list[str]:
        """Return the keys of what is kept."""
        return self._keys("kept.jsonl", kind)

    def _keys(self, name: str, kind: str) -> list[str]:
        entries = read_entries(self.directory / name)
        return [entry["key"] for entry in entries if entry["kind"] == kind]


@dataclass(frozen=True, slots=True)
class Trial:
    """One delivery to a receiver that was killed.

    Args:
        destination: ``hook`` or ``mail``.
        die: When the receiver died.
        key: The idempotency key.
        came: The keys that came, as often as they came.
        kept: The keys that the receiver kept.
        delivery: Its history.
    """

    destination: str
    die: Death
    key: str
    came: tuple[str, ...]
    kept: tuple[str, ...]
    delivery: Delivery

    @property
    def sound(self) -> bool:
        """Whether it is there, once, under one key, and the history tells of each attempt."""
        return (
            bool(self.delivery.delivered_at)
            and len(self.delivery.attempts) >= 2
            and len(self.came) >= 2
            and {_plain(key) for key in self.came} == {self.key}
            and [_plain(key) for key in self.kept] == [self.key]
        )


def _plain(key: str) -> str:
    """Return the key; a mail's is the local part of its Message-ID."""
    return key.strip("<>").partition("@")[0]


def parcel(meeting: str) -> Parcel:
    """Return the minutes of a small meeting."""
    document = weekly(meeting)
    return pack(document, summary_of(document))


async def deliver_until_done(
    sent: Parcel, name: str, server: DeliveryServerProcess, artefacts: FilesArtefacts
) -> Delivery:
    """Deliver, starting a server that died again, as often as it takes.

    Raises:
        RetryableError: It took too often.
    """
    settings = server.settings()
    for attempt in range(_ATTEMPTS):
        try:
            await deliver(sent, name, settings=settings, s3=settings.s3_access, artefacts=artefacts)
            break
        except RetryableError:
            if attempt == _ATTEMPTS - 1:
                raise
            if not server.running:
                await asyncio.to_thread(server.start)
            await asyncio.sleep(_PAUSE)
    delivery = await read_delivery(artefacts, name)
    assert delivery
    return delivery


async def run(
    directory: Path, *, trials: int, destinations: Sequence[str] = DESTINATIONS
) -> AsyncIterator[Trial]:
    """Kill a receiver in the middle of ``trials`` deliveries at each place, to each destination."""
    server = DeliveryServerProcess(directory / "server")
    try:
        for number in range(trials):
            for name in destinations:
                for die in (death for death in get_args(Death) if death):
                    sent = parcel(f"{name}-{die}-{number}")
                    await asyncio.to_thread(server.start, die)
                    artefacts = FilesArtefacts(directory / sent.directory)
                    delivery = await deliver_until_done(sent, name, server, artefacts)
                    kind, key = ("webhook" if name == "hook" else "mail"), sent.key(name)
                    came = tuple(one for one in server.came(kind) if _plain(one) == key)
                    kept = tuple(one for one in server.kept(kind) if _plain(one) == key)
                    yield Trial(name, die, key, came, kept, delivery)
    finally:
        server.stop()


async def _print(trials: int) -> bool:
    table = Table("destination", "killed", "n", "delivered", "kept once", "came, most")
    with tempfile.TemporaryDirectory(prefix="deliveries-") as directory:
        found = [trial async for trial in run(Path(directory), trials=trials)]
    for name, die in dict.fromkeys((one.destination, one.die) for one in found):
        these = [one for one in found if (one.destination, one.die) == (name, die)]
        table.add_row(
            name,
            "before it keeps it" if die == "received" else "after, before it answers",
            str(len(these)),
            str(sum(bool(one.delivery.delivered_at) for one in these)),
            str(sum(len(one.kept) == 1 for one in these)),
            str(max(len(one.came) for one in these)),
        )
    Console().print(table)
    return all(trial.sound for trial in found)


def main() -> None:
    """Run the command above; status 1 where a delivery is lost or kept twice."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=25)
    # Each attempt that fails is expected here, and in the table.
    logging.getLogger("pipelines").setLevel(logging.ERROR)
    sys.exit(0 if asyncio.run(_print(parser.parse_args().trials)) else 1)


if __name__ == "__main__":
    main()
