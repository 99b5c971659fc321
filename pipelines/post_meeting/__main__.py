"""``python -m pipelines.post_meeting``: what happens after meetings, and any recording by hand."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import sys
import time
from collections.abc import Collection, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console

from pipelines.command_line import fail, read_settings
from pipelines.errors import GreffierError, StepError, StoreError
from pipelines.post_meeting.builtin import BuiltinWorker
from pipelines.post_meeting.hand_over import hand_over, nudge_new
from pipelines.post_meeting.open_artefacts import open_files
from pipelines.post_meeting.open_work import Work, open_work
from pipelines.post_meeting.progress_bars import ProgressBars
from pipelines.post_meeting.recorded_file import seal_file
from pipelines.post_meeting.retry import Retried
from pipelines.post_meeting.retry import retry as retry_given_up
from pipelines.post_meeting.source import Source
from pipelines.post_meeting.status import StepStatus, print_status, read_status, status_json
from pipelines.post_meeting.sweep import ready_of
from pipelines.post_meeting.wanted import Wanted
from pipelines.settings import Settings
from pipelines.transcript.paths import Sealed

_Result = TypeVar("_Result")

_NICE: Final = 10
"""How far a worker's child stands back behind the processes of meetings (nice(2))."""

app = typer.Typer(
    help="After the meeting: transcribe, align, summarise, deliver.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

UntilIdle = Annotated[bool, typer.Option("--until-idle", help="End when nothing is left to do.")]
WithParent = Annotated[
    bool, typer.Option("--with-parent", help="End when stdin does: with who started this.")
]


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Print the steps of every meeting that is not finished, and those that were given up."""
    steps = _run(_status(read_settings()))
    if as_json:
        typer.echo(status_json(steps))
    else:
        print_status(steps)


@app.command()
def run(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Audio or video files; none: what is pending.")
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="Directory of what becomes of FILES.")] = Path("out"),
    template: Annotated[str, typer.Option(help="Template of the summary.")] = "",
    language: Annotated[str, typer.Option(help="Language that is spoken (BCP 47).")] = "",
    summary_language: Annotated[str, typer.Option(help="Language of the summary.")] = "",
) -> None:
    """Work in this process until nothing is left to do, with progress bars."""
    settings = read_settings()
    if not files:
        _run(_work(settings, until_idle=True))
        return
    # Nothing of the meetings here is touched: FILES have a place and leases of their own.
    settings = settings.model_copy(
        update={
            "transcripts_dir": out,
            "data_dir": out / ".work",
            "artefacts": None,
            "leases": "files",
        }
    )
    wanted = Wanted(template=template, language=summary_language)
    sealed = _run(_seal_files(settings, files, language, wanted))
    _run(_work(settings, until_idle=True, only=sealed))
    failed = {one for one in _run(_given_up(settings)) if one in sealed}
    for one in sealed:
        typer.echo(str(out / one.directory))
    if failed:
        print_status(_run(_status(settings)))
        raise typer.Exit(1)


@app.command()
def retry(
    meetings: Annotated[
        list[str] | None, typer.Argument(help="Keys of meetings, as `status` prints them.")
    ] = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Every meeting that was given up.")
    ] = False,
) -> None:
    """Try again what was given up, from its first attempt on."""
    if not meetings and not everything:
        fail("name meetings as `status` prints them, or --all")
    done = _run(_retry(read_settings(), None if everything else set(meetings or ())))
    typer.echo(f"tried again: {', '.join(one.marker for one in done.again) or 'none'}")
    for refused in done.refused:
        typer.echo(f"not tried again: {refused}", err=True)
    if done.refused and not done.again:
        raise typer.Exit(1)


@app.command()
def worker(
    *,
    until_idle: UntilIdle = False,
    with_parent: WithParent = False,
    queue: Annotated[
        list[str] | None, typer.Option(help="Celery only: queues to serve; all by default.")
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, help="Celery only: steps at the same time.")
    ] = 2,
) -> None:
    """Do the steps of all meetings: as a Celery worker if GREFFIER_AFTER says so."""
    settings = read_settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(message)s")
    if settings.after == "celery":
        from pipelines.post_meeting.celery_app import serve  # noqa: PLC0415 - Celery's alone

        serve(settings, queues=queue or (), concurrency=concurrency)
        return
    _run(_with_parent(_work(settings, until_idle=until_idle), with_parent=with_parent))


@app.command(name="hand-over")
def hand_over_new(*, until_idle: UntilIdle = False, with_parent: WithParent = False) -> None:
    """Tell Celery's workers of the meetings that are sealed here, and give S3 their files."""
    settings = read_settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(message)s")
    _run(_with_parent(_hand_over(settings, until_idle=until_idle), with_parent=with_parent))


async def _status(settings: Settings) -> Sequence[StepStatus]:
    async with open_work(settings) as work:
        return await read_status(work)


async def _given_up(settings: Settings) -> list[Sealed]:
    async with open_work(settings) as work:
        return await work.pending.given_up()


async def _work(
    settings: Settings, *, until_idle: bool, only: Collection[Sealed] | None = None
) -> None:
    with ProgressBars(Console(stderr=True)) as bars:
        async with open_work(settings, on_progress=bars.show) as work:
            # Who waits for the end asks each time; a worker lists a bucket now and then.
            index = _Index(settings, work, only, every=0 if until_idle else settings.sweep_interval)
            builtin = BuiltinWorker(work.runner, index.find, sweep=settings.sweep_interval)
            await builtin.run(until_idle=until_idle)
            if index.left:
                raise StoreError(f"{len(index.left)} seals are not handed over; the log says why")


class _Index:
    """What there is to do; new seals of this host are handed over as they are found."""

    def __init__(
        self, settings: Settings, work: Work, only: Collection[Sealed] | None, *, every: float
    ) -> None:
        self._here = open_files(settings) if settings.artefacts else None
        self._work = work
        self._only = only
        self._interval = every
        self._found: list[Sealed] = []
        self._read_at = -math.inf
        self.left: list[Sealed] = []
        """Seals of this host that can't be handed over yet."""

    async def find(self) -> list[Sealed]:
        if self._here:
            given, self.left = await hand_over(self._here, self._work.store)
            if not given and time.monotonic() < self._read_at + self._interval:
                return self._found
        self._found = [
            one
            for one in await self._work.pending.sealed()
            if self._only is None or one in self._only
        ]
        self._read_at = time.monotonic()
        return self._found


async def _hand_over(settings: Settings, *, until_idle: bool) -> None:
    from pipelines.post_meeting.celery_app import (  # noqa: PLC0415 - who has no Celery never asks
        create_app,
        send,
    )

    celery = create_app(settings)
    here = open_files(settings)
    async with open_work(settings) as work:

        async def nudge(seals: Collection[Sealed]) -> None:
            for sealed in seals:
                nudges = await ready_of(sealed, work.runner)
                await asyncio.to_thread(send, celery, nudges)

        there = work.store if settings.artefacts else here
        await nudge_new(here, there, nudge, until_idle=until_idle)


async def _seal_files(
    settings: Settings, files: Sequence[Path], language: str, wanted: Wanted
) -> list[Sealed]:
    sealed = []
    for file in files:
        try:
            source = Source(address=str(file.absolute()), language=language)
            sealed.append(await seal_file(file, settings.store_dir, source=source, wanted=wanted))
        except OSError as error:
            raise StepError("file_unreadable", f"{file.name}: {error.strerror}") from None
    return sealed


async def _retry(settings: Settings, keys: Collection[str] | None) -> Retried:
    async with open_work(settings) as work:
        return await retry_given_up(work, keys)


async def _with_parent(work: Coroutine[Any, Any, None], *, with_parent: bool) -> None:
    """Do ``work`` until SIGTERM, or until who started this process is gone."""
    task = asyncio.create_task(work)  # awaited below
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    if with_parent:
        os.nice(_NICE)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends.
        loop.add_reader(sys.stdin, task.cancel)  # It says nothing: what can be read is its end.
    with suppress(asyncio.CancelledError):
        await task


def _run(work: Coroutine[Any, Any, _Result]) -> _Result:
    try:
        return asyncio.run(work)
    except GreffierError as error:
        fail(str(error))


if __name__ == "__main__":
    app()
