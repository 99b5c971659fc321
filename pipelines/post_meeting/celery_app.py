"""The Celery app: three queues over Redis that nudge workers on any number of hosts.

A message is ``(meeting key, seal, step)``: nothing that was said and no address, but the key begins
with what is readable of the meeting's id. It is a nudge and nothing more. What is to be done is
known from the artefacts, who does it from the leases; so a message may be lost, doubled or late,
and Redis may lose all of them.

``python -m pipelines.post_meeting worker`` starts a worker; ``celery -A
pipelines.post_meeting.celery_app worker`` does too, for who has more to say about it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, get_args

# Celery has no types: an app is Any, and no other Any leaves this file.
from celery import Celery, bootsteps  # type: ignore[import-untyped]
from kombu.entity import Queue
from kombu.exceptions import OperationalError

from pipelines.errors import LeaseError, StoreError
from pipelines.post_meeting.open_work import open_work
from pipelines.post_meeting.sweep import Nudge, lost, ready_steps
from pipelines.post_meeting.work import Agenda, QueueName
from pipelines.settings import Settings
from pipelines.transcript.paths import Sealed

log = logging.getLogger(__name__)

QUEUES: Final[tuple[QueueName, ...]] = get_args(QueueName)

_TASK: Final = "greffier.step"

_KILL_AFTER: Final = 120
"""Seconds beyond ``GREFFIER_STEP_TIMEOUT`` after which a process that hangs is killed."""

_REDELIVER_AFTER: Final = 600
"""Seconds beyond that after which Redis gives out a message again that nobody has confirmed."""

_VERIFIED: Final = {"ssl_cert_reqs": ssl.CERT_REQUIRED}

_LEVELS: Final = {"WARN": "WARNING"}
"""What Celery's command line calls otherwise than we do."""

_FIRST_SWEEP: Final = 1.0
"""Seconds from a worker's start, which may be the first in a while, to its first sweep."""


def create_app(settings: Settings) -> Any:
    """Return the Celery app of ``settings``; it connects when it is first used."""
    app = Celery("greffier", broker=settings.broker_url, set_as_current=False)
    hard_limit = settings.step_timeout + _KILL_AFTER
    app.conf.update(
        task_queues=[Queue(name) for name in QUEUES],  # type: ignore[no-untyped-call]  # kombu's
        task_default_queue=QUEUES[0],
        task_ignore_result=True,
        # A message is confirmed when its step is done, and comes back when its process is lost.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_time_limit=hard_limit,
        broker_transport_options={
            "visibility_timeout": hard_limit + _REDELIVER_AFTER,
            "socket_connect_timeout": 5,
            "socket_timeout": 10,
            "socket_keepalive": True,
        },
        # Else kombu checks no certificate. What the address says of TLS goes before it, as a whole.
        broker_use_ssl=_VERIFIED if settings.broker_url.startswith("rediss://") else None,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A step goes on when Redis is away: what it makes is kept elsewhere.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
    )

    @app.task(name=_TASK)  # type: ignore[untyped-decorator]  # Celery's
    def step(key: str, seal: int, name: str) -> None:
        found = asyncio.run(_do(settings, Sealed(key, seal), name))
        if found:
            send(app, [Nudge(Sealed(key, seal), one) for one in found.ready])

    app.steps["worker"].add(_sweeping(settings, app))
    return app


def serve(settings: Settings, *, queues: Sequence[str], concurrency: int) -> None:
    """Be a Celery worker until SIGTERM; steps that are under way may end first.

    Args:
        settings: Of the process.
        queues: To be served; all where none is named.
        concurrency: Steps at the same time.
    """
    create_app(settings).worker_main(
        [
            "worker",
            f"--queues={','.join(queues or QUEUES)}",
            f"--concurrency={concurrency}",
            f"--hostname=greffier-{os.getpid()}@%h",
            f"--loglevel={_LEVELS.get(settings.log_level, settings.log_level)}",
            # What workers tell each other is of no use here, and costs a queue each.
            "--without-gossip",
            "--without-mingle",
        ]
    )


def send(app: Any, nudges: Iterable[Nudge]) -> None:
    """Put nudges into their queues; those that Redis does not take are found by a sweep."""
    for nudge in nudges:
        try:
            app.send_task(
                _TASK,
                args=(nudge.sealed.key, nudge.sealed.seal, nudge.step.name),
                queue=nudge.step.queue,
                retry=False,
            )
        except OperationalError as error:
            log.warning("nudges not sent, a sweep does it", extra={"cause": type(error).__name__})
            return


def sweep(settings: Settings, app: Any) -> None:
    """Send what was lost; what can't be found out now is left to the next sweep."""
    try:
        ready = asyncio.run(_ready(settings))
        send(app, lost(ready, waiting(app) if ready else {}))
    except (StoreError, LeaseError, OperationalError) as error:
        log.warning("no sweep, the next one later", extra={"cause": type(error).__name__})


def waiting(app: Any) -> Mapping[QueueName, int]:
    """Return how many messages each queue holds.

    Raises:
        OperationalError: Redis is not there.
    """
    found: Counter[QueueName] = Counter()
    with app.connection_for_read() as connection:
        connection.ensure_connection(max_retries=1)
        for name in QUEUES:
            # Not passively: an empty queue is none to Redis.
            found[name] = connection.default_channel.queue_declare(name).message_count
    return found


async def _do(settings: Settings, sealed: Sealed, name: str) -> Agenda | None:
    async with open_work(settings) as work:
        try:
            return await work.runner.run(sealed, name)
        except (StoreError, LeaseError) as error:
            fields = {"meeting": sealed.key, "step": name, "cause": str(error)}
            log.warning("step not tried, a sweep finds it", extra=fields)
            return None


async def _ready(settings: Settings) -> Sequence[Nudge]:
    async with open_work(settings) as work:
        # A worker's main process does nothing else meanwhile.
        seconds = settings.sweep_interval / 2
        return await ready_steps(work.pending, work.runner, work.leases, seconds=seconds)


def _sweeping(settings: Settings, app: Any) -> type:
    """Return what has each worker's main process sweep every now and then.

    Not beat, which would be one process that everything hangs on; not a thread, for the main
    process forks.
    """

    class Sweeping(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery's
        requires = frozenset({"celery.worker.components:Timer"})

        def start(self, worker: Any) -> None:
            worker.timer.call_after(_FIRST_SWEEP, sweep, (settings, app))
            self.timer = worker.timer.call_repeatedly(
                settings.sweep_interval, sweep, (settings, app)
            )

        def stop(self, worker: Any) -> None:  # noqa: ARG002 - the signature is Celery's
            self.timer.cancel()

    return Sweeping


def __getattr__(name: str) -> Any:
    # For `celery -A`: the environment is read when the app is asked for, not at import.
    if name == "app":
        return create_app(Settings.from_environment())
    raise AttributeError(name)
