"""The environment: read once, every wrong variable named, no secret shown."""

from __future__ import annotations

import pickle

import pytest

from pipelines.errors import SettingsError
from pipelines.settings import Settings

SECRET = "a-secret-that-nobody-may-see-0123456789"


def test_every_wrong_variable_is_named_with_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEKIT_URL", "livekit.example.org")
    monkeypatch.setenv("GREFFIER_MAX_JOBS", "many")
    monkeypatch.setenv("GREFFIER_FAILPOINT", "nowhere:2")
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment()
    lines = str(caught.value).splitlines()
    assert {line.partition(":")[0] for line in lines} == {
        "LIVEKIT_URL",
        "GREFFIER_MAX_JOBS",
        "GREFFIER_FAILPOINT",
    }
    assert "LIVEKIT_URL: must begin with ws:// or wss://" in lines


def test_a_secret_is_in_no_repr_and_reaches_the_jobs_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LIVEKIT_API_SECRET", SECRET)
    settings = Settings.from_environment()
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
    copy = pickle.loads(pickle.dumps(settings))
    assert copy.livekit_api_secret.get_secret_value() == SECRET


def test_a_list_is_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREFFIER_DEFAULT_AGENTS", "transcriber, wordcount,")
    assert Settings.from_environment().default_agents == ("transcriber", "wordcount")
