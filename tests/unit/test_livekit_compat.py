"""The private names of the LiveKit SDK that we use are what we take them for."""

from __future__ import annotations

import dataclasses
import inspect
import re

import pytest
from livekit import rtc
from livekit.agents import AgentServer
from livekit.agents.cli import proto
from livekit.agents.cli.cli import _run_worker
from livekit.agents.ipc.job_proc_executor import ProcJobExecutor
from livekit.agents.ipc.proc_pool import ProcPool
from livekit.agents.job import JobAcceptArguments, JobContext, RunningJobInfo
from livekit.rtc._proto.room_pb2 import ConnectionStateChanged, RoomEvent

from agents.livekit_compat import is_connected


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


def test_the_pool_tells_of_a_process_that_is_gone_with_its_job_and_exit_code() -> None:
    monitor = inspect.getsource(ProcPool._monitor_process_task)
    assert 'self.emit("process_closed", proc)' in monitor
    assert "self._proc_pool = ipc.proc_pool.ProcPool(" in inspect.getsource(AgentServer.run)
    assert isinstance(ProcJobExecutor.running_job, property)
    assert isinstance(ProcJobExecutor.exitcode, property)


def test_the_pool_finds_the_process_of_a_job() -> None:
    assert list(inspect.signature(ProcPool.get_by_job_id).parameters) == ["self", "job_id"]
    assert isinstance(ProcJobExecutor.pid, property)


def test_the_server_says_that_it_is_told_to_end() -> None:
    assert isinstance(AgentServer.draining, property)
    assert "self._draining = True" in inspect.getsource(AgentServer.drain)


def test_to_send_a_text_takes_a_participants_handle_and_identity() -> None:
    send_text = rtc.LocalParticipant.send_text
    assert {"topic", "attributes", "compress"} <= set(inspect.signature(send_text).parameters)
    assert set(re.findall(r"self\.(\w+)", inspect.getsource(send_text))) == {
        "_ffi_handle",
        "identity",
    }


@pytest.mark.parametrize("state", rtc.ConnectionState.keys())
async def test_a_room_that_is_being_connected_again_is_not_connected(state: str) -> None:
    room = rtc.Room()
    assert not is_connected(room)
    changed = ConnectionStateChanged(state=rtc.ConnectionState.Value(state))
    room._on_room_event(RoomEvent(connection_state_changed=changed))
    assert is_connected(room) == (state == "CONN_CONNECTED")
