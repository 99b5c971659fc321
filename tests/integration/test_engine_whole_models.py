"""moonshine and faster-whisper, up to their libraries: stand-ins take the libraries' place.

Their models are downloaded on first use, which these tests do not do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import EngineFailedError
from pipelines.settings import Settings
from pipelines.speech import failover
from pipelines.speech.engines import Engines
from pipelines.speech.heard import RATE, Heard, Lost
from pipelines.speech.local import installed

FASTER_WHISPER = """
class Segment:
    def __init__(self, text): self.text = text

class WhisperModel:
    def __init__(self, name, device, compute_type):
        if name == "large": raise OSError("cannot fetch large")
        self.name = name
    def transcribe(self, samples, language, hotwords):
        assert samples.dtype == "float32" and abs(samples).max() <= 1.0
        words = [f" {self.name}", f" {language} {hotwords}", f" {len(samples)}"]
        return iter([Segment(word) for word in words]), None
"""

MOONSHINE_VOICE = """
class Line:
    def __init__(self, text): self.text = text

class Transcript:
    def __init__(self, lines): self.lines = lines

def string_to_model_arch(name): return {"tiny": 0, "base": 1}[name]

def get_model_for_language(language, arch): return f"/models/{language}", arch

class Transcriber:
    def __init__(self, path, arch): self.where = f"{path} {arch}"
    def transcribe_without_streaming(self, samples, rate):
        return Transcript([Line(self.where), Line(f"{len(samples)} at {rate}")])
"""


@pytest.fixture
async def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engines]:
    (tmp_path / "faster_whisper.py").write_text(FASTER_WHISPER)
    (tmp_path / "moonshine_voice.py").write_text(MOONSHINE_VOICE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(installed, "missing", lambda _: "")
    monkeypatch.setattr("pipelines.speech.engines.missing", lambda _: "")
    engines = Engines(Settings(engine_workers=2))
    yield engines
    await engines.aclose()


async def hear(engines: Engines, name: str, **options: object) -> list[str]:
    recognition = engines.recognizer(name, **options).recognition()  # type: ignore[arg-type]
    for _ in range(4):
        recognition.push(np.full(RATE // 10, 1000, dtype=np.int16))
    recognition.end()
    try:
        come = [item async for item in recognition]
    finally:
        await recognition.aclose()
    for item in come:
        if isinstance(item, Lost):
            raise EngineFailedError(item.reason)
    return [item.text for item in come if isinstance(item, Heard)]


async def test_faster_whisper_gets_the_span_its_language_and_key_terms(engines: Engines) -> None:
    heard = await hear(engines, "faster-whisper/tiny", language="fr-CA", key_terms=["Ada", "Bob"])
    assert heard == ["tiny fr Ada, Bob 6400"]


async def test_faster_whisper_finds_the_language_where_the_room_speaks_several(
    engines: Engines,
) -> None:
    assert await hear(engines, "faster-whisper", language="multi") == ["small None None 6400"]


async def test_moonshine_gets_the_span_and_its_language(engines: Engines) -> None:
    assert await hear(engines, "moonshine/tiny", language="es") == ["/models/es 0 6400 at 16000"]


async def test_spans_share_the_children_of_an_engine(engines: Engines) -> None:
    async with asyncio.TaskGroup() as tasks:
        spans = [tasks.create_task(hear(engines, "moonshine")) for _ in range(5)]
    assert {tuple(span.result()) for span in spans} == {("/models/en 1 6400 at 16000",)}


async def test_a_model_that_can_not_be_had_is_told_as_the_reason(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failover, "PATIENCE", 3.0)
    with pytest.raises(EngineFailedError, match=r"faster-whisper/large failed: .*cannot fetch"):
        await hear(engines, "faster-whisper/large")
