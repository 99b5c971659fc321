"""The LiveKit server's API with the key of this process's settings."""

from __future__ import annotations

from livekit import api

from pipelines.settings import Settings


def open_api(settings: Settings) -> api.LiveKitAPI:
    """Return a client for an event loop; use it as an async context manager."""
    return api.LiveKitAPI(
        settings.livekit_url,
        settings.livekit_api_key,
        settings.livekit_api_secret.get_secret_value(),
    )
