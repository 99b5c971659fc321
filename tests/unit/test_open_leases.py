"""Where leases are kept, as the settings say."""

from __future__ import annotations

import pytest

from pipelines.errors import SettingsError
from pipelines.leases.files import FileLeases
from pipelines.leases.open_leases import open_leases
from pipelines.leases.redis import RedisLeases
from pipelines.settings import Settings


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({}, ""),
        ({"GREFFIER_STORES": "s3://b/p"}, ""),
        (
            {"GREFFIER_STORES": "s3://b/p, redis://near/0, far=redis://far/0"},
            "redis=redis://near/0",
        ),
        ({"GREFFIER_STORES": "redis://near/0", "GREFFIER_LEASES": "files"}, ""),
        ({"GREFFIER_LEASES": "redis://:word@far/1"}, "redis=redis://far/1"),
        (
            {"GREFFIER_STORES": "redis://near/0", "GREFFIER_LEASES": "rediss://far/0"},
            "redis=rediss://far/0",
        ),
    ],
)
def test_leases_are_where_the_settings_say_else_in_the_first_redis_else_in_files(
    variables: dict[str, str], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_environment()
    assert str(settings.lease_place or "") == place
    leases = open_leases(settings)
    assert isinstance(leases, RedisLeases if place else FileLeases)
    assert leases.shared == bool(place)


@pytest.mark.parametrize(
    "value", ["s3://bucket/p", "redis://a/0,b=redis://b/0", "nowhere", "redis://:secret-word@"]
)
def test_another_place_for_leases_is_refused_by_name(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREFFIER_LEASES", value)
    with pytest.raises(SettingsError, match="GREFFIER_LEASES") as refused:
        Settings.from_environment()
    assert "secret-word" not in str(refused.value)


def test_an_option_that_there_is_not_is_told_with_the_setting_that_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GREFFIER_LEASES", "redis://h/0?no_such_option=1")
    with pytest.raises(SettingsError, match="GREFFIER_LEASES"):
        open_leases(Settings.from_environment())
