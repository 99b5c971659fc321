"""The history of a delivery: each attempt, when it was and how it ended.

::

    deliveries/<name>.history.json    until it is delivered; replaced with each attempt
    deliveries/<name>.json            put once it is delivered, with the whole history
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from pipelines.post_meeting.artefacts import Artefacts


class Attempt(BaseModel, frozen=True):
    """One attempt to deliver."""

    started_at: str = Field(description="UTC, ISO 8601 with milliseconds.")
    ended_at: str | None = Field(
        default=None, description="Likewise; null where its process died, or while it runs."
    )
    outcome: Literal["delivered", "failed", "refused"] | None = Field(
        default=None,
        description="`failed` may be tried again, `refused` needs somebody to change something; "
        "null where nobody knows: the receiver may have it.",
    )
    told: str = Field(default="", description="What the destination answered, or what went wrong.")
    reached: tuple[str, ...] = Field(
        default=(), description="Of several recipients, those who got it in this attempt."
    )


class Delivery(BaseModel, frozen=True):
    """What is known of the delivery of one seal to one destination."""

    destination: str = Field(description="The destination's name in the settings.")
    key: str = Field(description="The idempotency key that every attempt carries.")
    delivered_at: str | None = Field(default=None, description="UTC, ISO 8601; null until then.")
    attempts: tuple[Attempt, ...] = Field(default=(), description="In order, all of them.")

    @property
    def reached(self) -> tuple[str, ...]:
        """Every recipient who has it, in order."""
        return tuple(dict.fromkeys(one for attempt in self.attempts for one in attempt.reached))

    def with_attempt(self, attempt: Attempt, *, replaces: bool = False) -> Delivery:
        """Return it with one more attempt, or with what the last one became."""
        before = self.attempts[:-1] if replaces else self.attempts
        return self.model_copy(update={"attempts": (*before, attempt)})


async def read_delivery(artefacts: Artefacts, destination: str) -> Delivery | None:
    """Return what is known of a delivery, None before its first attempt.

    Raises:
        StoreError: It can't be read.
        ValueError: What is there is something else.
    """
    for name in (delivered_name(destination), history_name(destination)):
        if (raw := await artefacts.read(name)) is not None:
            return Delivery.model_validate_json(raw)
    return None


def delivered_name(destination: str) -> str:
    """Return the name of the artefact that tells that it is delivered."""
    return f"deliveries/{destination}.json"


def history_name(destination: str) -> str:
    """Return the name of what is known before that."""
    return f"deliveries/{destination}.history.json"
