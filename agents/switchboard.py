"""The room's metadata is the switchboard: it starts, re-configures and stops agents.

Broken at the start: the default agents run. Broken later: the last valid settings stay. Always one
clear error, in the log and in the room.

A moderator may start and stop an agent by hand. That holds, through a crash of the job too, until
the metadata says something else of this agent.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from agents import shutdown
from agents.host import AgentHost
from agents.meeting import Desk
from agents.plugin import AgentSettings, AgentSpec
from agents.room_settings import (
    RoomSettings,
    default_settings,
    fallback_settings,
    read_room_settings,
)
from pipelines.errors import RoomSettingsError
from pipelines.events import MetadataChanged
from pipelines.settings import Settings
from pipelines.transcript.seal import SUMMARY_STATE

log = logging.getLogger(__name__)

SOURCE: Final = "metadata"

BY_HAND: Final = "agents by hand"
"""State of the meeting: agent -> whether it was switched ``on``, and whether the metadata ``asked``
for it then."""


class Switchboard:
    """Follows the metadata of one room.

    Args:
        settings: The process's settings: which agents metadata may name.
        specs: The installed agents.
        job_metadata: The dispatch's metadata; overrides the room's.
    """

    def __init__(
        self, settings: Settings, specs: Mapping[str, AgentSpec], job_metadata: str
    ) -> None:
        self._settings = settings
        self._specs = specs
        self._job_metadata = job_metadata
        self._read_metadata: str | None = None
        self._error = ""
        self._asked: dict[str, AgentSettings] = {}
        self._by_hand: dict[str, Mapping[str, Any]] = {}
        self._to_do = False
        self._done = asyncio.Event()
        self.now: RoomSettings = fallback_settings(
            "",
            "",
            specs=specs,
            defaults=settings.default_agents,
            presets=settings.agent_presets,
        )

    def read(self, room_metadata: str) -> bool:
        """Take the room's metadata; returns whether it says something new and valid."""
        if room_metadata == self._read_metadata:
            return False
        first = self._read_metadata is None
        self._read_metadata = room_metadata
        try:
            self.now = read_room_settings(
                room_metadata,
                self._job_metadata,
                specs=self._specs,
                defaults=self._settings.default_agents,
                allowed=self._settings.allowed_agents,
                presets=self._settings.agent_presets,
            )
        except RoomSettingsError as error:
            self._error = str(error)
            log.error("metadata refused", extra={"cause": self._error})
            if first:
                self.now = fallback_settings(
                    room_metadata,
                    self._job_metadata,
                    specs=self._specs,
                    defaults=self._settings.default_agents,
                    presets=self._settings.agent_presets,
                )
            return False
        self._error = ""
        return True

    async def connect(self, host: AgentHost, desk: Desk) -> None:
        """Start the agents that the metadata asks for; the room is connected."""
        self._by_hand = dict(desk.ledger.state(BY_HAND) or {})
        self._read(desk)
        self._forget_what_metadata_overrides(desk)
        self._tell_error(desk)
        await self._switch(host, desk)

    @property
    def installed(self) -> Mapping[str, AgentSpec]:
        """The agents that may run here: installed, and allowed by the operator."""
        allowed, defaults = self._settings.allowed_agents, self._settings.default_agents
        return {
            name: spec
            for name, spec in self._specs.items()
            if not allowed or name in allowed or name in defaults
        }

    async def switch(self, name: str, *, on: bool, by: str, desk: Desk) -> None:
        """Start or stop an agent by hand; returns once it is done.

        Args:
            name: One of :attr:`installed`.
            on: Start it.
            by: Identity of who does.
            desk: The meeting.

        Raises:
            RoomSettingsError: The agent needs settings that the metadata does not have.
        """
        if on and name not in self.now.agents:
            self._default_settings(name)
        asked = name in self.now.agents
        self._by_hand[name] = {"on": on, "asked": asked, "by": by}
        self._keep_by_hand(desk)
        if on:  # Also one that failed.
            self._asked.pop(name, None)
        self._to_do = True
        self._done.clear()
        desk.room.changed.set()
        await self._done.wait()

    async def follow(self, host: AgentHost, desk: Desk) -> None:
        """Make the agents that run those that the metadata asks for now."""
        if self._read(desk):
            self._forget_what_metadata_overrides(desk)
            # Roles may be others now: the room is told in any case.
            desk.captions.withdraw("error", about=SOURCE)
            desk.captions.tell("error", {"source": SOURCE, "message": ""})
            desk.info = replace(
                desk.info,
                language=self.now.language or self._settings.language,
                key_terms=self.now.key_terms,
                metadata=self.now.metadata,
            )
            await self._switch(host, desk)
            desk.spread(MetadataChanged(time.time(), self.now.metadata))
        elif self._to_do:
            await self._switch(host, desk)
        self._tell_error(desk)

    def _forget_what_metadata_overrides(self, desk: Desk) -> None:
        asked = self.now.agents
        kept = {who: it for who, it in self._by_hand.items() if (who in asked) == it["asked"]}
        if kept != self._by_hand:
            self._by_hand = kept
            self._keep_by_hand(desk)

    def _keep_by_hand(self, desk: Desk) -> None:
        by_hand = {"key": BY_HAND, "value": self._by_hand}
        desk.ledger.append("state", by_hand, at=time.time())

    def _default_settings(self, name: str) -> AgentSettings:
        presets = self._settings.agent_presets
        return default_settings(name, specs=self._specs, presets=presets)

    def _wanted(self) -> dict[str, AgentSettings]:
        wanted = dict(self.now.agents)
        for name, switched in self._by_hand.items():
            if not switched["on"]:
                wanted.pop(name, None)
            elif name in self.installed and name not in wanted:
                with suppress(RoomSettingsError):  # Of an earlier epoch, with another worker.
                    wanted[name] = self._default_settings(name)
        return wanted

    def _read(self, desk: Desk) -> bool:
        """Take the room's metadata, and keep what it says of the summary if that is new."""
        before = self.now.summary
        changed = self.read(desk.rtc_room.metadata)
        if self.now.summary != before:
            wanted = {"key": SUMMARY_STATE, "value": self.now.summary}
            desk.ledger.append("state", wanted, at=time.time())
        return changed

    def _tell_error(self, desk: Desk) -> None:
        if self._error:
            error = {"source": SOURCE, "message": self._error}
            desk.captions.notify("error", error, about=SOURCE)
            self._error = ""

    async def _switch(self, host: AgentHost, desk: Desk) -> None:
        self._to_do = False
        wanted = self._wanted()
        for name in host.names - wanted.keys():
            await host.stop(name, deadline=shutdown.DRAIN_AGENTS)
            desk.captions.tell("agent", {"agent": name, "state": "off"})
        for name in host.names & wanted.keys():
            host.configure(name, wanted[name])
        for name in sorted(wanted.keys() - host.names):
            # One that has ended or failed is not started again by a change of something else.
            if self._asked.get(name) != wanted[name]:
                desk.captions.withdraw("agent", about=name)
                host.start(self._specs[name], wanted[name], so_far=list(desk.room.present()))
                desk.captions.tell("agent", {"agent": name, "state": "running"})
        self._asked = wanted
        desk.room.hear(host.hears, screen_shares=self.now.screen_share_audio)
        if not self._to_do:
            self._done.set()
