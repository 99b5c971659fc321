"""The doctor's look at what comes after a meeting: names that resolve, and nothing is sent."""

from __future__ import annotations

import os
from pathlib import Path
from socket import create_server

import pytest
from pydantic import SecretStr

from agents.doctor import after_meeting
from agents.doctor.after_meeting import check_after_meeting
from agents.doctor.check import Check, ok
from pipelines.post_meeting.deliver.destination import parse_destinations
from pipelines.settings import Settings
from pipelines.transcript.stores.address import parse_addresses
from pipelines.transcript.stores.s3_access import S3Place

KEY = "whsec_" + "a" * 32
TO = "?from=minutes@example.org&to=ada@example.org"


async def check_of(address: str, secret: str = "") -> Check:
    settings = Settings(
        destinations=parse_destinations(f"out={address}"),
        destination_secrets=SecretStr(f"out={secret}" if secret else ""),
    )
    (check,) = await check_after_meeting(settings)
    assert check.name == "destination out"
    assert not secret or secret not in f"{check.message}{check.fix}"
    return check


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("https://nowhere.invalid/hooks", KEY),
        (f"smtp://nowhere.invalid:587{TO}", ""),
        ("s3://minutes?endpoint=https://nowhere.invalid", ""),
    ],
)
async def test_a_destination_whose_host_nobody_knows_is_found(address: str, secret: str) -> None:
    check = await check_of(address, secret)
    assert check.level == "error"
    assert "no host is called nowhere.invalid" in check.message
    assert "correct GREFFIER_" in check.fix


async def test_nothing_is_sent_to_a_destination() -> None:
    with create_server(("127.0.0.1", 0)) as server:
        here = f"127.0.0.1:{server.getsockname()[1]}"
        for address, secret in (
            (f"http://{here}/hooks", KEY),
            (f"smtp://{here}{TO}", ""),
            (f"s3://minutes?endpoint=http://{here}", ""),
        ):
            assert (await check_of(address, secret)).level == "ok"
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


async def test_a_directory_that_can_not_be_written_is_found_and_none_is_made(
    tmp_path: Path,
) -> None:
    assert (await check_of(f"file://{tmp_path}/a%20b/c")).level == "ok"
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    check = await check_of(f"file://{tmp_path}/file/c")
    assert (check.level, check.message.partition(":")[0]) == ("error", f"{tmp_path}/file")


async def test_a_directory_of_somebody_else_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # To root everything is its own.
    assert (await check_of(f"file://{tmp_path}/minutes")).level == "error"


async def test_a_broker_that_does_not_answer_is_found() -> None:
    with create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"redis://:{KEY}@127.0.0.1:{port}/1"
    (check,) = await check_after_meeting(Settings(after="celery", celery_broker=SecretStr(url)))
    assert (check.name, check.level) == ("Celery's broker", "error")
    assert check.fix == "start it, or correct GREFFIER_CELERY_BROKER"
    assert KEY not in check.message


async def test_the_artefacts_place_is_looked_at_as_the_settings_name_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def look(name: str, place: S3Place) -> Check:
        return ok(name, f"{place.bucket} {place.prefix} {place.access.url} {place.setting}")

    monkeypatch.setattr(after_meeting, "check_place", look)
    (address,) = parse_addresses("s3://minutes/2026")
    settings = Settings(artefacts=address, leases="files", s3_endpoint="http://s3:7070")
    assert await check_after_meeting(settings) == [
        ok("artefacts", "minutes 2026/ http://s3:7070 GREFFIER_ARTEFACTS")
    ]


async def test_where_nothing_is_set_nothing_is_looked_at() -> None:
    assert await check_after_meeting(Settings()) == []
