"""A host with one worker on it, and everything that can be done to it."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

from bench.child_process import ChildError
from bench.soak import disk, network
from bench.soak.clock import FakeClock
from bench.soak.disk import SmallDisk
from bench.soak.network import NetworkHost
from bench.toxiproxy import Proxy, Toxiproxy
from bench.worker_process import WorkerProcess

SERVICES: Final = ("livekit", "redis", "s3", "http", "engine")
"""What a host reaches over TCP, each through a proxy of its own."""


class Host:
    """One worker with its own disk, clock, cables and connections; a context manager.

    Where it can't have them (no root, no libfaketime), it shares the machine's.

    Args:
        number: 1, 2, ...
        directory: Takes its disk and logs.
        toxiproxy: Runs; carries its connections.
        ports: Service -> port at 127.0.0.1.
        whole: Give it a disk, a clock and a network of its own.
    """

    def __init__(
        self,
        number: int,
        directory: Path,
        *,
        toxiproxy: Toxiproxy,
        ports: Mapping[str, int],
        whole: bool,
    ) -> None:
        self.name = f"host-{number}"
        self.data = directory / self.name / "disk" / "data"
        self.network = NetworkHost(number) if whole and network.there() else None
        self.disk = SmallDisk(self.data.parent) if whole and disk.there() else None
        self._directory = directory / self.name
        self._directory.mkdir(parents=True)
        self.clock = FakeClock(self._directory / "clock") if whole and FakeClock.there() else None
        self._toxiproxy = toxiproxy
        self._ports = ports
        self.links: dict[str, Proxy] = {}
        self.worker: WorkerProcess | None = None
        self._undo = ExitStack()
        self._stopped: list[psutil.Process] = []

    @property
    def gateway(self) -> str:
        """Address at which it finds its services, each at the port of its link."""
        return self.network.gateway if self.network else "127.0.0.1"

    def start_worker(self, env: Mapping[str, str]) -> None:
        """Start a worker in good order, or again; it may not be registered when this returns."""
        settings = {
            **env,
            "GREFFIER_DATA_DIR": str(self.data),
            "LIVEKIT_URL": f"ws://{self.gateway}:{self.links['livekit'].port}",
            **(self.clock.env() if self.clock else {}),
        }
        log = self._directory / "worker.log"
        self.worker = WorkerProcess(settings, log=log, name=f"worker of {self.name}")
        if self.network:
            self.worker.command = [*self.network.prefix, *self.worker.command]
        self.worker.start()

    def require(self) -> WorkerProcess:
        """Return the worker.

        Raises:
            ChildError: None was started.
        """
        if self.worker is None:
            raise ChildError(f"{self.name} has no worker")
        return self.worker

    def jobs(self) -> dict[int, Path]:
        """Return the processes with a job -> the journal that each writes."""
        if self.worker is None or not self.worker.running:
            return {}
        found: dict[int, Path] = {}
        with suppress(psutil.Error):
            for process in self.worker.processes():
                if journal := _journal_of(process.pid):
                    found[process.pid] = journal
        return found

    def freeze(self) -> None:
        """Stop every process of the worker (SIGSTOP) until :meth:`thaw`."""
        worker = psutil.Process(self.require().pid)
        self._stopped = [worker, *worker.children(recursive=True)]
        self._signal_stopped(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal_stopped(signal.SIGCONT)
        self._stopped = []

    def _signal_stopped(self, number: signal.Signals) -> None:
        for process in self._stopped:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def __enter__(self) -> Self:
        for part in (self.network, self.disk):
            if part:
                self._undo.enter_context(part)
        for service in SERVICES:
            self.links[service] = self._toxiproxy.forward(
                f"{self.name}-{service}",
                upstream=f"127.0.0.1:{self._ports[service]}",
                host=self.gateway,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.thaw()
        if self.worker:
            self.worker.kill()
        self._undo.close()


def _journal_of(pid: int) -> Path | None:
    """Return the journal that a process writes: it is opened under another name, with its epoch."""
    with suppress(OSError):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                target = file.readlink()
                if target.parent.parent.name == "journal" and ".unlocked" in target.name:
                    return target.with_name(f"{target.name.partition('.')[0]}.jsonl")
    return None
