"""What room metadata may say, as models: they validate it, and its JSON Schema is made of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from agents.rpc.method import MethodName
from pipelines.post_meeting.wanted import Wanted

_Identifier = Annotated[str, StringConstraints(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Term = Annotated[str, StringConstraints(min_length=1, max_length=100)]
_Terms = Annotated[list[_Term], Field(max_length=1000)]
_Role = Literal["owner", "moderator", "attendee"]
_LeastRole = Literal["owner", "moderator", "attendee", "stranger"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, strict=True)


class MeetingData(_Part):
    """The meeting as the backend knows it; other keys are kept as they come."""

    id: _Identifier | None = Field(
        default=None,
        description="Id of the meeting. Without it, room name and room SID are the id.",
    )
    created_by: _Identifier | None = Field(
        default=None, alias="createdByUserId", description="Identity that has the role `owner`."
    )


class AgentData(_Part):
    """The assistant as the backend knows it; other keys are kept as they come."""

    name: str | None = Field(default=None, description="The assistant's name.")
    instructions: str | None = Field(default=None, description="What the assistant is told.")


class SummaryWanted(Wanted):
    """The summary that the room wants after the meeting, and who gets it."""

    # A key that there is not may be an address or a secret: those are the operator's to set.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RoomMetadata(_Part):
    """What room metadata may say; a key that is not listed is kept and means nothing here."""

    meeting_data: MeetingData | None = Field(default=None, alias="meetingData")
    agent_data: AgentData | None = Field(default=None, alias="agentData")
    agents: dict[str, Any] | None = Field(
        default=None,
        description="The agents that run, and their settings: an object, `true` for the default "
        "settings, `false` for off. Without this key the worker's default agents run; an empty "
        "object means none.",
    )
    language: (
        Annotated[str, StringConstraints(pattern=r"^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4})?$")]
        | None
    ) = Field(default=None, description="Language of speech, a BCP 47 tag.")
    key_terms: _Terms | None = Field(
        default=None, alias="keyTerms", description="Names and words that an engine should know."
    )
    glossary: _Terms | None = Field(default=None, description="More key terms.")
    roles: dict[str, _Role] | None = Field(
        default=None, description="Identity to role; whoever is not named is an attendee."
    )
    permissions: dict[MethodName, _LeastRole] | None = Field(
        default=None,
        description="RPC method to the least role that may call it; the method's own where it is "
        "not named. A stranger never decides an approval.",
    )
    screen_share_audio: bool | None = Field(
        default=None,
        alias="screenShareAudio",
        description="Hear what shared screens play too, in the name of who shares; default false.",
    )
    summary: SummaryWanted | None = Field(
        default=None,
        description="The summary that is made after the meeting; without this key one is made as "
        "the operator's settings say, and delivered to nobody.",
    )
