"""The settings of tools: which there are, where MCP servers are, where calendar events go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from pipelines.calendar.place import CalendarPlace, parse_places
from pipelines.mcp_address import McpAddress, parse_mcp_servers
from pipelines.post_meeting.deliver.destination import parse_pairs
from pipelines.webhook_key import open_webhook

_CALENDARS = "GREFFIER_CALENDARS"
_SECRETS = "GREFFIER_CALENDAR_SECRETS"


class ToolSettings(BaseModel):
    """A part of :class:`pipelines.settings.Settings`."""

    allowed_tools: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Tools that may be used, by name, or `server.*` for all of an MCP server; "
        "empty allows every one there is.",
    )
    tool_timeout: float = Field(
        default=30.0, gt=0, le=600, description="Seconds that a tool may take."
    )
    approval_timeout: float = Field(
        default=120.0,
        ge=5,
        le=3600,
        description="Seconds in which a person may decide what they are asked to approve, from "
        "when they are shown it.",
    )
    mcp_servers: Annotated[tuple[McpAddress, ...], NoDecode] = Field(
        default=(),
        description="MCP servers whose tools may be used: `name=https://host/mcp` or "
        "`name=command` each, or a JSON object as other MCP clients have it. A tool that its "
        "server calls read-only runs without an approval: name only servers that you trust.",
    )
    calendars: Annotated[tuple[CalendarPlace, ...], NoDecode] = Field(
        default=(),
        description="Where approved calendar events go, `name=address` each or a JSON object, all "
        "of them: `file:///directory`, `chat:`, `https://` (a signed webhook), "
        "`caldavs://user@host/calendar/`; empty is `calendar` in the data directory.",
    )
    calendar_secrets: SecretStr = Field(
        default=SecretStr(""),
        description="`name=secret` each, or a JSON object: the key of a webhook (`whsec_...`), the "
        "password of a CalDAV account.",
    )

    @field_validator("allowed_tools", mode="before")
    @classmethod
    def _split_tools(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("mcp_servers", mode="before")
    @classmethod
    def _parse_servers(cls, value: object) -> object:
        return parse_mcp_servers(value) if isinstance(value, str) else value

    @field_validator("calendars", mode="before")
    @classmethod
    def _parse_calendars(cls, value: object) -> object:
        return parse_places(parse_pairs(value, "address")) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _can_deliver(self) -> Self:
        secrets = self._calendar_secrets
        if stray := sorted(secrets.keys() - {place.name for place in self.calendars}):
            raise ValueError(f"{_SECRETS}: no calendar is called {stray[0]!r}")
        for place in self.calendars:
            if place.kind == "webhook":
                open_webhook(self.secret_of_calendar(place), setting=f"{_SECRETS}: {place.name}")
            if place.user and place.name not in secrets:
                raise ValueError(f"{_SECRETS} must have the password of {place.name}")
            if place.name in secrets and place.kind == "caldav" and not place.user:
                raise ValueError(f"{_CALENDARS}: {place.name} needs a user before its host")
        return self

    def allows_tool(self, name: str) -> bool:
        """Tell whether the operator allows a tool."""
        server, dot, _ = name.partition(".")  # A server's name has no dot, its tools' may.
        return not self.allowed_tools or any(
            one in (name, f"{server}{dot}*") for one in self.allowed_tools
        )

    def calendar_places(self, data_dir: Path, *, kept: bool) -> tuple[CalendarPlace, ...]:
        """Return where calendar events go; none, where nothing is set and nothing may be kept.

        Args:
            data_dir: Where they go if nothing is set.
            kept: Whether the meeting may be kept. A place that is set is the operator's word that
                events go there, from encrypted rooms too.
        """
        if not kept:
            return self.calendars
        default = CalendarPlace("file", "files", (data_dir / "calendar").absolute().as_uri())
        return self.calendars or (default,)

    def secret_of_calendar(self, place: CalendarPlace) -> SecretStr:
        """Return the place's secret; empty where it has none."""
        return SecretStr(self._calendar_secrets.get(place.name, ""))

    @property
    def _calendar_secrets(self) -> dict[str, str]:
        try:
            return parse_pairs(self.calendar_secrets.get_secret_value(), "secret")
        except ValueError as error:
            raise ValueError(f"{_SECRETS}: {error}") from None
