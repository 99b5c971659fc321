"""What is counted on the path from audio to kept line."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import stamina
from livekit.agents import APIConnectionError, LanguageCode, stt
from prometheus_client import values

from agents import captions as captions_module
from agents.captions import ATTEMPTS, Captions
from pipelines.errors import StoreError
from pipelines.events import CaptionFinal, CaptionInterim
from pipelines.metrics import EngineCounts, Metrics, metrics
from pipelines.speech.heard import RATE, Heard
from pipelines.speech.stt import Recognizer
from pipelines.speech.vad import WINDOW, NativeVad
from pipelines.testing import EchoSTT
from pipelines.testing.memory_store import MemoryStore
from pipelines.transcript.flusher import Flusher, deliver
from pipelines.transcript.journal import Journal
from pipelines.transcript.ledger import Ledger
from pipelines.transcript.line import Line


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metrics]:
    """Metrics that count from zero, for this test alone."""
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    metrics.cache_clear()
    yield metrics()
    metrics.cache_clear()


def value(metric: Any, suffix: str = "", **labels: str) -> float:
    """Return the sum of a metric's samples that have the labels."""
    (family,) = metric.collect()
    suffix = suffix or ("_total" if family.type == "counter" else "")
    name = family.name + suffix
    return float(
        sum(
            sample.value
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )
    )


def line(sequence: int) -> Line:
    return Line("m", 7, sequence, "note", 1000.0, {"agent": "a", "kind": "k", "data": {}})


def test_an_engine_is_named_by_its_provider_whatever_model_metadata_asks_for(
    counted: Metrics,
) -> None:
    for model in ("nova-3", "whatever-somebody-wrote"):
        EngineCounts(f"deepgram/{model}").requests.inc()
    assert value(counted.engine_requests, engine="deepgram") == 2
    assert value(counted.engine_requests) == 2


def test_every_window_that_the_detector_hears_is_counted(counted: Metrics) -> None:
    detector = NativeVad()
    for _ in range(3):
        detector.predict(np.zeros(WINDOW, dtype=np.int16))
    assert value(counted.vad_windows) == 3


class BrokenStream(stt.RecognizeStream):
    async def _run(self) -> None:
        raise APIConnectionError("not now")


class FailsOnce(EchoSTT):
    """An engine whose first stream fails."""

    failed = False

    def stream(self, *, conn_options: Any = None, **_: Any) -> stt.RecognizeStream:
        if self.failed:
            return super().stream(conn_options=conn_options)
        self.failed = True
        return BrokenStream(stt=self, conn_options=conn_options)


async def test_speech_that_is_said_again_after_a_failure_is_sent_twice(
    counted: Metrics,
) -> None:
    recognizer = Recognizer("echo/echo", FailsOnce(), slots=asyncio.Semaphore(1))
    recognition = recognizer.recognition()
    recognition.push(np.ones(3 * RATE, dtype=np.int16))
    recognition.end()
    finals = [heard async for heard in recognition if isinstance(heard, Heard) and heard.final]
    assert len(finals) == 1
    await recognition.aclose()
    assert value(counted.engine_requests, engine="echo") == 2
    assert value(counted.engine_failures, engine="echo") == 1
    assert value(counted.engine_audio, engine="echo") == 6.0


class Whole(stt.STT[str]):
    """An engine that takes whole pieces, and fails the second."""

    pieces = 0

    async def _recognize_impl(self, buffer: Any, **_: Any) -> stt.SpeechEvent:
        assert buffer
        self.pieces += 1
        if self.pieces == 2:
            raise APIConnectionError("not now")
        said = stt.SpeechData(LanguageCode("en"), "yes")
        return stt.SpeechEvent(type=stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[said])


