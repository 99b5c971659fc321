"""A store that is dead holds up neither the captions nor the other stores."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.dead_store import SPEAKERS, DeadStoreMeetings
from bench.livekit_server import LiveKitServer

ROUNDS = 2
LEAST = 0.02  # seconds; below it a ratio of two percentiles says nothing on a busy machine


@pytest.mark.skipif(not shutil.which("redis-server"), reason="needs redis-server")
@pytest.mark.alone
def test_with_a_silent_redis_captions_are_in_time_and_the_other_stores_have_all(
    livekit: LiveKitServer, tmp_path: Path
) -> None:
    with DeadStoreMeetings(livekit, tmp_path, ("alive", "silent")) as meetings:
        held = meetings.hold(ROUNDS)
    alive, silent = held["alive"], held["silent"]
    assert (alive.lacking, silent.lacking) == ((), ())
    assert min(len(alive.delays), len(silent.delays)) >= 5 * SPEAKERS * ROUNDS
    assert silent.p95 <= 3 * max(alive.p95, LEAST), f"alive: {alive}; silent: {silent}"
