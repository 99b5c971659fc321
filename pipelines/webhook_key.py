"""Keys of Standard Webhooks 1.0.0, which sign what goes to somebody else's server.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Final

from pydantic import SecretStr
from standardwebhooks import Webhook

from pipelines.errors import SettingsError

_PREFIX: Final = "whsec_"
_KEY_BYTES: Final = (24, 64)  # least and most, by the specification


def open_webhook(secret: SecretStr, *, setting: str) -> Webhook:
    """Return what signs with ``secret``.

    Args:
        secret: ``whsec_`` and a base64 key of 24 to 64 bytes.
        setting: What the operator is told to correct.

    Raises:
        SettingsError: The secret is not one.
    """
    # Not left to the library: it takes what is no base64 for a short key, or for none.
    text = secret.get_secret_value()
    encoded = text.removeprefix(_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        key = b""
    least, most = _KEY_BYTES
    if not text.startswith(_PREFIX) or not least <= len(key) <= most:
        raise SettingsError(
            f"{setting} must be `{_PREFIX}` and a base64 key of {least} to {most} "
            f'bytes, as in `echo "{_PREFIX}$(openssl rand -base64 32)"`'
        )
    return Webhook(key)


def signed(webhook: Webhook, message: str, payload: str) -> dict[str, str]:
    """Return the three headers of a request that is sent now.

    Args:
        webhook: The key.
        message: The message's id, the same whenever it is sent; without full stops, which part
            what is signed.
        payload: The body.
    """
    now = datetime.now(UTC)
    return {
        "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": webhook.sign(message, now, payload),
    }
