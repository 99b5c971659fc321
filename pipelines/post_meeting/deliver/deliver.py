"""One attempt to deliver the minutes of a seal to one destination; the runner tries again.

It is delivered at least once: a process that dies between the receiver's answer and the artefact
that notes it delivers again, with the same idempotency key.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipelines.errors import RetryableError, StepError, StoreError
from pipelines.events import iso
from pipelines.failpoints import failpoint
from pipelines.metrics import metrics
from pipelines.post_meeting.artefacts import Artefacts, FilesArtefactStore, S3ArtefactStore
from pipelines.post_meeting.deliver.copies import CopySender
from pipelines.post_meeting.deliver.destination import Destination
from pipelines.post_meeting.deliver.history import (
    Attempt,
    Delivery,
    delivered_name,
    history_name,
    read_delivery,
)
from pipelines.post_meeting.deliver.mail import MailSender
from pipelines.post_meeting.deliver.parcel import Parcel
from pipelines.post_meeting.deliver.sender import (
    PartlyRefusedError,
    PartlySentError,
    Sender,
    Sent,
)
from pipelines.post_meeting.deliver.settings import DeliverySettings, s3_place_of
from pipelines.post_meeting.deliver.webhook import WebhookSender
from pipelines.transcript.stores.s3_access import S3Access
from pipelines.transcript.stores.s3_bucket import S3Bucket

log = logging.getLogger(__name__)


async def deliver(
    parcel: Parcel,
    name: str,
    *,
    settings: DeliverySettings,
    s3: S3Access,
    artefacts: Artefacts,
) -> None:
    """Deliver ``parcel`` to the destination called ``name``, unless it has been.

    Args:
        parcel: The minutes.
        name: As the room's metadata says it.
        settings: What the operator calls so.
        s3: How S3 servers are reached.
        artefacts: Takes the history.

    Raises:
        StepError: ``unknown_destination``, or another that needs somebody to change something.
        RetryableError: It may be delivered later.
        StoreError: The history can't be read or written, or an S3 destination is away.
    """
    destination = settings.destination(name)
    if destination is None:
        raise StepError(
            "unknown_destination",
            f"GREFFIER_DESTINATIONS has no {name!r}: add it, or correct `summary.deliver` in the "
            "room's metadata",
        )
    async with AsyncExitStack() as opened:
        sender = open_sender(destination, settings, s3)
        opened.push_async_callback(sender.aclose)
        await attempt(
            parcel, destination, sender, artefacts=artefacts, timeout=settings.delivery_timeout
        )


def open_sender(destination: Destination, settings: DeliverySettings, s3: S3Access) -> Sender:
    """Return what speaks to ``destination``; it connects when it is first used."""
    secret = settings.secret_of(destination)
    match destination.kind:
        case "files":
            path = Path(unquote(urlsplit(destination.url).path))
            return CopySender(FilesArtefactStore(path))
        case "s3":
            return CopySender(S3ArtefactStore(S3Bucket(s3_place_of(destination, s3))))
        case "webhook":
            return WebhookSender(destination, secret)
        case "mail":
            return MailSender(destination, secret, timeout=settings.delivery_timeout)


async def attempt(
    parcel: Parcel,
    destination: Destination,
    sender: Sender,
    *,
    artefacts: Artefacts,
    timeout: float,  # noqa: ASYNC109 - what ran into it is noted in the history
    now: Callable[[], float] = time.time,
) -> None:
    """Make one attempt and note it, before and after; nothing is sent where it is delivered.

    Args:
        parcel: The minutes.
        destination: Where to.
        sender: Speaks to it.
        artefacts: Takes the history.
        timeout: Seconds that the attempt may take.
        now: Unix seconds.

    Raises:
        StepError: See :func:`deliver`; likewise RetryableError and StoreError.
    """
    name, key = destination.name, parcel.key(destination.name)
    known = await read_delivery(artefacts, name) or Delivery(destination=name, key=key)
    if known.delivered_at:
        return
    begun = Attempt(started_at=iso(now()))
    await _note(artefacts, known.with_attempt(begun))
    error: StepError | StoreError | None = None
    sent = Sent("")
    try:
        async with asyncio.timeout(timeout):
            sent = await sender.send(parcel, key=key, reached=known.reached)
        failpoint("deliver")
    except TimeoutError:
        error = RetryableError("destination_unreachable", f"{destination} took too long")
    except (StepError, StoreError) as failure:
        error = failure
    ended = begun.model_copy(update={"ended_at": iso(now()), **_outcome(error, sent)})
    known = known.with_attempt(ended)
    metrics().deliveries.labels(destination.kind, ended.outcome).inc()
    if error:
        log.warning("not delivered", extra={"destination": name, "cause": str(error), "key": key})
        await _note(artefacts, known)
        raise error
    done = known.model_copy(update={"delivered_at": ended.ended_at})
    await artefacts.put(delivered_name(name), _encoded(done))
    await artefacts.remove(history_name(name))
    log.info("delivered", extra={"destination": name, "attempts": len(done.attempts), "key": key})


def _outcome(error: StepError | StoreError | None, sent: Sent) -> dict[str, object]:
    match error:
        case None:
            return {"outcome": "delivered", "told": sent.answer, "reached": sent.reached}
        case PartlySentError() | PartlyRefusedError():
            outcome = "failed" if isinstance(error, RetryableError) else "refused"
            return {"outcome": outcome, "told": str(error), "reached": error.reached}
        case RetryableError() | StoreError():
            return {"outcome": "failed", "told": str(error)}
        case _:
            return {"outcome": "refused", "told": str(error)}


async def _note(artefacts: Artefacts, delivery: Delivery) -> None:
    await artefacts.replace(history_name(delivery.destination), _encoded(delivery))


def _encoded(delivery: Delivery) -> bytes:
    return delivery.model_dump_json(indent=1).encode() + b"\n"
