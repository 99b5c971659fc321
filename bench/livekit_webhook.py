"""Webhooks as LiveKit signs them, also wrong ones, for who has to tell them apart."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from datetime import timedelta
from typing import Any

from livekit import api


def event_body(
    event: str = "room_finished",
    *,
    room: str = "weekly",
    event_id: str = "EV_1",
    created_at: float | None = None,
    **more: Any,
) -> bytes:
    """Return the body of a webhook: protobuf's JSON, 64-bit numbers as strings."""
    created = int(time.time() if created_at is None else created_at)
    fields = {"event": event, "id": event_id, "createdAt": str(created), **more}
    if room:
        fields["room"] = {"name": room, "sid": "RM_1"}
    return json.dumps(fields).encode()


def authorization(
    body: bytes, api_key: str, api_secret: str, *, valid: timedelta = timedelta(minutes=5)
) -> str:
    """Return the header of that name that LiveKit sends with ``body``.

    Args:
        body: What is hashed.
        api_key: Who signs.
        api_secret: With what.
        valid: Of the token; negative is expired.
    """
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    token = api.AccessToken(api_key, api_secret).with_ttl(valid).with_sha256(digest)
    return token.to_jwt()
