"""Who speaks which language, as the participants themselves say, and when another one begins."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from livekit import rtc

from agents.plugin import RpcCall
from agents.transcriber_settings import LANGUAGE_TAG
from pipelines.speech.cutter import QUIET

ATTRIBUTE: Final = "greffier.language"
"""Participant attribute: the language that they speak, a BCP 47 tag; empty is the room's."""
METHOD: Final = "transcriber.language"
"""RPC by which a participant says the same of themselves."""
SWITCH_WITHIN: Final = 2.0
"""Seconds of speech after which another language begins although there was no pause."""


class SpokenLanguages:
    """What participants said of their language; the latest word counts, attribute or RPC."""

    def __init__(self) -> None:
        self._tags: dict[str, str] = {}

    def of(self, identity: str) -> str:
        """Return the tag of a participant, or an empty string."""
        return self._tags.get(identity, "")

    def joined(self, identity: str, attributes: Mapping[str, str]) -> None:
        """Take the attributes of somebody who joins, perhaps again.

        Raises:
            ValueError: The attribute is no BCP 47 tag; the message has no name in it.
        """
        self._tags.pop(identity, None)
        self.changed(identity, attributes)

    def changed(self, identity: str, attributes: Mapping[str, str]) -> None:
        """Take attributes that changed.

        Raises:
            ValueError: As for :meth:`joined`.
        """
        if (tag := attributes.get(ATTRIBUTE)) is not None:
            self._tags[identity] = _checked(tag, f"attribute {ATTRIBUTE}")

    async def called(self, call: RpcCall) -> str:
        """Answer the RPC: the payload is the tag, or empty for the room's language."""
        try:
            self._tags[call.caller] = _checked(call.payload.strip().strip('"'), "the payload")
        except ValueError as error:
            raise rtc.RpcError(int(HTTPStatus.BAD_REQUEST), str(error)) from None
        return json.dumps({"language": self._tags[call.caller]})


class LanguageSwitch:
    """Finds where in speech the language changes: the next quiet moment, or two seconds later."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._late = 0.0

    def due(self, wanted: str, seconds: float, speech: float) -> bool:
        """Take the next chunk; return True if ``wanted`` begins with it.

        Args:
            wanted: The language that is asked for now.
            seconds: Length of the chunk.
            speech: Probability that somebody speaks in it, 0 to 1.
        """
        if wanted == self.language:
            self._late = 0.0
            return False
        self._late += seconds
        return speech < QUIET or self._late >= SWITCH_WITHIN


def _checked(tag: str, what: str) -> str:
    if not re.fullmatch(LANGUAGE_TAG, tag):
        raise ValueError(f"{what} must be a BCP 47 tag, e.g. fr-CA")
    return tag
