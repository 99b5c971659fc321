"""What LiveKit calls in the process of a job: set up before there is one, run it, end it."""

from __future__ import annotations

import gc
import sys

from livekit.agents import JobContext, JobProcess

from agents.job import MeetingJob
from agents.registry import load_specs
from agents.tools.registry import load_tools
from pipelines.metrics import metrics
from pipelines.settings import Settings
from pipelines.speech.vad import make_vad
from pipelines.transcript.stores.open_stores import open_stores


def prepare_process(settings: Settings, proc: JobProcess) -> None:
    """Set up a job's process before it has a job: LiveKit's ``setup_fnc``."""
    # At the default of 5 ms one spinning plugin thread starves ten speakers.
    sys.setswitchinterval(0.0005)
    metrics()  # From now on nothing that is counted touches the disk for space.
    proc.userdata["settings"] = settings
    proc.userdata["specs"] = load_specs()
    proc.userdata["tools"] = load_tools(settings)
    make_vad(settings.vad)  # Its model is loaded before anybody speaks.
    # Loading the client of S3 takes a second: not while a room waits.
    proc.userdata["stores"] = open_stores(settings)
    # What is loaded stays: looking through all of it for garbage would hold the loop for 250 ms.
    gc.collect()
    gc.freeze()


async def run_job(ctx: JobContext) -> None:
    """Serve the dispatched room: LiveKit's entrypoint; returns once the agents run."""
    prepared = ctx.proc.userdata
    parts = (prepared[name] for name in ("settings", "specs", "stores", "tools"))
    job = MeetingJob(ctx, *parts)
    prepared["job"] = job
    await job.start()


async def end_job(ctx: JobContext) -> None:
    """End the meeting in good order: LiveKit's ``on_session_end``, the room still connected."""
    if job := ctx.proc.userdata.get("job"):
        await job.stop()
