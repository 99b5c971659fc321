"""La Suite Meet's environment is enough: its names are read, ours win, and errors name its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import pytest

from pipelines.errors import SettingsError
from pipelines.settings import Settings

COLLECTOR = {
    "GREFFIER_PROFILE": "metadata-collector",
    "AWS_STORAGE_BUCKET_NAME": "meet-media-storage",
}
TRANSCRIBER = {"GREFFIER_PROFILE": "multi-user-transcriber"}


class Read(Protocol):
    def __call__(self, *environments: Mapping[str, str]) -> Settings: ...


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    def read_(*environments: Mapping[str, str]) -> Settings:
        for environment in environments:
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
        return Settings.from_environment()

    return read_


def test_the_collector_is_hidden_listens_only_and_keeps_chat(read: Read) -> None:
    settings = read(COLLECTOR)
    assert (settings.hidden, settings.listen_only, settings.keep_chat) == (True, True, True)
    assert (settings.agent_name, settings.default_agents) == ("metadata-collector", ("metadata",))
    assert (settings.metadata_bucket, settings.metadata_folder) == (
        "meet-media-storage",
        "metadata",
    )


def test_the_transcriber_is_hidden_and_speaks_to_la_suites_page(read: Read) -> None:
    settings = read(TRANSCRIBER)
    assert (settings.hidden, settings.listen_only) == (True, False)
    assert settings.agent_name == "multi-user-transcriber"
    assert settings.default_agents == ("transcriber",)
    assert settings.caption_formats == ("text-stream", "legacy")


def test_la_suites_own_service_makes_the_minutes(read: Read) -> None:
    assert [read(one).after for one in (COLLECTOR, TRANSCRIBER)] == ["off", "off"]
    assert read({**TRANSCRIBER, "GREFFIER_AFTER": "builtin"}).after == "builtin"


def test_the_name_it_is_dispatched_by_chooses_the_agent_too(read: Read) -> None:
    assert read({"GREFFIER_AGENT_NAME": "multi-user-transcriber"}).profile


def test_without_either_nothing_of_la_suites_counts(read: Read) -> None:
    settings = read({"TRANSCRIBER_AGENT_NAME": "other", "STT_PROVIDER": "kyutai"})
    assert (settings.profile, settings.agent_name, settings.engine) == ("", "greffier", "auto")


def test_each_agent_is_renamed_by_its_own_variable(read: Read) -> None:
    names = {"TRANSCRIBER_AGENT_NAME": "captions", "METADATA_COLLECTOR_AGENT_NAME": "metadata"}
    assert read(names, COLLECTOR).agent_name == "metadata"
    assert read(names, TRANSCRIBER).agent_name == "captions"


def test_what_our_names_say_wins(read: Read) -> None:
    settings = read(
        COLLECTOR,
        {
            "METADATA_COLLECTOR_AGENT_NAME": "theirs",
            "GREFFIER_AGENT_NAME": "ours",
            "GREFFIER_HIDDEN": "false",
            "GREFFIER_METADATA_BUCKET": "ours",
        },
    )
    assert (settings.agent_name, settings.hidden, settings.metadata_bucket) == (
        "ours",
        False,
        "ours",
    )


def test_an_s3_address_without_scheme_is_plain_unless_la_suite_says_secure(read: Read) -> None:
    place = {"AWS_S3_ENDPOINT_URL": "minio:9000", "AWS_S3_OUTPUT_FOLDER": "elsewhere"}
    settings = read(COLLECTOR, place)
    assert settings.s3_access.url == "http://minio:9000"
    assert settings.metadata_folder == "elsewhere"
    assert read({"AWS_S3_SECURE_ACCESS": "True"}).s3_access.url == "https://minio:9000"


def test_a_collector_without_a_bucket_does_not_start(read: Read) -> None:
    with pytest.raises(SettingsError, match="AWS_STORAGE_BUCKET_NAME"):
        read({"GREFFIER_PROFILE": "metadata-collector"})


@pytest.mark.parametrize(
    ("environment", "engine", "language"),
    [
        ({}, "auto", "en"),
        ({"DEEPGRAM_API_KEY": "k"}, "deepgram/nova-3", "multi"),
        ({"STT_PROVIDER": "deepgram"}, "deepgram/nova-3", "multi"),
        (
            {"STT_PROVIDER": "deepgram", "DEEPGRAM_STT_MODEL": "nova-2"},
            "deepgram/nova-2",
            "multi",
        ),
        ({"DEEPGRAM_API_KEY": "k", "DEEPGRAM_STT_LANGUAGE": "fr"}, "deepgram/nova-3", "fr"),
        ({"DEEPGRAM_API_KEY": "k", "GREFFIER_ENGINE": "echo"}, "echo", "multi"),
        (
            {"STT_PROVIDER": "kyutai", "GREFFIER_ENGINE_PLUGINS": "kyutai=a.b:STT"},
            "kyutai",
            "en",
        ),
    ],
)
def test_la_suites_choice_of_an_engine_is_ours(
    read: Read, environment: Mapping[str, str], engine: str, language: str
) -> None:
    settings = read(TRANSCRIBER, environment)
    assert (settings.engine, settings.language) == (engine, language)


@pytest.mark.parametrize("provider", ["kyutai", "whisper"])
def test_a_provider_that_is_not_here_is_an_error_that_names_the_variable(
    read: Read, provider: str
) -> None:
    with pytest.raises(SettingsError, match=r"^STT_PROVIDER: "):
        read(TRANSCRIBER, {"STT_PROVIDER": provider})


@pytest.mark.parametrize(
    ("value", "vad"), [("true", "silero"), ("True", "silero"), ("false", "native"), ("", "native")]
)
def test_silero_is_used_where_la_suite_says_so(read: Read, value: str, vad: str) -> None:
    assert read(TRANSCRIBER, {"ENABLE_SILERO_VAD": value}).vad == vad
