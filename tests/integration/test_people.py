"""People who come and go, mute and unmute, at a real server: nothing lost, nothing left.

The whole figures come from ``python -m bench.first_word`` and ``python -m bench.joins``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.first_word import BRIDGE, hold_trials
from bench.joins import hold
from bench.livekit_server import LiveKitServer


@pytest.mark.parametrize(("slower", "bridge"), [(0.0, 0.0), (0.3, BRIDGE)])
async def test_the_first_and_the_last_word_of_an_unmuted_moment_are_whole(
    livekit: LiveKitServer, tmp_path: Path, slower: float, bridge: float
) -> None:
    trials = await hold_trials(livekit, tmp_path, words=2, speakers=2, slower=slower, bridge=bridge)
    for after, found in trials.items():
        # One may fall to a jitter buffer that this machine's load has starved.
        assert found.first_whole >= 3, f"{after} s after unmute: {found}"
        assert found.last_whole >= 3, f"{after} s after unmute: {found}"


async def test_20_joins_and_leaves_leave_nothing_and_the_last_is_heard_like_the_first(
    livekit: LiveKitServer, tmp_path: Path
) -> None:
    outcome = await hold(livekit, tmp_path, joins=20, seed=7)
    assert outcome.visits == 20
    assert not outcome.left
    assert outcome.alike, f"{outcome.first} and {outcome.last} seconds"
