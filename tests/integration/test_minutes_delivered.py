"""Minutes on their way to real receivers that are killed, and to one that does not trust us."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from bench.deliveries import DeliveryServerProcess, deliver_until_done, parcel, run
from bench.versitygw import VersityGateway
from bench.versitygw_binary import VERSITYGW
from pipelines.errors import RetryableError, StepError
from pipelines.post_meeting.artefacts import FilesArtefacts
from pipelines.post_meeting.deliver.deliver import deliver
from pipelines.post_meeting.deliver.destination import parse_destinations
from pipelines.post_meeting.deliver.history import read_delivery
from pipelines.post_meeting.deliver.settings import s3_place_of
from pipelines.settings import Settings
from pipelines.transcript.stores.s3_access import S3Access
from pipelines.transcript.stores.s3_bucket import S3Bucket

WRONG = "whsec_d3JvbmcgMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODk="
BUCKET = "minutes"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DeliveryServerProcess]:
    server = DeliveryServerProcess(tmp_path / "server").start()
    yield server
    server.stop()


async def test_minutes_reach_a_receiver_that_is_killed_at_any_moment_and_are_kept_once(
    tmp_path: Path,
) -> None:
    trials = [trial async for trial in run(tmp_path, trials=1)]
    assert len(trials) == 4
    assert [trial for trial in trials if not trial.sound] == []


async def test_a_receiver_with_another_key_takes_nothing_until_the_key_is_right(
    server: DeliveryServerProcess, tmp_path: Path
) -> None:
    sent, artefacts = parcel("wrong-key"), FilesArtefacts(tmp_path / "artefacts")
    wrong = server.settings(secret=WRONG)
    with pytest.raises(RetryableError, match="answered 401; give both sides the same key"):
        await deliver(sent, "hook", settings=wrong, s3=wrong.s3_access, artefacts=artefacts)
    assert server.came("webhook") == []
    await deliver_until_done(sent, "hook", server, artefacts)
    assert server.kept("webhook") == [sent.key("hook")]


@pytest.mark.parametrize("name", ["hook", "mail"])
async def test_a_receiver_that_hangs_is_given_up_in_time(
    server: DeliveryServerProcess, tmp_path: Path, name: str
) -> None:
    artefacts = FilesArtefacts(tmp_path / "artefacts")
    settings = server.settings().model_copy(update={"delivery_timeout": 0.5})
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(RetryableError, match="destination_unreachable"):
            await deliver(
                parcel("hung"), name, settings=settings, s3=settings.s3_access, artefacts=artefacts
            )
    finally:
        os.kill(server.pid, signal.SIGCONT)
    history = await read_delivery(artefacts, name)
    assert history
    assert [one.outcome for one in history.attempts] == ["failed"]


@pytest.mark.parametrize(
    ("other", "error"),
    [
        ("later-alan@example.org", "partly_delivered: .* does not take it yet for 1 of 2"),
        ("never-alan@example.org", "recipients_refused: .* refuses 1 of 2 recipients"),
    ],
)
async def test_nobody_is_mailed_again_because_another_could_not_be(
    server: DeliveryServerProcess, tmp_path: Path, other: str, error: str
) -> None:
    artefacts = FilesArtefacts(tmp_path / "artefacts")
    settings = server.settings()
    mail = settings.destinations[1].url.replace("alan@example.org", other)
    settings = settings.model_copy(
        update={"destinations": parse_destinations(f"hook=https://a/hook,mail={mail}")}
    )
    for message in (error, error.partition(":")[2].replace("1 of 2", "1 of 1")):
        with pytest.raises(StepError, match=message):
            await deliver(
                parcel("two"), "mail", settings=settings, s3=settings.s3_access, artefacts=artefacts
            )
    assert len(server.came("mail")) == 1
    history = await read_delivery(artefacts, "mail")
    assert history
    assert history.reached == ("ada@example.org",)


async def test_a_bucket_gets_every_format(tmp_path: Path) -> None:
    if VERSITYGW.find() is None:
        pytest.skip("no versitygw; `python -m bench.versitygw_binary` gets one")
    with VersityGateway(tmp_path / "s3") as gateway:
        gateway.create_bucket(BUCKET)
        access = S3Access(
            endpoint=gateway.endpoint,
            secure=True,
            region=gateway.region,
            access_key=gateway.access_key,
            secret_key=SecretStr(gateway.secret_key),
        )
        settings = Settings(destinations=parse_destinations(f"cold=s3://{BUCKET}/p"))
        sent = parcel("cold")
        await deliver(
            sent,
            "cold",
            settings=settings,
            s3=access,
            artefacts=FilesArtefacts(tmp_path / "artefacts"),
        )
        bucket = S3Bucket(s3_place_of(settings.destinations[0], access))
        try:
            objects = await asyncio.gather(
                *(bucket.get(f"{sent.directory}/{name}") for name in sent.files)
            )
        finally:
            await bucket.aclose()
        assert objects == list(sent.files.values())
