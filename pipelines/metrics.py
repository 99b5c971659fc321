"""What a process counts of the whole path, from audio frame to kept line, for Prometheus.

No label carries a meeting, a person or text: engines are named by provider, stores by the name the
operator gave them.

The worker and each of its jobs are processes. They share their counts through files in the
directory that prometheus-client's own variable ``PROMETHEUS_MULTIPROC_DIR`` names; without it a
process counts for itself, and nobody asks.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from prometheus_client import Counter, Gauge, Histogram, values

log = logging.getLogger(__name__)

KINDS: Final = (
    "counter",
    "histogram",
    "gauge_livesum",
    "gauge_livemax",
    "gauge_all",  # LiveKit's own, as the next
    "gauge_max",
)
"""Each has one file per process, ``{kind}_{pid}.db``."""

FILE_SIZE: Final = 1 << 16
"""Bytes of a file: prometheus-client's initial size, four times what we need."""

_PUBLISH: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_FLUSH: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_EARLY: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05)


class Metrics:
    """Every metric; an attribute each."""

    def __init__(self) -> None:
        self.audio_frames = Counter(
            "greffier_audio_frames_total",
            "Audio frames of 50 ms read from open microphones.",
            registry=None,
        )
        self.vad_windows = Counter(
            "greffier_vad_windows_total",
            "Windows of 32 ms given to the voice activity detector.",
            registry=None,
        )
        self.engine_audio = Counter(
            "greffier_engine_audio_seconds_total",
            "Seconds of speech sent to an engine, what is said again after a failure included.",
            ["engine"],
            registry=None,
        )
        self.engine_requests = Counter(
            "greffier_engine_requests_total",
            "Streams opened and pieces sent to an engine.",
            ["engine"],
            registry=None,
        )
        self.engine_failures = Counter(
            "greffier_engine_failures_total",
            "Streams and pieces of them that failed.",
            ["engine"],
            registry=None,
        )
        self.captions_sent = Counter(
            "greffier_captions_sent_total",
            "Captions that the room took, by kind (`final`, `interim`) and format.",
            ["kind", "format"],
            registry=None,
        )
        self.captions_given_up = Counter(
            "greffier_captions_given_up_total",
            "Finals that could not be shown in a format; they are kept all the same.",
            ["format"],
            registry=None,
        )
        self.publish_time = Histogram(
            "greffier_caption_publish_seconds",
            "Time from a known final until the room has it in a format.",
            ["format"],
            buckets=_PUBLISH,
            registry=None,
        )
        self.early_copies = Counter(
            "greffier_early_copies_total",
            "Finals about to be shown, for each format, by their early copy: `kept`, `missed` its "
            "deadline, or `skipped`.",
            ["outcome"],
            registry=None,
        )
        self.early_copy_wait = Histogram(
            "greffier_early_copy_wait_seconds",
            "Time that a final waited for its early copy before it was shown.",
            buckets=_EARLY,
            registry=None,
        )
        self.flush_time = Histogram(
            "greffier_store_flush_seconds",
            "Time until a store has a batch of lines, retries included.",
            ["store"],
            buckets=_FLUSH,
            registry=None,
        )
        self.store_lines = Counter(
            "greffier_store_lines_total", "Lines that a store took.", ["store"], registry=None
        )
        self.store_retries = Counter(
            "greffier_store_retries_total",
            "Batches sent again at once because a store failed.",
            ["store"],
            registry=None,
        )
        self.store_failures = Counter(
            "greffier_store_failures_total",
            "Batches that a store did not take after all tries; their lines wait.",
            ["store"],
            registry=None,
        )
        self.store_lag = Gauge(
            "greffier_store_lag_lines",
            "Lines of running meetings that a store does not have yet.",
            ["store"],
            multiprocess_mode="livesum",
            registry=None,
        )
        self.store_behind = Gauge(
            "greffier_store_behind_seconds",
            "Time since a store last had every line of a running meeting; the longest.",
            ["store"],
            multiprocess_mode="livemax",
            registry=None,
        )
        self.journal_lines = Counter(
            "greffier_journal_lines_total", "Lines given to journals.", registry=None
        )
        self.journal_bytes = Counter(
            "greffier_journal_written_bytes_total", "Bytes written to journals.", registry=None
        )
        self.journals_not_durable = Gauge(
            "greffier_journals_not_durable",
            "Journals with lines that the disk did not take and only memory holds.",
            multiprocess_mode="livesum",
            registry=None,
        )
        self.meetings_running = Gauge(
            "greffier_meetings_running",
            "Meetings that a job serves now.",
            multiprocess_mode="livesum",
            registry=None,
        )
        self.replacements = Counter(
            "greffier_replacements_total",
            "Rooms whose job was replaced, by cause: its process `died`, its heartbeat fell "
            "`silent`, another worker took over (`handover`), or there was none in a room that "
            "asks for it (`missing`).",
            ["cause"],
            registry=None,
        )
        self.rooms_waiting = Gauge(
            "greffier_rooms_waiting",
            "Rooms whose job is gone and that no other one serves yet; of the worker that watches.",
            multiprocess_mode="livesum",
            registry=None,
        )
        self.seals = Counter(
            "greffier_seals_total", "Seals of meetings, also those of recovery.", registry=None
        )
        self.steps = Counter(
            "greffier_steps_total",
            "Steps after meetings that the worker's own child does (`GREFFIER_AFTER=builtin`), by "
            "outcome: `done`, `failed` (tried again later) or `given_up`.",
            ["step", "outcome"],
            registry=None,
        )
        self.deliveries = Counter(
            "greffier_deliveries_total",
            "Its attempts to deliver minutes, by kind of destination and outcome (`delivered`, "
            "`failed`: tried again, `refused`).",
            ["kind", "outcome"],
            registry=None,
        )


