"""Every use of a private or misleading name of the LiveKit SDK: version, cause, how to check again.

The contract tests in ``tests/unit/test_livekit_compat.py`` fail when one of them changes.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from livekit import rtc
from livekit.agents import AgentServer, JobContext
from livekit.agents.cli import proto
from livekit.agents.cli.cli import _run_worker
from livekit.protocol.agent import Job


def accepted_attributes(ctx: JobContext) -> Mapping[str, str]:
    """Return the attributes that ``on_request`` gave ``accept``, in the job's process.

    livekit-agents 1.8.9: the epoch is chosen in the parent, and there is no public way from
    ``JobRequest.accept`` to ``JobContext``. Check again: ``RunningJobInfo.accept_arguments``.
    """
    return ctx._info.accept_arguments.attributes or {}  # noqa: SLF001 - see above


def is_connected(room: rtc.Room) -> bool:
    """Tell whether audio and data come through.

    livekit 1.1.21: ``Room.isconnected()`` is true also while the SDK tries to connect again. Check
    again: its source, and ``ConnectionState``.
    """
    return room.connection_state == rtc.ConnectionState.CONN_CONNECTED


@dataclass(frozen=True, slots=True)
class _Sender:
    """The parts of a participant that ``LocalParticipant.send_text`` uses."""

    identity: str
    _ffi_handle: Any


async def send_text_as(
    participant: rtc.LocalParticipant,
    sender: str,
    text: str,
    *,
    topic: str,
    attributes: Mapping[str, str],
) -> None:
    """Send a complete text stream in somebody's name.

    livekit 1.1.21: ``send_text`` takes one call of the native part and no name of a sender,
    ``stream_text`` takes one, and three calls that wait for each other. Check again: the parameters
    of ``LocalParticipant.send_text``, and what of ``self`` it uses.

    Args:
        participant: The agent's.
        sender: Identity that clients take it to be from.
        text: Not empty.
        topic: Of the stream.
        attributes: Of the stream.
    """
    as_sender: Any = _Sender(sender, participant._ffi_handle)  # noqa: SLF001 - see above
    await rtc.LocalParticipant.send_text(
        as_sender, text, topic=topic, attributes=dict(attributes), compress=False
    )


def run_worker(server: AgentServer, *, dev: bool, log_level: str) -> None:
    """Run LiveKit's own worker CLI: signals, drain, logging.

    livekit-agents 1.8.9: ``cli.run_app`` parses ``sys.argv`` itself, with its own commands, and
    warns that it will go; ``python -m livekit.agents start`` calls this function, and so do we.
    Check again: ``livekit/agents/__main__.py``, ``_dispatch``.
    """
    log_format = "colored" if dev else "json"
    _run_worker(server, proto.CliArgs(log_level=log_level, dev=dev, log_format=log_format))


@dataclass(frozen=True, slots=True)
class ClosedJob:
    """A job whose process is gone.

    Args:
        job: The job.
        attributes: That it was accepted with.
        exit_code: Of the process; negative for a signal.
    """

    job: Job
    attributes: Mapping[str, str]
    exit_code: int | None


def on_job_closed(server: AgentServer, tell: Callable[[ClosedJob], None]) -> None:
    """Call ``tell`` when the process of a job is gone; once ``server`` has started.

    livekit-agents 1.8.9: the parent knows a dead child in 15 ms, and offers it to nobody. Check
    again: ``ProcPool.emit("process_closed", proc)``, ``SupervisedProc.exitcode``,
    ``JobExecutor.running_job``.
    """

    def closed(process: Any) -> None:
        if info := process.running_job:
            attributes = info.accept_arguments.attributes or {}
            tell(ClosedJob(info.job, attributes, process.exitcode))

    server._proc_pool.on("process_closed", closed)  # noqa: SLF001 - see above


def kill_job(server: AgentServer, job_id: str) -> bool:
    """Kill the process of a job of this worker at once; returns whether there was one.

    livekit-agents 1.8.9: its own supervisor waits 60 s for a child that hangs. Check again:
    ``ProcPool.get_by_job_id``, ``SupervisedProc.pid``.
    """
    process: Any = server._proc_pool.get_by_job_id(job_id)  # noqa: SLF001 - see above
    if process is None or process.pid is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    return True
