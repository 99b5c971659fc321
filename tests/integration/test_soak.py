"""A short schedule of the fault suite; the whole of it is ``make soak``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.child_process import ROOT
from bench.livekit_binary import LIVEKIT_SERVER
from bench.toxiproxy_binary import TOXIPROXY
from bench.versitygw_binary import VERSITYGW

KINDS = ("job killed", "redis killed")
SEED = 314  # of those up to 400, the one with the shortest pauses


@pytest.mark.alone
def test_nothing_that_was_seen_is_lost_or_doubled_by_faults_and_every_hole_is_marked(
    tmp_path: Path,
) -> None:
    for program in (LIVEKIT_SERVER, VERSITYGW, TOXIPROXY):
        if program.find() is None:
            pytest.skip(f"no {program.name}")
    out = tmp_path / "soak.jsonl"
    faults = ["--faults", str(len(KINDS)), "--seed", str(SEED), "--kinds", *KINDS]
    command = [sys.executable, "-m", "bench.soak", *faults, "--out", str(out)]
    run = subprocess.run(
        [*command, "--keep", str(tmp_path / "kept")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["recovered"] for row in rows if row["event"] == "fault"] == [True, True], run.stdout
    (meeting,) = (row for row in rows if row["event"] == "meeting")
    assert meeting["kept"], run.stdout
    assert meeting["published"] > 0