async def test_a_batch_engine_is_counted_by_the_piece(counted: Metrics) -> None:
    engine = Whole(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))
    recognizer = Recognizer("whole", engine, slots=asyncio.Semaphore(1))
    for failures in (0, 1):
        recognition = recognizer.recognition()
        recognition.push(np.ones(2 * RATE, dtype=np.int16))
        recognition.end()
        heard = [one async for one in recognition if isinstance(one, Heard)]
        assert [one.text for one in heard] == ["yes"]
        assert value(counted.engine_failures, engine="whole") == failures
    assert value(counted.engine_requests, engine="whole") == 3
    assert value(counted.engine_audio, engine="whole") == 6.0


def test_the_journals_lines_and_bytes_are_those_of_the_file(
    counted: Metrics, tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "m" / "7.jsonl")
    for sequence in (1, 2, 3):
        journal.append(line(sequence))
    assert value(counted.journal_lines) == 3
    assert value(counted.journal_bytes) == journal.path.stat().st_size
    assert value(counted.journals_not_durable) == 0


def test_a_journal_that_the_disk_refuses_is_told_until_the_disk_takes_it(
    counted: Metrics, tmp_path: Path
) -> None:
    obstacle = tmp_path / "m"
    obstacle.write_text("a file where the directory should be")
    journal = Journal(obstacle / "7.jsonl")
    journal.append(line(1))
    assert value(counted.journals_not_durable) == 1
    obstacle.unlink()
    journal.write_pending()
    assert value(counted.journals_not_durable) == 0
    assert value(counted.journal_lines) == 1


async def test_a_stores_retries_and_failures_are_told_apart(counted: Metrics) -> None:
    stamina.set_testing(True, attempts=3)
    await deliver(MemoryStore("slow", failures=2), "m", [line(1), line(2)])
    with pytest.raises(StoreError):
        await deliver(MemoryStore("gone", away=True), "m", [line(1)])
    with pytest.raises(StoreError):
        await deliver(MemoryStore("shut", refuse=True), "m", [line(1)])
    stores = ("slow", "gone", "shut")
    assert [value(counted.store_retries, store=name) for name in stores] == [2, 2, 0]
    assert [value(counted.store_failures, store=name) for name in stores] == [0, 1, 1]
    assert [value(counted.store_lines, store=name) for name in stores] == [2, 0, 0]
    assert [value(counted.flush_time, "_count", store=name) for name in stores] == [1, 0, 0]


