"""What each fault does: entered it strikes, left it is mended."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.soak.hosts import Host
from bench.soak.schedule import Kind
from bench.soak.stack import Stack

_SLOW: Final = (0.1, 0.8)  # seconds
_JUMP: Final = (5.0, 45.0)  # seconds; LiveKit takes no token from a clock that is off by a minute
_ENDS: Final = 60.0  # seconds
_SERVICES: Final = ("livekit", "redis", "s3", "http", "engine")


class NotThereError(Exception):
    """This fault can't strike here and now; the message says why."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a fault strikes.

    Args:
        stack: Everything.
        host: The one whose worker has the job.
        job: The job's process.
        journal: What it writes.
        chance: For what is left to it.
    """

    stack: Stack
    host: Host
    job: int
    journal: Path
    chance: random.Random

    @classmethod
    def now(cls, stack: Stack, seed: int) -> Scene:
        """Look who has the job.

        Raises:
            NotThereError: Nobody.
        """
        jobs = [(path, pid, host) for host in stack.hosts for pid, path in host.jobs().items()]
        if not jobs:
            raise NotThereError("nobody has the job")
        journal, job, host = max(jobs, key=lambda one: int(one[0].stem))
        return cls(stack, host, job, journal, random.Random(seed))


Fault = Callable[[Scene], Iterator[None]]


def strike(kind: Kind, scene: Scene) -> AbstractContextManager[None]:
    """Return the fault as a context manager.

    Raises:
        NotThereError: It can't strike here, when it is entered.
    """
    return contextmanager(FAULTS[kind])(scene)


def possible(stack: Stack) -> list[Kind]:
    """Return the kinds that can strike on this machine."""
    host = stack.hosts[0]
    needs = {
        "disk full": host.disk,
        "disk read-only": host.disk,
        "media cut": host.network,
        "host cut off": host.network,
        "clock jumps": host.clock,
    }
    return [kind for kind in FAULTS if needs.get(kind, True)]


def _job_killed(scene: Scene) -> Iterator[None]:
    os.kill(scene.job, signal.SIGKILL)
    yield


def _job_stopped(scene: Scene) -> Iterator[None]:
    os.kill(scene.job, signal.SIGSTOP)
    yield
    with suppress(ProcessLookupError):  # Whoever replaced it may have killed it.
        os.kill(scene.job, signal.SIGCONT)


def _torn_line(scene: Scene) -> Iterator[None]:
    os.kill(scene.job, signal.SIGSTOP)
    lines = scene.journal.read_bytes().splitlines()
    half = lines[-1][: len(lines[-1]) * 2 // 3]
    with scene.journal.open("ab") as file:
        file.write(half)
    os.kill(scene.job, signal.SIGKILL)
    yield


def _worker_killed(scene: Scene) -> Iterator[None]:
    scene.host.require().kill()
    yield
    scene.stack.start_worker(scene.host)


def _parent_killed(scene: Scene) -> Iterator[None]:
    worker = scene.host.require()
    os.kill(worker.pid, signal.SIGKILL)
    yield
    worker.kill()  # what a supervisor does before it starts another
    scene.stack.start_worker(scene.host)


def _worker_stopped(scene: Scene) -> Iterator[None]:
    scene.host.freeze()
    yield
    scene.host.thaw()


def _all_workers_killed(scene: Scene) -> Iterator[None]:
    for host in scene.stack.hosts:
        host.require().kill()
    yield
    for host in scene.stack.hosts:
        scene.stack.start_worker(host)
    scene.stack.wait_for_workers()  # Nobody can come before.


def _worker_told_to_end(scene: Scene) -> Iterator[None]:
    worker = scene.host.require()
    os.kill(worker.pid, signal.SIGTERM)
    yield
    worker.wait(timeout=_ENDS)  # A meeting that nobody takes over would keep it for an hour.
    worker.kill()
    scene.stack.start_worker(scene.host)


def _redis_killed(scene: Scene) -> Iterator[None]:
    scene.stack.redis.kill()
    yield
    scene.stack.redis.start()


def _s3_killed(scene: Scene) -> Iterator[None]:
    scene.stack.s3.kill()
    yield
    scene.stack.s3.start()


def _http_killed(scene: Scene) -> Iterator[None]:
    scene.stack.http.kill()
    yield
    scene.stack.http.start()


def _livekit_killed(scene: Scene) -> Iterator[None]:
    scene.stack.livekit.kill()
    yield
    scene.stack.livekit.restart()


def _disk_full(scene: Scene) -> Iterator[None]:
    if (disk := scene.host.disk) is None:
        raise NotThereError("the host has no disk of its own")
    disk.fill()
    yield
    disk.mend()


def _disk_read_only(scene: Scene) -> Iterator[None]:
    # A disk is never made read-only under an open file: its writer dies first, and who comes
    # after it, on whatever host, finds it so.
    disks = [host.disk for host in scene.stack.hosts if host.disk]
    with ExitStack() as mending:
        for disk in disks:
            mending.callback(disk.mend)
        try:
            for host in scene.stack.hosts:
                if host.disk and host is not scene.host:
                    host.disk.freeze()
            os.kill(scene.job, signal.SIGKILL)
            if scene.host.disk:
                scene.host.disk.freeze()
        except RuntimeError as error:
            raise NotThereError(str(error)) from None
        yield


def _media_cut(scene: Scene) -> Iterator[None]:
    yield from _cut(scene, media=True, rest=False)


def _host_cut_off(scene: Scene) -> Iterator[None]:
    yield from _cut(scene, media=True, rest=True)


def _cut(scene: Scene, *, media: bool, rest: bool) -> Iterator[None]:
    if (network := scene.host.network) is None:
        raise NotThereError("the host has no network of its own")
    network.pull(media=media, rest=rest)
    yield
    network.plug()


def _tcp_cut(scene: Scene) -> Iterator[None]:
    link = scene.host.links[scene.chance.choice(_SERVICES)]
    link.cut()
    yield
    link.mend()


def _tcp_hangs(scene: Scene) -> Iterator[None]:
    link = scene.host.links[scene.chance.choice(_SERVICES)]
    link.hang()
    yield
    link.mend()


def _tcp_slow(scene: Scene) -> Iterator[None]:
    delay = scene.chance.uniform(*_SLOW)
    for link in scene.host.links.values():
        link.delay(delay, jitter=delay / 4)
    yield
    for link in scene.host.links.values():
        link.mend()


def _clock_jumps(scene: Scene) -> Iterator[None]:
    if (clock := scene.host.clock) is None:
        raise NotThereError("the host has no clock of its own")
    clock.jump(scene.chance.choice((-1, 1)) * scene.chance.uniform(*_JUMP))
    yield
    clock.jump(0.0)


FAULTS: Final[Mapping[Kind, Fault]] = {
    "job killed": _job_killed,
    "job stopped": _job_stopped,
    "torn line": _torn_line,
    "worker killed": _worker_killed,
    "worker's parent killed": _parent_killed,
    "worker stopped": _worker_stopped,
    "all workers killed": _all_workers_killed,
    "worker told to end": _worker_told_to_end,
    "redis killed": _redis_killed,
    "s3 killed": _s3_killed,
    "http store killed": _http_killed,
    "livekit killed": _livekit_killed,
    "disk full": _disk_full,
    "disk read-only": _disk_read_only,
    "media cut": _media_cut,
    "host cut off": _host_cut_off,
    "tcp cut": _tcp_cut,
    "tcp hangs": _tcp_hangs,
    "tcp slow": _tcp_slow,
    "clock jumps": _clock_jumps,
}
