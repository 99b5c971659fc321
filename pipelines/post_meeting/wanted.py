"""What a room's metadata asks for after the meeting: the key ``summary``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

_TemplateName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{0,32}$")]
_Tag = Annotated[str, StringConstraints(pattern=r"^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4})?$")]

DestinationName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")]
"""The operator's name of a destination; the settings hold its address."""


class Wanted(BaseModel):
    """The summary that a room wants, and who gets it; kept as ``wanted.json`` beside the seal."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    template: _TemplateName = Field(
        default="", description="Name of the template; empty is the setting's."
    )
    language: _Tag = Field(
        default="", description="BCP 47 tag of the summary; empty is the meeting's own."
    )
    redact: bool = Field(default=False, description="Leave names out of what is delivered.")
    deliver: tuple[DestinationName, ...] = Field(
        default=(),
        max_length=16,
        description="Names of destinations; the settings say where they are.",
    )
