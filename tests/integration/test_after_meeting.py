"""What happens after meetings, with real parts: Celery workers that die, Redis, S3, a file."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from bench.child_process import ROOT
from bench.minutes_crash import MinutesCrash, small_meeting
from bench.sealed_transcript import MINUTES
from bench.versitygw import VersityGateway
from bench.versitygw_binary import VERSITYGW
from pipelines.post_meeting.__main__ import app
from pipelines.post_meeting.artefacts import FilesArtefactStore, S3ArtefactStore
from pipelines.post_meeting.pending import Pending
from pipelines.settings import Settings
from pipelines.transcript.paths import Sealed, meeting_key
from pipelines.transcript.stores.address import StoreAddress
from pipelines.transcript.stores.files import FilesStore
from pipelines.transcript.stores.s3_access import S3Place
from pipelines.transcript.stores.s3_bucket import S3Bucket

SPEECH = ROOT / "tests" / "data" / "speech" / "Grace_Hopper.ogg"
BUCKET = "artefacts"
QUICK = {"GREFFIER_STEP_LEASE": "3", "GREFFIER_SWEEP_INTERVAL": "2"}


def test_a_killed_worker_and_a_restarted_redis_cost_no_artefact_and_double_none(
    tmp_path: Path,
) -> None:
    with MinutesCrash(tmp_path, QUICK) as bench:
        bench.kill_in("deliver", meetings=2)
        bench.restart_redis(emptied=True, meetings=2, away=1)
        assert not bench.findings()
        assert bench.deliveries >= len(bench.sealed) + 1  # one was sent, and its process killed


def post_meeting(*arguments: str, **settings: str) -> Result:
    """Run the command line; in this process, for a start costs more than what it does."""
    return CliRunner().invoke(app, arguments, env=settings)


def test_minutes_are_made_of_any_recording(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines.post_meeting", "run", str(SPEECH)]
    command += ["--out", str(tmp_path), "--language", "en"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    directory = Path(done.stdout.strip())
    assert set(MINUTES) <= {file.name for file in directory.iterdir()}
    assert "bridge" in (directory / "minutes.md").read_text(encoding="utf-8")


def test_what_is_given_up_is_shown_and_tried_again(tmp_path: Path) -> None:
    data = {"GREFFIER_TRANSCRIPTS_DIR": str(tmp_path), "GREFFIER_DATA_DIR": str(tmp_path / "data")}
    text = tmp_path / "notes.txt"
    text.write_text("no recording")
    assert post_meeting("run", str(text), "--out", str(tmp_path)).exit_code == 1

    def transcription() -> dict[str, object]:
        steps: list[dict[str, object]] = json.loads(post_meeting("status", "--json", **data).stdout)
        return next(step for step in steps if step["step"] == "transcribe")

    given_up = transcription()
    assert (given_up["state"], given_up["code"]) == ("given up", "corrupted_audio_file")
    again = post_meeting("retry", str(given_up["meeting"]), **data)
    assert str(given_up["meeting"]) in again.stdout
    assert transcription()["state"] == "ready"


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[VersityGateway]:
    if VERSITYGW.find() is None:
        pytest.skip("no versitygw; `python -m bench.versitygw_binary` gets one")
    with VersityGateway(tmp_path / "s3") as server:
        server.create_bucket(BUCKET)
        yield server


async def test_what_is_sealed_here_becomes_minutes_in_s3(
    s3: VersityGateway, tmp_path: Path
) -> None:
    address = f"s3://{BUCKET}/meetings"
    env = {
        "GREFFIER_DATA_DIR": str(tmp_path),
        "GREFFIER_ARTEFACTS": address,
        "GREFFIER_LEASES": "files",
        "GREFFIER_S3_ENDPOINT": s3.endpoint,
        "GREFFIER_S3_ACCESS_KEY": s3.access_key,
        "GREFFIER_S3_SECRET_KEY": s3.secret_key,
    }
    files = {"transcript.json": small_meeting("weekly").model_dump_json()}
    here = FilesStore(tmp_path / "transcripts", leaves_work=True)
    await here.put_seal("weekly", 1, covers={}, files=files)
    done = await asyncio.to_thread(post_meeting, "run", **env)
    assert done.exit_code == 0, done.output

    sealed = Sealed(meeting_key("weekly"), 1)
    access = Settings(
        s3_endpoint=s3.endpoint, s3_access_key=s3.access_key, s3_secret_key=SecretStr(s3.secret_key)
    ).s3_access
    store = S3ArtefactStore(S3Bucket(S3Place.of(StoreAddress("s3", "s3", address), access)))
    try:
        artefacts = store.at(sealed.directory)
        assert await artefacts.names() == {"transcript.json", "seal.json", "aligned.json", *MINUTES}
        assert await Pending(store).sealed() == await Pending(store).given_up() == []
        assert await Pending(FilesArtefactStore(tmp_path / "transcripts")).sealed() == []
        before = await artefacts.read("minutes.md")
        assert not await artefacts.put("minutes.md", b"another's")
        assert await artefacts.read("minutes.md") == before
    finally:
        await store.aclose()
