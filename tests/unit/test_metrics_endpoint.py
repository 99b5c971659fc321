"""One worker's ``/metrics``: its processes summed up, the dead ones too, and no other worker's."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agents.metrics_endpoint import WorkerCollector, serve_metrics
from pipelines.errors import SettingsError
from pipelines.metrics import KINDS
from pipelines.settings import Settings

JOB = """
import os, sys
directory, imported_first = sys.argv[1:]
if imported_first == "imported-first":  # as the worker's own process does
    import livekit.agents
os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
from pipelines.metrics import metrics
metrics().seals.inc(2)
metrics().flush_time.labels("files").observe(0.3)
metrics().store_lag.labels("files").set(5)
metrics().store_behind.labels("files").set(7 if imported_first else 3)
print("counted", flush=True)
sys.stdin.readline()
"""


class Job:
    """A process that counts, and then waits to be killed."""

    def __init__(self, directory: Path, *options: str) -> None:
        command = [sys.executable, "-c", JOB, str(directory), *(options or ("",))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "counted\n"

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def samples(collector: WorkerCollector) -> dict[str, float]:
    return {
        sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in collector.collect()
        for sample in family.samples
    }


def test_processes_are_summed_up_and_the_dead_keep_their_counts_but_not_their_lag(
    tmp_path: Path, processes: ExitStack
) -> None:
    collector = WorkerCollector(tmp_path)
    first, second, worker = (
        Job(tmp_path),
        Job(tmp_path),
        Job(tmp_path, "imported-first"),
    )
    for job in (first, second, worker):
        processes.callback(job.kill)
    alive = samples(collector)
    assert alive["greffier_seals_total"] == 6
    assert alive["greffier_store_lag_lines files"] == 15
    assert alive["greffier_store_behind_seconds files"] == 7
    first.kill()
    worker.kill()
    for _ in range(3):  # Summed up once, however often somebody looks.
        later = samples(collector)
        assert later["greffier_seals_total"] == 6
        assert later["greffier_store_flush_seconds_count files"] == 3
        assert later["greffier_store_flush_seconds_bucket files 0.25"] == 0
        assert later["greffier_store_lag_lines files"] == 5
        assert later["greffier_store_behind_seconds files"] == 3
    second.kill()
    over = samples(collector)
    assert over["greffier_seals_total"] == 6
    assert "greffier_store_lag_lines files" not in over
    assert len(list(tmp_path.iterdir())) == len(KINDS), "no file is left of any process"


def settings(data: Path, port: int | None = 0) -> Settings:
    return Settings(data_dir=data, metrics_port=port)


def test_metrics_are_off_unless_asked_for(tmp_path: Path) -> None:
    with serve_metrics(settings(tmp_path, port=None)) as endpoint:
        assert endpoint is None
    assert Settings(data_dir=tmp_path).metrics_port is None
    assert list(tmp_path.iterdir()) == []


def test_they_are_served_as_prometheus_reads_them(tmp_path: Path, processes: ExitStack) -> None:
    endpoint = processes.enter_context(serve_metrics(settings(tmp_path)))
    assert endpoint
    processes.callback(Job(endpoint.directory).kill)
    assert endpoint.address.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(endpoint.address) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        text = answer.read().decode()
    assert "# TYPE greffier_seals_total counter" in text
    assert "\ngreffier_seals_total 2.0\n" in text


def test_two_workers_share_a_data_directory_and_no_count(tmp_path: Path) -> None:
    with serve_metrics(settings(tmp_path)) as one, serve_metrics(settings(tmp_path)) as other:
        assert one
        assert other
        assert one.directory != other.directory
        assert one.directory.is_dir()
    assert list((tmp_path / "metrics").iterdir()) == []


def test_only_a_dead_workers_directory_is_removed(tmp_path: Path) -> None:
    root = tmp_path / "metrics"
    dead, living = root / "dead", root / "living"
    for directory in (dead, living):
        directory.mkdir(parents=True)
        (directory / "counter_1.db").write_bytes(b"")
    lock = os.open(living, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with serve_metrics(settings(tmp_path)) as endpoint:
        assert endpoint
        assert sorted(root.iterdir()) == sorted([living, endpoint.directory])
    os.close(lock)


def test_a_port_that_is_taken_names_its_variable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        expected = rf"GREFFIER_METRICS_PORT: can't listen on 127.0.0.1:{port}"
        with (
            pytest.raises(SettingsError, match=expected),
            serve_metrics(settings(tmp_path, port=port)),
        ):
            pass


def test_a_disk_that_takes_no_directory_costs_the_metrics_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "metrics").write_text("a file where the directory should be")
    with serve_metrics(settings(tmp_path)) as endpoint:
        assert endpoint is None
    assert "takes no files" in caplog.text
