"""The room's metadata is the switchboard: it starts, re-configures and stops agents.

Broken at the start: the default agents run. Broken later: the last valid settings stay. Always one
clear error, in the log and in the room.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from agents import shutdown
from agents.host import AgentHost
from agents.meeting import Desk
from agents.plugin import AgentSettings, AgentSpec
from agents.room_settings import RoomSettings, fallback_settings, read_room_settings
from pipelines.errors import RoomSettingsError
from pipelines.events import MetadataChanged
from pipelines.settings import Settings
from pipelines.transcript.seal import SUMMARY_STATE

log = logging.getLogger(__name__)

SOURCE: Final = "metadata"


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
        self._asked: Mapping[str, AgentSettings] = {}
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
        self._read(desk)
        self._tell_error(desk)
        await self._switch(host, desk)

    async def follow(self, host: AgentHost, desk: Desk) -> None:
        """Make the agents that run those that the metadata asks for now."""
        if self._read(desk):
            desk.captions.withdraw("error", about=SOURCE)
            desk.info = replace(
                desk.info,
                language=self.now.language or self._settings.language,
                key_terms=self.now.key_terms,
                metadata=self.now.metadata,
            )
            await self._switch(host, desk)
            desk.spread(MetadataChanged(time.time(), self.now.metadata))
        self._tell_error(desk)

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
        wanted = self.now.agents
        for name in host.names - wanted.keys():
            await host.stop(name, deadline=shutdown.DRAIN_AGENTS)
        for name in host.names & wanted.keys():
            host.configure(name, wanted[name])
        for name in sorted(wanted.keys() - host.names):
            # One that has ended or failed is not started again by a change of something else.
            if self._asked.get(name) != wanted[name]:
                desk.captions.withdraw("agent", about=name)
                host.start(self._specs[name], wanted[name], so_far=list(desk.room.present()))
        self._asked = wanted
        desk.room.hear(host.hears, screen_shares=self.now.screen_share_audio)
