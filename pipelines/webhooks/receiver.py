"""The receiver of LiveKit's webhooks, a small ASGI app: ``POST /livekit/webhook``.

It only writes a nudge: who looks after rooms then looks at this one now, instead of at the next
sweep. So ``room_finished`` seals a meeting that no job sealed, a room that opens or that somebody
comes into gets the agent that it lacks, and what a lost webhook would have told is found out later
all the same.

LiveKit signs a webhook with the API secret: ``Authorization`` is a JWT with the SHA-256 of the body
(https://docs.livekit.io/home/server/webhooks/). Answers:

====  ==============================================================================
200   taken, now or before; or an event that means nothing here
400   signed, but not a webhook
401   not signed by this API key, for another body, too old, or of the future
413   longer than any webhook
503   the nudge can't be kept now: LiveKit sends it again
====  ==============================================================================
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final, Protocol, cast, get_args

from google.protobuf.json_format import ParseError
from livekit.api import TokenVerifier, WebhookReceiver
from livekit.protocol.models import ParticipantInfo
from livekit.protocol.webhook import WebhookEvent
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pipelines.errors import GreffierError, LeaseError, SettingsError, StoreError
from pipelines.lease import NudgeKind
from pipelines.leases.open_leases import open_leases
from pipelines.settings import Settings
from pipelines.webhooks.taken import FileTaken, RedisTaken, Taken

log = logging.getLogger(__name__)

LONGEST: Final = 2_000_000
"""Bytes of a webhook: a room's metadata has 524,288 at most, and JSON may escape each."""

OLDEST: Final = 3600.0
"""Seconds after which an event is refused; LiveKit gives up sending long before."""

AHEAD: Final = 300.0
"""Seconds that LiveKit's clock may be ahead of ours."""

NUDGING: Final[Collection[str]] = get_args(NudgeKind)
"""The events after which somebody should look at the room: for a seal, or for an agent."""

_NOBODY: Final = frozenset({ParticipantInfo.Kind.AGENT, ParticipantInfo.Kind.EGRESS})
"""Kinds of participants that no agent comes for."""


class WebhookRefusedError(GreffierError):
    """The webhook is not LiveKit's.

    Args:
        status: The HTTP status to answer.
        message: Why; shown to the sender and in the log.
    """

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Nudges(Protocol):
    """Keeps the rooms to look at; see :class:`pipelines.lease.Leases`."""

    async def nudge(self, room: str, kind: NudgeKind) -> None:
        """Ask for a look at a room; raises LeaseError where that can't be kept."""

    async def aclose(self) -> None:
        """Close the connections."""


def create_app(settings: Settings) -> Starlette:
    """Return the app, with the nudges and notes where the settings have the leases.

    Raises:
        SettingsError: There is no API key to check signatures with.
    """
    place = settings.lease_place
    if place is None:
        taken: Taken = FileTaken(settings.data_dir / "webhooks")
    else:
        taken = RedisTaken(place, setting=settings.lease_setting)
    return build_app(
        settings.livekit_api_key,
        settings.livekit_api_secret.get_secret_value(),
        nudges=open_leases(settings),
        taken=taken,
    )


def build_app(
    api_key: str,
    api_secret: str,
    *,
    nudges: Nudges,
    taken: Taken,
    now: Callable[[], float] = time.time,
) -> Starlette:
    """Return the app.

    Args:
        api_key: LiveKit's API key that webhooks are signed with.
        api_secret: Belongs to it.
        nudges: Where the rooms to look at are kept.
        taken: Which webhooks were taken before.
        now: Unix seconds.

    Raises:
        SettingsError: The key or the secret is empty.
    """
    if not api_key or not api_secret:
        raise SettingsError(
            "LIVEKIT_API_KEY and LIVEKIT_API_SECRET must be set: they sign webhooks"
        )
    signatures = TokenVerifier(api_key, api_secret)

    async def receive(request: Request) -> Response:
        try:
            body = await _read(request)
            event = verify(body, request.headers.get("authorization", ""), signatures, now=now())
        except WebhookRefusedError as error:
            log.warning("webhook refused", extra={"cause": str(error)})
            return PlainTextResponse(str(error), status_code=error.status)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # Nobody reads it.
        try:
            if (kind := nudge_of(event)) and not await taken.has(event.id):
                await nudges.nudge(event.room.name, kind)
                await taken.add(event.id)
        except (LeaseError, StoreError) as error:
            log.warning("webhook not kept, LiveKit sends it again", extra={"cause": str(error)})
            return PlainTextResponse("try again", status_code=HTTPStatus.SERVICE_UNAVAILABLE)
        log.info("webhook taken", extra={"event": event.event})
        return PlainTextResponse("taken")

    async def alive(_: Request) -> Response:
        return PlainTextResponse("ok")

    @asynccontextmanager
    async def closing(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await nudges.aclose()
            await taken.aclose()

    return Starlette(
        routes=[Route("/livekit/webhook", receive, methods=["POST"]), Route("/", alive)],
        lifespan=closing,
    )


def verify(
    body: bytes, authorization: str, signatures: TokenVerifier, *, now: float
) -> WebhookEvent:
    """Return the event of a webhook that LiveKit signed.

    Args:
        body: As it came.
        authorization: The header of that name.
        signatures: Checks its signature, issuer and time.
        now: Unix seconds.

    Raises:
        WebhookRefusedError: It is not LiveKit's, or not of now.
    """
    token = authorization.removeprefix("Bearer ").strip()
    try:
        text = body.decode()
        event = WebhookReceiver(signatures).receive(text, token)
    except (ParseError, UnicodeDecodeError):
        raise WebhookRefusedError(HTTPStatus.BAD_REQUEST, "the body is no webhook") from None
    except Exception:
        # The library raises its own, PyJWT's, binascii's and bare Exceptions: none is accepted,
        # and none is told, because each would help who tries.
        raise WebhookRefusedError(
            HTTPStatus.UNAUTHORIZED, "the signature is not of this API key and this body"
        ) from None
    if not event.id or not -AHEAD < now - event.created_at < OLDEST:
        raise WebhookRefusedError(HTTPStatus.UNAUTHORIZED, "the event is not of now")
    return event


def nudge_of(event: WebhookEvent) -> NudgeKind | None:
    """Return the nudge that an event is; None where it is no reason to look at a room."""
    if event.event not in NUDGING or not event.room.name or event.participant.kind in _NOBODY:
        return None
    return cast("NudgeKind", event.event)


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST:
            raise WebhookRefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a webhook has at most {LONGEST} bytes"
            )
    return bytes(body)
