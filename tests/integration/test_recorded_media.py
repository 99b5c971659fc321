"""Recordings of each kind and from every place become text, or the right error."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from bench.child_process import ROOT
from bench.containers import Bench
from bench.media_files import OF_EACH_KIND, MediaFile, write_sound
from bench.media_server import MediaServer, refused_addresses
from bench.versitygw import VersityGateway
from bench.versitygw_binary import VERSITYGW
from pipelines.errors import StepError
from pipelines.post_meeting.media.address import MediaAddress
from pipelines.post_meeting.media.fetch import Fetching, fetched
from pipelines.post_meeting.media.private_addresses import AllowedHosts
from pipelines.testing import SpeechServer
from pipelines.transcript.stores.s3_access import S3Access

LOCAL = AllowedHosts(["127.0.0.1"])


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "sound.wav"
    write_sound(path)
    return path


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[MediaServer]:
    (tmp_path / "files").mkdir()
    async with MediaServer(tmp_path / "files").running() as server:
        yield server


@pytest.mark.parametrize("file", OF_EACH_KIND, ids=lambda file: file.name)
async def test_a_container_gives_its_words_or_the_right_error_and_leaves_nothing(
    file: MediaFile, sound: Path, server: MediaServer, tmp_path: Path
) -> None:
    await asyncio.to_thread(file.make, tmp_path / "files" / file.name, sound)
    async with SpeechServer() as service:
        bench = Bench(tmp_path / "copies", service.openai_url)
        outcome = await bench.transcribe(f"{server.url}/{file.name}")
    assert outcome.fault(file) == ""


@pytest.mark.parametrize("number", range(len(refused_addresses(""))))
async def test_an_address_that_is_not_to_be_fetched_gives_the_right_error(
    number: int, server: MediaServer, tmp_path: Path
) -> None:
    what, url, code = refused_addresses(server.url)[number]
    outcome = await Bench(tmp_path / "copies", "http://127.0.0.1:9").transcribe(url, within=1.0)
    assert outcome.error.startswith(f"{code}:"), what
    assert outcome.left == ()


async def test_a_private_address_is_refused_by_name_and_by_number(server: MediaServer) -> None:
    port = server.url.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "[::1]", "0x7f.1", "2130706433"):
        with pytest.raises(StepError, match="media_refused"):
            async with fetched(MediaAddress.parse(f"http://{host}:{port}/x"), Fetching()):
                pass


async def test_what_is_larger_than_it_says_is_not_kept(server: MediaServer) -> None:
    address = MediaAddress.parse(f"{server.url}/slow")
    with pytest.raises(StepError, match="media_too_large"):
        async with fetched(address, Fetching(max_bytes=2500, allowed=LOCAL)):
            pass


async def test_a_recording_in_s3_is_streamed(tmp_path: Path) -> None:
    if VERSITYGW.find() is None:
        pytest.skip("no versitygw; `python -m bench.versitygw_binary` gets one")
    with VersityGateway(tmp_path / "s3") as gateway:
        gateway.create_bucket("recordings")
        (gateway.buckets / "recordings" / "a.ogg").write_bytes(b"x" * 600_000)
        access = S3Access(
            endpoint=gateway.endpoint,
            secure=True,
            region=gateway.region,
            access_key=gateway.access_key,
            secret_key=SecretStr(gateway.secret_key),
        )
        fetching = Fetching(s3=access, max_bytes=600_000)
        async with fetched(MediaAddress.parse("s3://recordings/a.ogg"), fetching) as file:
            assert len(file.read()) == 600_000
        for text, code, most in (
            ("s3://recordings/b.ogg", "media_not_found", 600_000),
            ("s3://nowhere/a.ogg", "media_refused", 600_000),
            ("s3://recordings/a.ogg", "media_too_large", 599_999),
        ):
            with pytest.raises(StepError, match=code):
                async with fetched(MediaAddress.parse(text), Fetching(s3=access, max_bytes=most)):
                    pass


async def test_only_a_regular_file_of_this_machine_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, code in (("pipe", "media_refused"), ("none", "media_not_found"), (".", "refused")):
        address = MediaAddress.parse(str(tmp_path / name), files=True)
        with pytest.raises(StepError, match=code):
            async with fetched(address, Fetching()):
                pass


KILLED = """
import asyncio, sys
from pathlib import Path
from pipelines.post_meeting.media.address import MediaAddress
from pipelines.post_meeting.media.fetch import Fetching, fetched
from pipelines.post_meeting.media.private_addresses import AllowedHosts

async def main():
    fetching = Fetching(allowed=AllowedHosts(["127.0.0.1"]), directory=Path(sys.argv[2]))
    async with fetched(MediaAddress.parse(sys.argv[1]), fetching):
        print("fetched", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_process_that_is_killed_leaves_no_copy(server: MediaServer, tmp_path: Path) -> None:
    (tmp_path / "files" / "a.ogg").write_bytes(b"x" * 1_000_000)
    copies = tmp_path / "copies"
    copies.mkdir()
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", KILLED, f"{server.url}/a.ogg", str(copies)),
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert child.stdout
    assert await child.stdout.readline() == b"fetched\n"
    child.send_signal(signal.SIGKILL)
    await child.wait()
    assert list(copies.iterdir()) == []
