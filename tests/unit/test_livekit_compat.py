"""The private names of the LiveKit SDK that we use are what we take them for."""

from __future__ import annotations

import dataclasses
import inspect

from livekit.agents import AgentServer
from livekit.agents.cli import proto
from livekit.agents.cli.cli import _run_worker
from livekit.agents.job import JobAcceptArguments, JobContext, RunningJobInfo


def fields(kind: type) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def test_a_jobs_context_holds_what_the_request_was_accepted_with() -> None:
    assert "info" in inspect.signature(JobContext.__init__).parameters
    assert "self._info = info" in inspect.getsource(JobContext.__init__)
    assert "accept_arguments" in fields(RunningJobInfo)
    assert "attributes" in fields(JobAcceptArguments)


def test_the_workers_command_line_is_run_with_a_server_and_arguments() -> None:
    assert list(inspect.signature(_run_worker).parameters) == ["server", "args"]
    assert {"dev", "log_level", "log_format"} <= fields(proto.CliArgs)


def test_the_server_lists_its_running_jobs() -> None:
    assert isinstance(AgentServer.active_jobs, property)
