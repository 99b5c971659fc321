"""A burst of calls and the captions, once; the figures come from ``python -m bench.rpc_burst``."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.livekit_server import LiveKitServer
from bench.rpc_burst import RATIO, measure
from bench.rpc_callers import ANSWERED, CALLERS, CALLS


@pytest.mark.alone
def test_captions_are_shown_while_1000_calls_are_answered(
    livekit: LiveKitServer, tmp_path: Path
) -> None:
    measured = measure(livekit, tmp_path, pairs=2)
    for burst in measured.bursts:
        assert burst.answers.keys() <= {"ok", "rate_limited"}
        assert burst.answers["ok"] >= ANSWERED
        assert burst.answers.total() == CALLERS * len(CALLS)
    # Of two rounds one may fall to what else this machine does.
    assert min(pair.ratio for pair in measured.pairs) <= 2 * RATIO