async def test_a_stores_lag_grows_with_the_lines_it_lacks_and_falls_to_nothing(
    counted: Metrics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("pipelines.transcript.flusher.time", clock)
    journal = Journal(tmp_path / "m" / "7.jsonl")
    flusher = Flusher(MemoryStore("one"), "m", journal)
    for sequence in (1, 2, 3):
        journal.append(line(sequence))
        flusher.notify()
        now += 4.0
    flusher.report()
    assert value(counted.store_lag, store="one") == 3
    assert value(counted.store_behind, store="one") == 12.0
    flusher.close()
    await flusher.run()
    flusher.report()
    assert value(counted.store_lag, store="one") == 0
    assert value(counted.store_behind, store="one") == 0


async def test_a_ledger_tells_the_lag_of_each_store_while_it_runs(
    counted: Metrics, tmp_path: Path
) -> None:
    stamina.set_testing(True, attempts=1)
    ledger = await Ledger.open(
        "m",
        7,
        started_at=1000.0,
        journal_dir=tmp_path,
        stores=(MemoryStore("here"), MemoryStore("away", away=True)),
    )
    ledger.append("note", {"agent": "a", "kind": "k", "data": {}}, at=1000.0)
    ledger.close()
    await ledger.run()
    ledger.release()
    assert value(counted.store_lag, store="here") == 0
    assert value(counted.store_lag, store="away") == 1


class EarlyCopy:
    """Stands for the early copy in Redis; ``late`` makes the next wait miss its deadline."""

    def __init__(self) -> None:
        self.suspended = False
        self.late = False

    def offer(self, kept: Line) -> None:
        """Take a line."""

    async def settled(self) -> None:
        self.suspended = self.late


async def test_finals_are_told_apart_by_what_became_of_their_early_copy(
    counted: Metrics, tmp_path: Path
) -> None:
    early = EarlyCopy()
    ledger = Ledger(
        "m",
        7,
        started_at=1000.0,
        journal=Journal(tmp_path / "m" / "7.jsonl"),
        stores=(),
        early=early,  # type: ignore[arg-type]  # as much of it as is asked
        earlier=(),
    )
    await ledger.copied()
    early.late = True
    await ledger.copied()
    await ledger.copied()
    outcomes = ("kept", "missed", "skipped")
    assert [value(counted.early_copies, outcome=one) for one in outcomes] == [1, 1, 1]
    assert value(counted.early_copy_wait, "_count") == 2, "who is skipped has not waited"


class Format:
    """Takes captions; the first ``failures`` sends fail."""

    def __init__(self, failures: int) -> None:
        self._failures = failures
        self.spent = asyncio.Event()

    def carries(self, _caption: object) -> bool:
        return True

    async def send(self, _caption: object) -> None:
        if self._failures:
            self._failures -= 1
            if not self._failures:
                self.spent.set()
            raise RuntimeError("not now")


def final(segment: str) -> CaptionFinal:
    return CaptionFinal(
        at=1000.0, end=1001.0, segment=segment, identity="ada", name="Ada", text="hello"
    )


class Room:
    """A connected room."""

    def isconnected(self) -> bool:
        return True


async def test_captions_are_counted_by_kind_in_each_format_that_took_them(
    counted: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = {"text-stream": Format(failures=1), "legacy": Format(failures=ATTEMPTS)}
    monkeypatch.setattr(captions_module, "make_format", lambda name, *_, **__: forms[name])
    monkeypatch.setattr(captions_module, "SEND_AGAIN", 0.0)
    captions = Captions(
        Room(),  # type: ignore[arg-type]  # as much of it as is asked
        interim_interval=0.0,
        formats=("text-stream", "legacy"),
    )
    sending = asyncio.create_task(captions.run())
    for segment in ("a", "b"):
        captions.offer(final(segment))
    captions.offer(CaptionInterim(at=1000.0, segment="c", identity="ada", name="", text="h"))
    await asyncio.sleep(0)
    captions.close()
    await sending
    sent = counted.captions_sent
    assert value(sent, kind="final", format="text-stream") == 2
    assert value(sent, kind="final", format="legacy") == 1
    assert value(sent, kind="interim") == 2
    assert value(counted.captions_given_up, format="legacy") == 1
    assert value(counted.captions_given_up, format="text-stream") == 0
    assert value(counted.publish_time, "_count", format="text-stream") == 2
    assert value(counted.publish_time, "_count", format="legacy") == 1


async def test_a_finals_time_to_publish_begins_when_it_is_known_also_after_one_given_up(
    counted: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    form = Format(failures=ATTEMPTS)
    monkeypatch.setattr(captions_module, "make_format", lambda *_, **__: form)
    monkeypatch.setattr(captions_module, "SEND_AGAIN", 0.0)
    monkeypatch.setattr(captions_module, "time", SimpleNamespace(monotonic=lambda: now))
    captions = Captions(Room(), interim_interval=0.0)  # type: ignore[arg-type]  # as above
    sending = asyncio.create_task(captions.run())
    captions.offer(final("a"))
    await form.spent.wait()
    now += 60.0
    captions.offer(final("b"))
    captions.close()
    await sending
    assert value(counted.publish_time, "_count") == 1
    assert value(counted.publish_time, "_sum") == 0.0


def test_a_full_disk_costs_the_metrics_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setattr("os.posix_fallocate", full)
    metrics.cache_clear()
    metrics().seals.inc()
    assert value(metrics().seals) == 1
    assert list(tmp_path.iterdir()) == []
