"""The settings of the receiver of LiveKit's webhooks."""

from __future__ import annotations

from pydantic import BaseModel, Field


class WebhookSettings(BaseModel):
    """A part of :class:`pipelines.settings.Settings`."""

    webhook_host: str = Field(
        default="127.0.0.1", description="Address of the receiver of LiveKit's webhooks."
    )
    webhook_port: int = Field(
        default=8089, ge=0, le=65535, description="Its port; 0 takes a free one."
    )
