"""End-to-end encryption: whose media can be read, and the key that we read and write with.

Without a key nobody is read as long as anybody's media is encrypted: what would be written of the
others goes through a room whose people take it for closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from livekit import rtc
from pydantic import SecretStr

from agents.captions import Captions
from pipelines.events import CaptionState

log = logging.getLogger(__name__)

CAPTIONS: Final = "greffier.captions"
"""The agent's attribute that says why there are no captions: whoever has another key than the agent
can't read its messages, but attributes are LiveKit's own."""

FAILURES: Final = 25
"""Frames (half a second) that can't be decrypted after which LiveKit gives the key up for wrong."""

TRY_AGAIN: Final = 5.0
"""Seconds until a key that was given up is tried again: somebody may have taken the right one."""

ATTRIBUTE_TIMEOUT: Final = 2.0
"""Seconds that LiveKit may take to set an attribute."""


class Unreadable(StrEnum):
    """Why media is not read, as the room is told."""

    NO_KEY = "the agent has no key"
    OTHER_KEY = "the agent's key is not theirs"


@dataclass(slots=True)
class Decryption:
    """A table of whose media can be read, fed with what LiveKit tells.

    Args:
        has_key: Whether the agent has a key.
    """

    has_key: bool
    _encrypted: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _failed: set[str] = field(default_factory=set)

    def published(self, identity: str, track: str, encryption: int) -> None:
        """Somebody's track is there, encrypted or not (``rtc.EncryptionType``)."""
        if encryption != rtc.EncryptionType.NONE:
            self._encrypted[identity].add(track)

    def unpublished(self, identity: str, track: str) -> None:
        """Somebody's track is gone."""
        if identity in self._encrypted:
            self._encrypted[identity].discard(track)

    def told(self, identity: str, state: int) -> None:
        """Somebody's media is decrypted, or it can't be (``rtc.EncryptionState``)."""
        if state in {rtc.EncryptionState.DECRYPTION_FAILED, rtc.EncryptionState.MISSING_KEY}:
            self._failed.add(identity)
        elif state == rtc.EncryptionState.OK:
            self._failed.discard(identity)

    def left(self, identity: str) -> None:
        """Somebody left the room."""
        self._encrypted.pop(identity, None)
        self._failed.discard(identity)

    def readable(self, identity: str) -> bool:
        """Tell whether somebody's media may be read."""
        return self.problem is not Unreadable.NO_KEY and identity not in self._failed

    @property
    def problem(self) -> Unreadable | None:
        """Why somebody's media is not read, or None."""
        if not self.has_key and any(self._encrypted.values()):
            return Unreadable.NO_KEY
        return Unreadable.OTHER_KEY if self.has_key and self._failed else None

    @property
    def unread(self) -> tuple[str, ...]:
        """The people whose key is another one, in order."""
        return tuple(sorted(self._failed)) if self.has_key else ()


def encryption_options(key: SecretStr) -> rtc.E2EEOptions | None:
    """Return what a room is connected with: media is read, and all data sent, with ``key``.

    The options pair with the browser's ``ExternalE2EEKeyProvider``. A key that does not fit would
    otherwise be ratcheted 16 times a frame, which takes a whole core.
    """
    if not key.get_secret_value():
        return None
    return rtc.E2EEOptions(
        key_provider_options=rtc.KeyProviderOptions(
            shared_key=key.get_secret_value().encode(),
            ratchet_window_size=0,
            failure_tolerance=FAILURES,
        )
    )


class EncryptionWatch:
    """Tells the room what can't be read, and tries a key again that LiveKit gave up.

    Args:
        room: The connected room.
        decryption: What can be read.
        captions: Take what the room is told.
        key: The agent's key, or empty.
    """

    def __init__(
        self, room: rtc.Room, decryption: Decryption, captions: Captions, key: SecretStr
    ) -> None:
        self._room = room
        self._decryption = decryption
        self._captions = captions
        self._key = key
        self._told: tuple[Unreadable | None, tuple[str, ...]] = (None, ())
        self._tried_at = 0.0

    async def look(self, now: float) -> None:
        """Do what is due; ``now`` is in seconds of any clock."""
        found = (self._decryption.problem, self._decryption.unread)
        if found != self._told:
            self._told, self._tried_at = found, now
            await self._tell(*found)
        elif found[0] is Unreadable.OTHER_KEY and now - self._tried_at >= TRY_AGAIN:
            self._tried_at = now
            self._try_key_again()

    async def _tell(self, problem: Unreadable | None, people: tuple[str, ...]) -> None:
        state = CaptionState.ENCRYPTED if problem else CaptionState.AVAILABLE
        log.warning("encryption", extra={"state": str(state), "cause": str(problem or "")})
        notice: dict[str, object] = {"about": "encryption", "state": state}
        if problem:
            notice["reason"] = problem
        if people:
            notice["participants"] = people
        self._captions.notify("captions", notice, about="encryption")
        try:
            text = f"{state}: {problem}" if problem else ""
            async with asyncio.timeout(ATTRIBUTE_TIMEOUT):
                await self._room.local_participant.set_attributes({CAPTIONS: text})
        except Exception as error:
            # rtc raises bare exceptions for whatever its native part says.
            log.warning("attribute not set", extra={"cause": type(error).__name__})

    def _try_key_again(self) -> None:
        if provider := self._room.e2ee_manager.key_provider:
            provider.set_shared_key(self._key.get_secret_value().encode(), 0)
