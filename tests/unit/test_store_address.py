"""Addresses of stores: one list, each with a name, no password shown."""

from __future__ import annotations

import pytest

from pipelines.errors import SettingsError
from pipelines.settings import Settings
from pipelines.transcript.stores.address import parse_addresses


def test_a_store_is_called_as_told_or_as_its_kind() -> None:
    found = parse_addresses("redis://h:6379/0, archive=s3://bucket/a/b, meetai+https://app.example")
    assert [(store.name, store.kind) for store in found] == [
        ("redis", "redis"),
        ("archive", "s3"),
        ("meetai", "meetai"),
    ]


def test_a_password_is_neither_shown_nor_in_the_repr() -> None:
    (store,) = parse_addresses("rediss://user:hunter2@redis.example:6380/1")
    assert "hunter2" not in f"{store} {store!r} {store.shown}"
    assert str(store) == "redis=rediss://redis.example:6380/1"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ftp://host/x", "'ftp' is no address"),
        ("redis", "is no address"),
        ("https://", "'https' is no address"),
        ("s3:///prefix", "needs a bucket"),
        ("redis://host:port/0", "needs a host"),
        ("s3://a,s3://b", "two stores are called 's3'"),
        ("files=s3://a", "two stores are called 'files'"),
        ("Bad Name=s3://a", "is no address"),
    ],
)
def test_what_is_no_address_is_told_without_its_password(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_addresses(text)
    with pytest.raises(ValueError, match=r".") as caught:
        parse_addresses(f"redis://:hunter2@h,{text.replace('://', '://u:hunter2@')},redis://x,x")
    assert "hunter2" not in str(caught.value)


def test_a_store_without_its_key_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREFFIER_STORES", "backend=https://x.example/lines")
    with pytest.raises(SettingsError, match=r"^GREFFIER_STORE_SECRET must be set .*backend"):
        Settings.from_environment()


def test_s3_is_also_reached_under_the_names_that_la_suite_meet_uses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_S3_ENDPOINT_URL", "minio:9000")
    monkeypatch.setenv("AWS_S3_SECURE_ACCESS", "False")
    monkeypatch.setenv("AWS_S3_ACCESS_KEY_ID", "meet")
    access = Settings.from_environment().s3_access
    assert (access.url, access.access_key) == ("http://minio:9000", "meet")
    monkeypatch.setenv("GREFFIER_S3_ENDPOINT", "https://s3.example")
    assert Settings.from_environment().s3_access.url == "https://s3.example"
