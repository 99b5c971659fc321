"""Counts the words each person says; the room may ask for them with the RPC ``wordcount.get``."""

from __future__ import annotations

import json
from collections import Counter

from pydantic import Field

from agents.plugin import AgentSettings, AgentSpec, CaptionFinal, Meeting, RpcCall, SettingsChanged


class WordCountSettings(AgentSettings):
    """What a room's metadata may say under ``agents.wordcount``."""

    every: int = Field(default=1000, ge=1, description="Words after which the room is told.")


class WordCount:
    """Counts the words of one meeting."""

    def __init__(self, settings: WordCountSettings) -> None:
        self._every = settings.every
        self._said: dict[str, CaptionFinal] = {}

    async def run(self, meeting: Meeting) -> None:
        """Count until the meeting ends, then keep the result with the transcript."""
        # After a crash a new job goes on: what was said is there, and so is what we kept.
        self._said = {caption.segment: caption for caption in await meeting.said()}
        told = await meeting.get_state("told") or 0
        await meeting.register_rpc("wordcount.get", self._answer)
        async for event in meeting.events():
            match event:
                case SettingsChanged(settings=WordCountSettings() as settings):
                    self._every = settings.every
                case CaptionFinal():
                    self._said[event.segment] = event  # a later revision replaces the earlier one
                    total = self._words().total()
                    if total >= told + self._every:
                        told = total
                        await meeting.set_state("told", told)
                        await meeting.notify("wordcount", total=total)
        await meeting.store("wordcount", self._words())

    def _words(self) -> Counter[str]:
        words: Counter[str] = Counter()
        for caption in self._said.values():
            words[caption.name or caption.identity] += len(caption.text.split())
        return words

    async def _answer(self, _call: RpcCall) -> str:
        return json.dumps(self._words())


SPEC = AgentSpec("wordcount", WordCount, WordCountSettings, description="Words that each one said.")
