"""``GET /metrics`` and ``worker.py status`` of a real meeting, against what other processes saw."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bench.child_process import ROOT
from bench.client_processes import PublisherProcess, is_final
from bench.rooms import Rooms, dispatch_to
from bench.script import SCRIPTED_MEETING
from bench.sealed_transcript import wait_for_seal

if TYPE_CHECKING:
    from tests.integration.conftest import StartPublisher, StartSubscriber, StartWorker

PEOPLE = {"ada": "Ada Lovelace", "james": "James Clerk Maxwell"}
UTTERANCES = ((0.0, "ada", "02-ada.ogg"), (5.0, "james", "05-james.ogg"))
LINGER = 60  # seconds of silence after them: the test ends it
AROUND = 2.0  # seconds of silence that go with a span of speech: less than 0.5 before, 1 after
TIMEOUT = 30.0


@dataclass(frozen=True)
class Scraped:
    """One answer of ``/metrics``."""

    text: str

    @classmethod
    def of(cls, address: str) -> Self:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return cls(answer.read().decode())

    def __call__(self, name: str, **labels: str) -> float:
        """Return the sum of the samples ``name`` that have ``labels``; 0 where there is none."""
        return math.fsum(
            sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


async def scrape_until(address: str, accept: Callable[[Scraped], bool]) -> Scraped:
    deadline = time.monotonic() + TIMEOUT
    while not accept(scraped := Scraped.of(address)):
        assert time.monotonic() < deadline, scraped.text
        await asyncio.sleep(0.3)
    return scraped


def status(data: Path) -> dict[str, Any]:
    """Run ``worker.py status --json`` as a user does."""
    command = [sys.executable, str(ROOT / "worker.py"), "status", "--json"]
    env = {**os.environ, "GREFFIER_DATA_DIR": str(data)}
    answer = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(answer.stdout)
    return told


def short_script(directory: Path) -> Path:
    script = {
        "speakers": [{"identity": identity, "name": name} for identity, name in PEOPLE.items()],
        "utterances": [
            {"at": at, "identity": who, "file": str(SCRIPTED_MEETING.parent / file), "text": ""}
            for at, who, file in UTTERANCES
        ],
    }
    path = directory / "script.json"
    path.write_text(json.dumps(script))
    return path


def spoken(people: PublisherProcess) -> float:
    """Return the seconds that were spoken, once everybody is done."""
    deadline = time.monotonic() + TIMEOUT
    while len(ended := people.truth("speech_ended")) < len(UTTERANCES):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    started = people.truth("speech_started")
    return math.fsum(one["at"] for one in ended) - math.fsum(one["at"] for one in started)


def is_settled(scraped: Scraped) -> bool:
    """Tell whether everything that was said is shown and in the store.

    The lag alone does not tell: a line is counted in the journal before the lag is told again.
    """
    shown = scraped("greffier_captions_sent_total", kind="final")
    kept = scraped("greffier_store_lines_total", store="files")
    return (
        shown >= len(UTTERANCES)
        and kept == scraped("greffier_journal_lines_total")
        and scraped("greffier_store_lag_lines", store="files") == 0
    )


def job_is_gone(scraped: Scraped) -> bool:
    """Tell whether nobody tells a lag any more: it goes with the process that had it."""
    return "greffier_store_lag_lines{" not in scraped.text


def settled(captions: list[dict[str, Any]]) -> tuple[int, int]:
    """Return the number of finals and of interims."""
    finals = sum(map(is_final, captions))
    return finals, len(captions) - finals


@pytest.fixture
def address(start_worker: StartWorker) -> str:
    """Start a worker; return where it serves its metrics."""
    worker = start_worker(
        GREFFIER_METRICS_PORT="0",
        GREFFIER_ENGINE="pocketsphinx",
        GREFFIER_DEPARTURE_TIMEOUT="0.5",
    )
    served = re.search(r"metrics: (http://127\.0\.0\.1:\d+/metrics)", worker.output())
    assert served
    return served[1]


@pytest.fixture
async def served_room(rooms: Rooms, room: str, agent_name: str, address: str) -> str:  # noqa: ARG001 - the worker must be there first
    metadata = {"agents": {"transcriber": True}}
    await rooms.create(room, metadata=metadata, agents=[dispatch_to(agent_name)])
    return room


async def test_a_meetings_metrics_and_status_say_what_other_processes_saw(
    address: str,
    served_room: str,
    tmp_path: Path,
    start_subscriber: StartSubscriber,
    start_publisher: StartPublisher,
) -> None:
    reader = start_subscriber(served_room)
    script = ("--script", str(short_script(tmp_path)), "--linger", str(LINGER))
    people = start_publisher(served_room, *script, "--wait-subscribed", "30")
    seconds = await asyncio.to_thread(spoken, people)
    during = await scrape_until(address, is_settled)
    finals, interims = settled(reader.received("caption"))
    sent = partial(during, "greffier_captions_sent_total", format="text-stream")
    assert (sent(kind="final"), sent(kind="interim")) == (finals, interims)
    assert finals >= len(UTTERANCES)
    assert during("greffier_caption_publish_seconds_count", format="text-stream") == finals

    heard = during("greffier_engine_audio_seconds_total", engine="pocketsphinx")
    assert 0.8 * seconds <= heard <= seconds + AROUND * len(UTTERANCES)
    assert during("greffier_engine_requests_total") == len(UTTERANCES)
    assert during("greffier_engine_failures_total") == 0
    read = 0.05 * during("greffier_audio_frames_total")
    assert len(PEOPLE) * UTTERANCES[-1][0] <= read <= len(PEOPLE) * (LINGER + TIMEOUT)
    assert during("greffier_vad_windows_total") * 0.032 == pytest.approx(read, rel=0.05)

    (journal,) = (await asyncio.to_thread(status, tmp_path / "data"))["journals"]
    assert (journal["alive"], journal["lag"]) == (True, {"files": 0})
    assert during("greffier_journal_lines_total") == journal["lines"]
    assert during("greffier_journal_written_bytes_total") == journal["bytes"]
    assert during("greffier_store_lines_total", store="files") == journal["lines"]
    assert during("greffier_journals_not_durable") == 0
    assert during("greffier_meetings_running") == 1
    # LiveKit's own, counted in the worker's process: it shares as its jobs do.
    assert during("lk_agents_active_job_count") == 1

    people.stop()
    reader.stop()
    await asyncio.to_thread(wait_for_seal, tmp_path / "data" / "transcripts")
    after = await scrape_until(address, job_is_gone)
    assert after("greffier_meetings_running") == 0
    assert after("greffier_seals_total") == 1
    assert after("greffier_captions_sent_total", kind="final") == finals, "counts outlive their job"
    assert (await asyncio.to_thread(status, tmp_path / "data"))["journals"] == []
    told = during.text + after.text
    assert [one for one in (served_room, *PEOPLE, *PEOPLE.values()) if one in told] == []
