"""Where tools come from and calendar events go, as the operator writes it."""

from __future__ import annotations

import json

import pytest

from pipelines.errors import SettingsError
from pipelines.mcp_address import parse_mcp_servers
from pipelines.settings import Settings

KEY = "whsec_" + "A" * 43 + "="


def settings(monkeypatch: pytest.MonkeyPatch, **values: str) -> Settings:
    for name, value in values.items():
        monkeypatch.setenv(f"GREFFIER_{name.upper()}", value)
    return Settings.from_environment()


def test_mcp_servers_are_read_as_other_clients_write_them() -> None:
    short = parse_mcp_servers("search=https://t.example.org/mcp, files=mcp-files '/a b' -v")
    assert [(one.name, one.url, one.command) for one in short] == [
        ("search", "https://t.example.org/mcp", ()),
        ("files", "", ("mcp-files", "/a b", "-v")),
    ]
    servers = {
        "crm": {"url": "https://c.example.org/mcp", "headers": {"authorization": "Bearer secret"}},
        "files": {"command": "mcp-files", "args": ["/srv"], "env": {"KEY": "secret"}},
    }
    crm, files = parse_mcp_servers(json.dumps({"mcpServers": servers}))
    assert crm.headers == {"authorization": "Bearer secret"}
    assert files.command == ("mcp-files", "/srv")
    assert "secret" not in repr((crm, files))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Search=https://h/mcp", "1 to 32 of a-z"),
        ("a=https://h/mcp,a=x", "two servers are called 'a'"),
        ("a=ftp://secret/mcp", "like https://host/mcp"),
        ("a=https://u:secret@h/mcp", "holds a password"),
        ("a=", "either a url or a command"),
        ('{"a": {"url": "https://h", "command": "secret"}}', "either a url or a command"),
        ('{"a": {"uri": "secret"}}', "a: uri"),
        ('{"a": 3}', "a: server"),
        ("a=run 'secret", "a quote that does not end"),
        ('{"a": "secret', "no JSON object"),
    ],
)
def test_a_wrong_mcp_server_is_named_and_nothing_else_of_it_is_shown(
    text: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match=problem) as refused:
        settings(monkeypatch, mcp_servers=text)
    assert "GREFFIER_MCP_SERVERS" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_calendars_are_named_addresses_and_their_secrets_are_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = settings(
        monkeypatch,
        calendars="disk=file:///srv,talk=chat:,crm=https://h/secret,team=caldavs://u%40x@c/ada/cal",
        calendar_secrets=f"crm={KEY},team=pa%ss",
    )
    disk, talk, crm, team = found.calendars
    assert [one.kind for one in found.calendars] == ["files", "chat", "webhook", "caldav"]
    assert (team.user, str(team.http_url)) == ("u@x", "https://c/ada/cal/")
    assert found.secret_of_calendar(team).get_secret_value() == "pa%ss"
    assert "secret" not in repr((disk, talk, crm, team))
    assert found.calendar_places(found.data_dir, kept=True) == found.calendars


@pytest.mark.parametrize(
    ("calendars", "secrets", "problem"),
    [
        ("a=mailto:x", "", "no address of a calendar"),
        ("a=file://secret/x", "", "three slashes"),
        ("a=caldavs://u:secret@h/", "", "holds a password"),
        ("a=caldavs://u@h/", "", "must have the password of a"),
        ("a=caldavs://h/", "a=secret", "needs a user"),
        ("a=https://h/secret", "", "whsec_"),
        ("a=https:///secret", "", "needs a host"),
        ("a=chat:secret", "", "nothing behind it"),
        ("a=chat:,a=chat:", "", "two of them are called 'a'"),
        ("a=chat:", "b=secret", "no calendar is called 'b'"),
    ],
)
def test_a_wrong_calendar_is_named_and_nothing_else_of_it_is_shown(
    calendars: str, secrets: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match=problem) as refused:
        settings(monkeypatch, calendars=calendars, calendar_secrets=secrets)
    assert "secret" not in str(refused.value).replace("calendar_secrets", "")


def test_an_mcp_servers_tools_may_be_allowed_together() -> None:
    found = Settings(allowed_tools=("crm.*", "post_to_chat"))
    assert found.allows_tool("crm.find")
    assert found.allows_tool("crm.users.find")
    assert found.allows_tool("post_to_chat")
    assert not found.allows_tool("crm2.find")
    assert not found.allows_tool("run_poll")
    assert Settings().allows_tool("anything")
