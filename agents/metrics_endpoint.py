"""``GET /metrics``: what the worker and all its jobs count, in Prometheus' text format.

Every process counts in mapped files of its own, in a directory that belongs to one worker:
``metrics/`` in the data directory holds one for each. The worker locks its directory; one that can
be locked is a dead worker's and goes away with the next start.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import struct
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry, Metric, start_http_server
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from pipelines.errors import SettingsError
from pipelines.metrics import reserve
from pipelines.settings import Settings

log = logging.getLogger(__name__)

_ENDED: Final = "ended"
"""In place of a process id: the sums of the processes that are gone."""

_SUMMED: Final = ("counter", "histogram")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the metrics are.

    Args:
        directory: By which the worker and its jobs share them.
        address: Where they are served.
    """

    directory: Path
    address: str


@contextmanager
def serve_metrics(settings: Settings) -> Iterator[Endpoint | None]:
    """Serve ``/metrics`` from a thread of its own; None where metrics are off.

    Raises:
        SettingsError: Something else listens on the port.
    """
    if settings.metrics_port is None:
        yield None
        return
    root = settings.data_dir / "metrics"
    with ExitStack() as stack:
        try:
            directory = stack.enter_context(_directory(root))
        except OSError as error:
            # A full disk must not keep a worker from its meetings.
            log.warning("no metrics, %s takes no files: %s", root, error.strerror or error)
            yield None
            return
        registry = CollectorRegistry()
        registry.register(WorkerCollector(directory))
        host = settings.health_host
        try:
            server, _ = start_http_server(settings.metrics_port, addr=host, registry=registry)
        except OSError as error:
            raise SettingsError(
                f"{Settings.variable('metrics_port')}: can't listen on {host}:"
                f"{settings.metrics_port}: {error.strerror or error}"
            ) from error
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        shown = f"[{host}]" if ":" in host else host
        yield Endpoint(directory, f"http://{shown}:{server.server_port}/metrics")


class WorkerCollector(Collector):
    """Collects what the processes of one worker count.

    What ended processes counted goes into one file per kind, so that neither the directory nor a
    scrape grows with the meetings of months; their gauges go away.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = Lock()  # Several may ask at once.

    def collect(self) -> Iterable[Metric]:
        """Return every metric, summed up over the processes."""
        with self._lock:
            self._settle_ended()
            files = [str(path) for path in self._directory.glob("*.db")]
            merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]  # prometheus-client has no types there
            return list(merged)

    def _settle_ended(self) -> None:
        for path in self._directory.glob("*.db"):
            kind, _, owner = path.stem.rpartition("_")
            if not owner.isdecimal() or _runs(int(owner)):
                continue
            if kind in _SUMMED:
                # A full disk: they are summed up some other time.
                with suppress(OSError):
                    self._add(kind, path)
            else:
                path.unlink()

    def _add(self, kind: str, path: Path) -> None:
        try:
            counted = list(MmapedDict.read_all_values_from_file(str(path)))  # type: ignore[no-untyped-call]  # as above
        except (RuntimeError, struct.error) as error:
            log.warning("counts of an ended process not read", extra={"cause": str(error)})
            counted = []
        reserve(self._directory, _ENDED)
        sums = MmapedDict(str(self._directory / f"{kind}_{_ENDED}.db"))  # type: ignore[no-untyped-call]  # as above
        with closing(sums):
            for key, value, _, _ in counted:
                before, _ = sums.read_value(key)  # type: ignore[no-untyped-call]  # as above
                sums.write_value(key, before + value, 0.0)  # type: ignore[no-untyped-call]  # as above
        path.unlink()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # Somebody else's by now.
        pass
    return True


@contextmanager
def _directory(root: Path) -> Iterator[Path]:
    """Own a new directory in ``root``; remove those of dead workers before, and it afterwards."""
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root, wait=True):  # Nobody takes ours for a dead worker's before it is locked.
        for other in root.iterdir():
            with suppress(BlockingIOError), _locked(other):
                shutil.rmtree(other, ignore_errors=True)
        directory = Path(tempfile.mkdtemp(dir=root))
        fd = _lock(directory)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(fd)


@contextmanager
def _locked(directory: Path, *, wait: bool = False) -> Iterator[None]:
    fd = _lock(directory, wait=wait)
    try:
        yield
    finally:
        os.close(fd)


def _lock(directory: Path, *, wait: bool = False) -> int:
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        os.close(fd)
        raise
    return fd
