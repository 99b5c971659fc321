"""Minutes as a webhook in the Standard Webhooks form, signed; one try a call.

The message's id is the idempotency key: the same for every attempt, so a receiver keeps one of
several. The body is the same for every attempt too, and only the timestamp and what it signs is new
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from pydantic import SecretStr
from yarl import URL

from pipelines.errors import RetryableError, StepError
from pipelines.post_meeting.deliver.destination import Destination
from pipelines.post_meeting.deliver.parcel import Parcel
from pipelines.post_meeting.deliver.sender import Sent
from pipelines.post_meeting.minutes.meetai import merged_lines
from pipelines.retry_after import seconds_to_wait
from pipelines.webhook_key import open_webhook, signed

EVENT: Final = "meeting.minutes"
"""``type`` of the message."""

_LONGEST_WAIT: Final = 14_400.0
"""Seconds: a server that asks for more (Retry-After) is asked again all the same."""

_FIXES: Final = {
    HTTPStatus.UNAUTHORIZED: "give both sides the same key, and set both clocks by NTP",
    HTTPStatus.FORBIDDEN: "give both sides the same key, and set both clocks by NTP",
    HTTPStatus.NOT_FOUND: "correct its address in GREFFIER_DESTINATIONS",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "let the server take longer bodies",
}


class WebhookSender:
    """Posts minutes to ``destination``.

    Args:
        destination: Where.
        secret: ``whsec_`` and a base64 key, as the receiver has it.

    Raises:
        SettingsError: The secret is not one.
    """

    def __init__(self, destination: Destination, secret: SecretStr) -> None:
        self._destination = destination
        self._url = URL(destination.url).with_fragment(None)
        self._webhook = open_webhook(
            secret, setting=f"GREFFIER_DESTINATION_SECRETS: {destination.name}"
        )
        self._session: aiohttp.ClientSession | None = None

    async def send(self, parcel: Parcel, *, key: str, reached: Collection[str]) -> Sent:  # noqa: ARG002 - there is one recipient
        """Post the minutes, following no redirect; see ``Sender.send``."""
        if self._session is None:
            self._session = aiohttp.ClientSession()
        body = payload(parcel)
        headers = {"content-type": "application/json", **signed(self._webhook, key, body)}
        try:
            async with self._session.post(
                self._url, data=body.encode(), headers=headers, allow_redirects=False
            ) as reply:
                self._require_success(reply)
                return Sent(f"answered {reply.status}")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # Not its text: that has the address, which may hold a token.
            message = f"{self._destination} can't be reached: {type(error).__name__}"
            raise RetryableError("destination_unreachable", message) from None

    async def aclose(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _require_success(self, reply: aiohttp.ClientResponse) -> None:
        status = reply.status
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return
        if status == HTTPStatus.GONE:  # The specification's word for "send no more".
            raise StepError("destination_gone", f"{self._destination} answered 410; remove it")
        # The specification has every other answer tried again: what is wrong at the receiver today
        # (a deployment, a wrong key) is not wrong for ever, and the history shows it.
        fix = _FIXES.get(HTTPStatus(status) if status in set(HTTPStatus) else HTTPStatus.OK)
        if status < HTTPStatus.BAD_REQUEST:
            fix = "write the address that it redirects to in GREFFIER_DESTINATIONS"
        raise RetryableError(
            "destination_failed",
            f"{self._destination} answered {status}; {fix or 'look at its log'}",
            after=seconds_to_wait(
                reply.headers.get("retry-after", ""), now=time.time(), most=_LONGEST_WAIT
            )
            or 0.0,
        )


def payload(parcel: Parcel) -> str:
    """Return the message's body, JSON: ``type``, ``timestamp`` and ``data``.

    ``data`` has the summary as ``docs/summary.schema.json`` describes it, as Markdown with
    ``### Overview`` and ``### Notes``, and the transcript as ``[MM:SS] Name: text`` lines.
    """
    document = parcel.document
    message: dict[str, Any] = {
        "type": EVENT,
        # When it happened; not now, or the body would not be the same.
        "timestamp": document.ended_at or document.started_at,
        "data": {
            "meeting": document.meeting,
            "room": document.room,
            "seal": document.seal,
            "started_at": document.started_at,
            "ended_at": document.ended_at,
            "summary": parcel.summary.model_dump(mode="json", exclude={"dropped"}),
            "summary_markdown": parcel.files["summary.md"].decode(),
            "transcript": merged_lines(document),
        },
    }
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))
