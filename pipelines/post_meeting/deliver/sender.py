"""What one attempt to deliver is, whatever the destination."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from pipelines.errors import RetryableError, StepError
from pipelines.post_meeting.deliver.parcel import Parcel


@dataclass(frozen=True, slots=True)
class Sent:
    """The destination has it.

    Args:
        answer: What it answered, fit to be kept: no secret, nothing that was said.
        reached: Of a destination with several recipients, those who have it now.
    """

    answer: str
    reached: tuple[str, ...] = ()


class PartlySentError(RetryableError):
    """Some recipients have it and others may have it later.

    Args:
        message: As in :class:`RetryableError`.
        reached: Those who have it.
    """

    def __init__(self, message: str, reached: tuple[str, ...]) -> None:
        super().__init__("partly_delivered", message)
        self.reached = reached


class PartlyRefusedError(StepError):
    """Some recipients have it and the others never will.

    Args:
        message: As in :class:`StepError`.
        reached: Those who have it.
    """

    def __init__(self, message: str, reached: tuple[str, ...]) -> None:
        super().__init__("recipients_refused", message)
        self.reached = reached


class Sender(Protocol):
    """Brings parcels to one destination. One call is one try, and may be cancelled."""

    async def send(self, parcel: Parcel, *, key: str, reached: Collection[str]) -> Sent:
        """Deliver ``parcel``.

        Args:
            parcel: The minutes.
            key: Idempotency key, for the receiver to tell a repetition.
            reached: Recipients who have it from an earlier attempt.

        Raises:
            RetryableError: The destination is away, slow or in trouble.
            StepError: It will not take it until somebody changes something.
            StoreError: As the first, where the destination is a store.
        """

    async def aclose(self) -> None:
        """Close the connections."""
