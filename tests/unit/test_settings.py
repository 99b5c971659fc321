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


CELERY = {"GREFFIER_AFTER": "celery"}
IN_S3 = {"GREFFIER_ARTEFACTS": "s3://minutes"}
BROKER = {"GREFFIER_CELERY_BROKER": "redis://broker:6379/1"}
STORE = {"GREFFIER_STORES": "redis://store:6379/0"}
FILES = {"GREFFIER_LEASES": "files"}


@pytest.mark.parametrize(
    ("environment", "place", "variable"),
    [
        ({**CELERY, **BROKER}, "redis://broker:6379/1", "GREFFIER_CELERY_BROKER"),
        ({**CELERY, **BROKER, **STORE}, "redis://broker:6379/1", "GREFFIER_CELERY_BROKER"),
        ({**CELERY, **STORE, **IN_S3}, "redis://store:6379/0", "GREFFIER_STORES"),
        ({**STORE, **IN_S3}, "redis://store:6379/0", "GREFFIER_STORES"),
        ({**CELERY, **BROKER, "GREFFIER_LEASES": "redis://l"}, "redis://l", "GREFFIER_LEASES"),
        ({**IN_S3, **FILES}, None, "GREFFIER_LEASES"),
        (BROKER, None, None),
    ],
    ids=str,
)
def test_leases_are_where_everybody_who_works_after_meetings_sees_them(
    environment: dict[str, str],
    place: str | None,
    variable: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_environment()
    assert (settings.lease_place.url if settings.lease_place else None) == place
    if variable:
        assert settings.lease_setting == variable


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (IN_S3, "set GREFFIER_LEASES to a redis:// address, or to `files`"),
        ({**CELERY, **BROKER, **FILES}, "GREFFIER_AFTER=celery needs leases that every"),
        (CELERY, "needs a broker: set GREFFIER_CELERY_BROKER"),
        (
            {"GREFFIER_CELERY_BROKER": f"amqp://u:{SECRET}@h"},
            "GREFFIER_CELERY_BROKER: 'amqp' is no",
        ),
        ({"GREFFIER_CELERY_BROKER": "s3://bucket"}, "GREFFIER_CELERY_BROKER: must be one redis://"),
    ],
    ids=str,
)
def test_work_that_hosts_would_do_twice_is_refused(
    environment: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment()
    assert message in str(caught.value)
    assert SECRET not in str(caught.value)
