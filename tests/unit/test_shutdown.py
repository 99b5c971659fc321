"""The stages of a job's end fit into what LiveKit and a supervisor give it."""

from __future__ import annotations

from agents import shutdown


def test_the_stages_fit_into_the_time_that_livekit_gives_the_end_of_a_session() -> None:
    stages = (
        shutdown.DRAIN_AGENTS,
        shutdown.SEND_CAPTIONS,
        shutdown.CLOSE_TOOLS,
        max(shutdown.FLUSH_STORES, shutdown.RECORDING_FILE),
        shutdown.SEAL,
        shutdown.CLOSE,
    )
    assert sum(stages) <= shutdown.SESSION_END


def test_a_supervisor_waits_for_drain_session_end_and_process() -> None:
    assert shutdown.grace_period(60) == 60 + shutdown.SESSION_END + shutdown.SHUTDOWN_PROCESS


def test_approved_effects_finish_within_the_time_of_the_agents() -> None:
    assert shutdown.FINISH_EFFECTS <= shutdown.DRAIN_AGENTS
