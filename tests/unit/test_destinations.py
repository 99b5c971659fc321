"""Where minutes may go: what the settings say, and what they refuse to be."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from pipelines.errors import SettingsError
from pipelines.post_meeting.deliver.destination import (
    Mailbox,
    mailbox_of,
    parse_destinations,
    parse_pairs,
)
from pipelines.settings import Settings

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
MAIL = "smtp://mail.example.org?from=minutes@example.org&to=ada@example.org"


def test_destinations_are_named_addresses() -> None:
    text = f"archive=file:///srv/minutes, cold=s3://bucket/p, crm=https://a/hook?x=1, all={MAIL}"
    found = parse_destinations(text)
    assert [(one.name, one.kind) for one in found] == [
        ("archive", "files"),
        ("cold", "s3"),
        ("crm", "webhook"),
        ("all", "mail"),
    ]
    assert found[2].url == "https://a/hook?x=1"


def test_destinations_and_secrets_may_be_json() -> None:
    found = parse_destinations('{"crm": "https://a/hook?to=a,b"}')
    assert [(one.name, one.url) for one in found] == [("crm", "https://a/hook?to=a,b")]
    assert parse_pairs('{"crm": "a,b=c"}', "secret") == {"crm": "a,b=c"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://a/hook", "name=address"),
        ("CRM=https://a/hook", "name=address"),
        ("crm=ftp://a/hook", "'ftp' is no address"),
        ("crm=https://", "is no address"),
        ("crm=https://a:x/hook", "host or port"),
        ("a=https://a/x,a=https://b/x", "two of them are called 'a'"),
        ("files=file://srv/minutes", "three slashes"),
        ("mail=smtp://mail.example.org", "must be like smtp://"),
        ("mail=smtp://h?from=a@b.c&to=nobody", "no mail address"),
        ("mail=smtp://u:p@h?from=a@b.c&to=d@e.f", "holds a password"),
        (f"mail={MAIL}&cc=x@y.z", "option 'cc'"),
        ("{", "no JSON object"),
    ],
)
def test_an_address_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_destinations(text)


def test_a_mail_address_has_server_sender_and_recipients() -> None:
    text = "mail=smtps://bot%40example.org@h?from=minutes@example.org&to=a@b.c&to=d@e.f&to=a@b.c"
    assert mailbox_of(parse_destinations(text)[0]) == Mailbox(
        host="h",
        port=465,
        tls=True,
        user="bot@example.org",
        sender="minutes@example.org",
        to=("a@b.c", "d@e.f"),
    )


@pytest.mark.parametrize(
    ("destinations", "secrets", "message"),
    [
        ("crm=https://a/hook", "", "GREFFIER_DESTINATION_SECRETS: crm must be `whsec_`"),
        ("crm=https://a/hook", "crm=whsec_short", "must be `whsec_`"),
        ("crm=https://a/hook", f"other={SECRET}", "no destination is called 'other'"),
        (MAIL.replace("//", "//bot@"), "", "name=address"),
        (f"all={MAIL.replace('//', '//bot@')}", "", "must have the password"),
        ("cold=s3://key@bucket/p", "", "GREFFIER_DESTINATIONS: .* holds a key"),
    ],
)
def test_a_destination_without_its_secret_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, destinations: str, secrets: str, message: str
) -> None:
    monkeypatch.setenv("GREFFIER_DESTINATIONS", destinations)
    monkeypatch.setenv("GREFFIER_DESTINATION_SECRETS", secrets)
    with pytest.raises(SettingsError, match=message):
        Settings.from_environment()


def test_neither_secret_nor_token_is_shown() -> None:
    settings = Settings(
        destinations=parse_destinations("crm=https://a/hook-token-4711"),
        destination_secrets=SecretStr(f"crm={SECRET}"),
    )
    shown = f"{settings!r} {settings} {settings.destinations[0]}"
    assert SECRET not in shown
    assert "4711" not in shown
    assert settings.secret_of(settings.destinations[0]).get_secret_value() == SECRET
