"""``kill -9`` at every named place: whatever anybody saw is in the sealed transcript, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.crash import run, schedule
from bench.livekit_server import LiveKitServer


@pytest.mark.alone
def test_no_published_final_is_lost_or_doubled_by_a_kill_at_any_failpoint(
    livekit: LiveKitServer, tmp_path: Path
) -> None:
    trials = list(run(schedule(trials=1, seed=7), tmp_path, livekit))
    assert [trial for trial in trials if not trial.kept] == []