@cache
def metrics() -> Metrics:
    """Return this process's metrics; made at the first call, in the process that counts.

    In the worker itself that is after it started: LiveKit's ``AgentServer.run`` sets the variable
    and empties the directory.
    """
    if directory := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        try:
            reserve(Path(directory), str(os.getpid()))
        except OSError as error:
            log.warning("this process is not in the metrics", extra={"cause": str(error)})
            values.ValueClass = values.MutexValue
        else:
            _share_values()
    return Metrics()


def reserve(directory: Path, owner: str) -> None:
    """Take the disk space of every file of ``owner``, so that counting can't meet a full disk.

    The files are mapped: a page that the disk has no room for kills the process that touches it.

    Raises:
        OSError: The disk has no room.
    """
    for kind in KINDS:
        path = directory / f"{kind}_{owner}.db"
        if not path.exists():
            # It gets its name when it has its size: prometheus-client can't read an empty file.
            unfinished = path.with_suffix(".unfinished")
            fd = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, FILE_SIZE)
                unfinished.rename(path)
            finally:
                os.close(fd)
                unfinished.unlink(missing_ok=True)


class EngineCounts:
    """What is counted of one engine.

    Args:
        engine: ``provider/model``; only the provider is a label, since the model may be any text
            of a room's metadata.
    """

    def __init__(self, engine: str) -> None:
        provider = engine.partition("/")[0]
        self.audio = metrics().engine_audio.labels(provider)
        self.requests = metrics().engine_requests.labels(provider)
        self.failures = metrics().engine_failures.labels(provider)


@dataclass(frozen=True, slots=True)
class MetricDescription:
    """A metric as documentation and dashboards know it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


def describe() -> Iterator[MetricDescription]:
    """Describe every metric, in the order of the path."""
    for one in vars(metrics()).values():
        (family,) = one.describe()
        yield MetricDescription(
            name=f"{family.name}_total" if family.type == "counter" else family.name,
            kind=family.type,
            labels=tuple(one._labelnames),  # noqa: SLF001 - there is no public way to ask
            help=family.documentation,
        )


def _share_values() -> None:
    # prometheus-client 0.26 chooses at import whether values are shared. A job's process is made
    # after LiveKit has set the variable; the worker's own imported the library long before.
    if not values.ValueClass._multiprocess:  # noqa: SLF001 - the library's own name for it
        values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]  # no types there
