"""The doctor's LiveKit checks against a real livekit-server."""

from __future__ import annotations

import pytest

from agents.doctor.livekit_server import check_livekit
from bench.livekit_server import LiveKitServer
from pipelines.settings import Settings


@pytest.mark.parametrize(
    ("others", "found"),
    [
        ({}, "reachable, key right"),
        ({"LIVEKIT_API_KEY": "other"}, "the server does not know LIVEKIT_API_KEY"),
        ({"LIVEKIT_API_SECRET": "x" * 32}, "LIVEKIT_API_SECRET does not belong to LIVEKIT_API_KEY"),
    ],
    ids=["right", "unknown-key", "wrong-secret"],
)
async def test_a_real_server_is_told_apart_from_one_that_refuses_our_key(
    livekit: LiveKitServer, others: dict[str, str], found: str
) -> None:
    found_livekit, clock = await check_livekit(Settings.model_validate(livekit.env() | others))
    assert found_livekit.message == f"{livekit.url}: {found}"
    assert clock.level == "ok"
