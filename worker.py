"""Greffier's worker: reads the environment once and serves the rooms of one agent name.

Run ``python worker.py --help``.
"""

from __future__ import annotations

import asyncio
import math
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from livekit.agents import AgentServer, WorkerPermissions
from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agents import shutdown
from agents.after_meeting import AfterMeeting
from agents.answer import reported_load
from agents.comeback import Comeback
from agents.dispatch import Dispatcher
from agents.doctor import diagnose, print_checks
from agents.job_process import end_job, prepare_process, run_job
from agents.livekit_compat import run_worker
from agents.metrics_endpoint import serve_metrics
from agents.recovery import Recovery
from agents.registry import load_specs
from agents.status import (
    WaitingRoom,
    print_status,
    read_status,
    read_waiting,
    status_json,
)
from agents.tools.registry import load_tools
from pipelines.command_line import fail, read_settings
from pipelines.errors import GreffierError, LeaseError
from pipelines.leases.open_leases import open_leases
from pipelines.metrics import metrics
from pipelines.settings import Settings
from pipelines.speech.engines import Engines
from pipelines.transcript.stores.open_stores import open_stores

app = typer.Typer(
    help="Meeting agents for LiveKit: live captions that are shown and kept.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def start() -> None:
    """Serve rooms until SIGTERM; running meetings may end first (GREFFIER_DRAIN_TIMEOUT)."""
    _serve(dev=False)


@app.command()
def dev() -> None:
    """Serve rooms with readable logs; Ctrl-C ends running meetings at once."""
    _serve(dev=True)


@app.command()
def settings() -> None:
    """Print every setting as it is read from the environment; secrets are hidden."""
    table = Table("variable", "value", "meaning", title="Settings")
    values = read_settings()
    for name, field in Settings.model_fields.items():
        value = getattr(values, name)
        shown = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        if isinstance(value, SecretStr):
            shown = "(set)" if value.get_secret_value() else ""
        table.add_row(Settings.variable(name), shown, field.description or "")
    Console().print(table)


@app.command()
def doctor() -> None:
    """Check LiveKit, engine, stores, disk, clock and deliveries, and say what to fix."""
    raise typer.Exit(print_checks(asyncio.run(diagnose(read_settings()))))


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Print what the journals here hold, what each store lacks and which rooms wait."""
    settings = read_settings()
    try:
        journals = read_status(settings)
        waiting = asyncio.run(_waiting(settings))
    except GreffierError as error:
        fail(str(error))
    if as_json:
        typer.echo(status_json(journals, waiting))
    else:
        print_status(settings, journals, waiting or ())


def build_server(settings: Settings, *, metrics_directory: Path | None = None) -> AgentServer:
    """Return the worker of ``settings``, not running yet.

    Args:
        settings: The process's settings.
        metrics_directory: By which its processes share what they count.

    Raises:
        PluginError: An installed agent can't be loaded.
    """
    server = AgentServer(
        ws_url=settings.livekit_url,
        api_key=settings.livekit_api_key,
        api_secret=settings.livekit_api_secret.get_secret_value(),
        host=settings.health_host,
        port=settings.health_port,
        permissions=WorkerPermissions(
            can_publish=not settings.listen_only,
            can_publish_data=not settings.listen_only,
            hidden=settings.hidden,
        ),
        setup_fnc=partial(prepare_process, settings),
        load_fnc=lambda worker: reported_load(len(worker.active_jobs), most=settings.max_jobs),
        # Any other threshold drops the second of two dispatches that come at the same moment.
        load_threshold=math.inf,
        num_idle_processes=1,
        initialize_process_timeout=60.0,
        max_retry=sys.maxsize,  # However long LiveKit is away, the worker waits for it.
        drain_timeout=settings.drain_timeout,
        prometheus_multiproc_dir=str(metrics_directory) if metrics_directory else None,
        session_end_timeout=shutdown.SESSION_END,
        shutdown_process_timeout=shutdown.SHUTDOWN_PROCESS,
    )
    leases = open_leases(settings)
    specs = load_specs()
    load_tools(settings)  # A wrong one stops the worker, rather than every job.
    dispatcher = Dispatcher(settings, specs, server, leases)
    server.rtc_session(
        run_job,
        agent_name=settings.agent_name,
        on_request=dispatcher.on_request,
        on_session_end=end_job,
    )
    comeback = Comeback(settings, server, specs, leases)
    recovery = Recovery(settings, leases)
    after_meeting = AfterMeeting(settings)
    server.on("worker_started", metrics)  # Not before: LiveKit empties the directory.
    server.on("worker_started", comeback.start)
    server.on("worker_started", recovery.start)
    server.on("worker_started", after_meeting.start)
    return server


def main() -> None:
    """Run the command line; the only place that ends the process."""
    app()


def _serve(*, dev: bool) -> None:
    settings = read_settings()
    missing = [
        Settings.variable(name)
        for name in ("livekit_url", "livekit_api_key", "livekit_api_secret")
        if not getattr(settings, name) or str(getattr(settings, name)) == ""
    ]
    if missing:
        fail(f"{', '.join(missing)} must be set, e.g. LIVEKIT_URL=wss://livekit.example.org")
    try:
        # Who may only listen can't show what an engine says.
        engine = "" if settings.listen_only else Engines(settings).resolve()
        open_stores(settings)  # An address or key that can't be used is told now, not in a meeting.
        with serve_metrics(settings) as shared:
            directory = shared.directory if shared else None
            server = build_server(settings, metrics_directory=directory)
            console = Console(stderr=True)
            console.print(f"speech engine: {engine or 'none'}", highlight=False)
            if shared:
                console.print(f"metrics: {shared.address}", highlight=False)
            run_worker(server, dev=dev, log_level="DEBUG" if dev else settings.log_level)
    except GreffierError as error:
        fail(str(error))


async def _waiting(settings: Settings) -> list[WaitingRoom] | None:
    leases = open_leases(settings)
    try:
        return await read_waiting(leases, settings.agent_name)
    except LeaseError as error:  # The journals can be read all the same.
        warning = f"[yellow]not known which rooms wait:[/yellow] {escape(str(error))}"
        Console(stderr=True).print(warning, highlight=False, soft_wrap=True)
        return None
    finally:
        await leases.aclose()


if __name__ == "__main__":
    main()
