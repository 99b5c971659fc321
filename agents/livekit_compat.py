"""Every use of a private name of the LiveKit SDK: version, cause, and how to check it again.

The contract tests in ``tests/unit/test_livekit_compat.py`` fail when one of them changes.
"""

from __future__ import annotations

from collections.abc import Mapping

from livekit.agents import AgentServer, JobContext
from livekit.agents.cli import proto
from livekit.agents.cli.cli import _run_worker


def accepted_attributes(ctx: JobContext) -> Mapping[str, str]:
    """Return the attributes that ``on_request`` gave ``accept``, in the job's process.

    livekit-agents 1.8.9: the epoch is chosen in the parent, and there is no public way from
    ``JobRequest.accept`` to ``JobContext``. Check again: ``RunningJobInfo.accept_arguments``.
    """
    return ctx._info.accept_arguments.attributes or {}  # noqa: SLF001 - see above


def run_worker(server: AgentServer, *, dev: bool, log_level: str) -> None:
    """Run LiveKit's own worker CLI: signals, drain, logging.

    livekit-agents 1.8.9: ``cli.run_app`` parses ``sys.argv`` itself, with its own commands, and
    warns that it will go; ``python -m livekit.agents start`` calls this function, and so do we.
    Check again: ``livekit/agents/__main__.py``, ``_dispatch``.
    """
    log_format = "colored" if dev else "json"
    _run_worker(server, proto.CliArgs(log_level=log_level, dev=dev, log_format=log_format))
