"""Recordings are heard by a service in WhisperX's or OpenAI's shape, or by any engine by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import stamina

from bench.media_files import FIRST, SECOND, SECOND_AT, write_sound
from pipelines.errors import RetryableError, StepError
from pipelines.post_meeting.media.address import MediaAddress
from pipelines.post_meeting.media.fetch import Fetching
from pipelines.post_meeting.transcribe import open_engine, transcribe
from pipelines.post_meeting.transcribe_settings import ResponseFormat, TranscribeSettings
from pipelines.post_meeting.transcription import Transcription
from pipelines.settings import Settings
from pipelines.speech.engines import Engines
from pipelines.testing import SpeechServer, faults
from pipelines.testing.coded_speech import Word

KEY = "sk-secret"
REJECTED = faults.Fault(faults.FaultKind.STATUS, status=422)


def voice(word: Word) -> str:
    return "SPEAKER_00" if word.text in FIRST else "SPEAKER_01"


@pytest.fixture
async def server() -> AsyncIterator[SpeechServer]:
    async with SpeechServer(voice=voice, key=KEY) as server:
        yield server


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> MediaAddress:
    path = tmp_path_factory.mktemp("sound") / "sound.wav"
    write_sound(path)
    return MediaAddress.parse(str(path), files=True)


@pytest.fixture(autouse=True)
def _no_waits() -> Any:
    with stamina.set_testing(True, attempts=3):
        yield


async def hear(
    sound: MediaAddress,
    server: SpeechServer,
    *,
    form: ResponseFormat = "diarized_json",
    key: str = KEY,
    name: str = "",
    language: str = "en",
    **options: Any,
) -> Transcription:
    settings = TranscribeSettings(
        transcribe_url=server.openai_url, transcribe_key=key, transcribe_format=form
    )
    engines = Engines(Settings(openai_base_url=server.openai_url, openai_api_key=key))
    try:
        engine = open_engine(settings, engines, engine=name, language=language, vad="native")
        return await transcribe(sound, engine=engine, fetching=Fetching(), most=3600, **options)
    finally:
        await engines.aclose()


def words(heard: Transcription) -> list[str]:
    return [word for one in heard.segments for word in one.text.split()]


async def test_a_service_in_whisperx_shape_tells_words_times_and_voices(
    server: SpeechServer, sound: MediaAddress
) -> None:
    heard = await hear(sound, server)
    assert words(heard) == [*FIRST, *SECOND]
    assert [one.voice for one in heard.segments] == ["SPEAKER_00", "SPEAKER_01"]
    first = heard.segments[1].words[0]
    assert first.start == pytest.approx(SECOND_AT, abs=0.2)
    (asked,) = server.counts.requests
    assert asked["response_format"] == "diarized_json"
    assert asked["language"] == "en"
    assert heard.engine == "http/large-v3"


@pytest.mark.parametrize(("language", "asked"), [("fr-FR", "fr"), ("multi", None), ("", None)])
async def test_a_service_is_told_a_language_without_its_region_or_none(
    server: SpeechServer, sound: MediaAddress, language: str, asked: str | None
) -> None:
    await hear(sound, server, language=language)
    assert server.counts.requests[0].get("language") == asked


@pytest.mark.parametrize("form", ["verbose_json", "json"])
async def test_a_service_in_openais_shape_tells_what_it_can(
    server: SpeechServer, sound: MediaAddress, form: ResponseFormat
) -> None:
    heard = await hear(sound, server, form=form)
    assert words(heard) == [*FIRST, *SECOND]
    assert {one.voice for one in heard.segments} == {None}
    assert all(bool(one.words) == (form == "verbose_json") for one in heard.segments)


async def test_an_engine_by_name_hears_each_piece_of_speech(
    server: SpeechServer, sound: MediaAddress
) -> None:
    done: list[tuple[float, float | None]] = []
    heard = await hear(
        sound, server, name="openai/whisper-1", progress=lambda at, of: done.append((at, of))
    )
    assert words(heard) == [*FIRST, *SECOND]
    assert heard.engine == "openai/whisper-1"
    assert len(server.counts.requests) == 2
    assert server.counts.audio_seconds < 10  # of 14; silence is not sent
    assert done[-1][0] == pytest.approx(14.0, abs=0.1)
    assert [round(one.start) for one in heard.segments] == [2, 9]


@pytest.mark.parametrize(
    "fault", [faults.UNAVAILABLE, faults.busy(0.1), faults.GARBAGE, faults.REFUSE, faults.cut(0)]
)
async def test_trouble_of_the_service_that_passes_costs_nothing(
    server: SpeechServer, sound: MediaAddress, fault: faults.Fault
) -> None:
    server.faults.add(2, fault)
    assert words(await hear(sound, server)) == [*FIRST, *SECOND]


async def test_trouble_of_the_service_that_stays_may_be_tried_later(
    server: SpeechServer, sound: MediaAddress
) -> None:
    server.faults.always(faults.busy(7.0))
    with pytest.raises(RetryableError) as caught:
        await hear(sound, server)
    assert (caught.value.code, caught.value.after) == ("engine_unavailable", 7.0)


@pytest.mark.parametrize(
    ("status", "code", "fix"),
    [
        (400, "corrupted_audio_file", "GREFFIER_TRANSCRIBE_MODEL"),
        (404, "engine_refused", "GREFFIER_TRANSCRIBE_URL"),
        (413, "engine_refused", "GREFFIER_TRANSCRIBE_PART_MINUTES"),
    ],
)
async def test_a_refusal_of_the_service_names_the_fix_and_is_not_asked_again(
    server: SpeechServer, sound: MediaAddress, status: int, code: str, fix: str
) -> None:
    server.faults.always(faults.Fault(faults.FaultKind.STATUS, status=status))
    with pytest.raises(StepError, match=fix) as caught:
        await hear(sound, server)
    assert caught.value.code == code
    assert server.counts.refused == 1


async def test_a_wrong_key_is_named_and_not_shown(
    server: SpeechServer, sound: MediaAddress
) -> None:
    with pytest.raises(StepError, match="GREFFIER_TRANSCRIBE_KEY") as caught:
        await hear(sound, server, key="sk-wrong")
    assert "sk-wrong" not in str(caught.value)


async def test_speech_that_an_engine_takes_when_it_is_asked_again_is_no_hole(
    server: SpeechServer, sound: MediaAddress
) -> None:
    server.faults.add(1, REJECTED)
    heard = await hear(sound, server, name="openai/whisper-1")
    assert (words(heard), heard.unheard) == ([*FIRST, *SECOND], ())


async def test_speech_that_an_engine_will_not_take_is_a_hole(
    server: SpeechServer, sound: MediaAddress
) -> None:
    server.faults.add(3, REJECTED)  # more than one piece is given up for
    heard = await hear(sound, server, name="openai/whisper-1", last=True)
    (hole,) = heard.unheard
    (segment,) = heard.segments
    assert words(heard) in ([*FIRST], [*SECOND])
    assert hole.end - hole.start > 3
    assert not hole.start < segment.start < hole.end


async def test_an_engine_that_hears_nothing_at_all_may_be_asked_later(
    server: SpeechServer, sound: MediaAddress
) -> None:
    server.faults.always(REJECTED)
    with pytest.raises(RetryableError, match="engine_unavailable"):
        await hear(sound, server, name="openai/whisper-1")


async def test_an_engine_that_is_not_allowed_can_not_be_used(
    server: SpeechServer, sound: MediaAddress
) -> None:
    with pytest.raises(StepError, match="GREFFIER_ALLOWED_ENGINES") as caught:
        await hear(sound, server, name="os/system")
    assert caught.value.code == "engine_unusable"


async def test_a_recording_longer_than_allowed_is_refused(sound: MediaAddress) -> None:
    async with SpeechServer() as server:
        engines = Engines(Settings())
        settings = TranscribeSettings(transcribe_url=server.openai_url)
        engine = open_engine(settings, engines, engine="", language="", vad="native")
        with pytest.raises(StepError, match="media_duration_too_long"):
            await transcribe(sound, engine=engine, fetching=Fetching(), most=10)


async def test_a_transcription_that_is_cancelled_leaves_no_thread_at_work(
    server: SpeechServer, sound: MediaAddress, tmp_path: Path
) -> None:
    server.faults.always(faults.HANG)
    task = asyncio.create_task(hear(sound, server))
    async with asyncio.timeout(30):
        while not server.counts.requests:  # noqa: ASYNC110 - the double tells by no event
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(tmp_path.iterdir()) == []
