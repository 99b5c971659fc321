"""Room and job metadata -> validated settings: which agents run, and how.

Metadata picks names from what the operator installed and allows. Addresses, secrets, import paths
and destinations come from the process's settings only: an agent's model has no such key, and a key
that it does not know is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, NamedTuple, NoReturn, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
)
from pydantic_core.core_schema import ErrorType

from agents.plugin import AgentSettings, AgentSpec
from agents.strict_json import Path, kind_of, read_object, readable_part, refuse
from pipelines.errors import RoomSettingsError
from pipelines.post_meeting.wanted import Wanted

ROOM: Final = "room metadata"
JOB: Final = "job metadata"

RECORDING: Final = "recording_id"
"""Key under which agents find the recording id in the metadata."""

E2EE_KEY: Final = "e2eeKey"
"""Key of the job's metadata, and of no other: everybody in the room can read the room's."""

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

# The messages of the others are not pydantic's own, or quote the value.
_SAFE_TO_SHOW: Final = frozenset(get_args(ErrorType)) - {
    "assertion_error",
    "union_tag_invalid",
    "value_error",
}

_Model = TypeVar("_Model", bound=BaseModel)

_Identifier = Annotated[str, StringConstraints(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Term = Annotated[str, StringConstraints(min_length=1, max_length=100)]
_Terms = Annotated[list[_Term], Field(max_length=1000)]
_Role = Literal["owner", "moderator", "attendee"]


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


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """What the metadata of a room asks for.

    Args:
        agents: Name -> validated settings of each agent that is to run.
        meeting_id: ``meetingData.id``, or empty.
        language: BCP 47 tag, or empty.
        key_terms: Glossary of the room, each term once.
        roles: Identity -> role, for those who are not attendees by default.
        recording_id: La Suite Meet's, in lower case, where the job's metadata is one; or empty.
            Always a UUID, so it may be part of a key or of a file's name.
        screen_share_audio: Hear what shared screens play.
        summary: What the metadata says under ``summary``, validated, or empty.
        e2ee_key: The job's key of an end-to-end encrypted room, or empty.
        metadata: Everything as it came, job over room, unknown keys kept. May hold what only the
            job should know, so it is not in the repr.
    """

    agents: Mapping[str, AgentSettings]
    meeting_id: str = ""
    language: str = ""
    key_terms: tuple[str, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict, repr=False)
    recording_id: str = ""
    screen_share_audio: bool = False
    summary: Mapping[str, Any] = field(default_factory=dict)
    e2ee_key: SecretStr = field(default_factory=lambda: SecretStr(""))
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)


class _Sources(NamedTuple):
    """Room metadata with the job's laid over it, and the job's alone to tell where a field is."""

    merged: dict[str, Any]
    job: dict[str, Any]
    presets: Mapping[str, Mapping[str, Any]] = MappingProxyType({})

    def refuse(self, path: Path, problem: str) -> NoReturn:
        """Raise the error for a field, under the name of the metadata that holds it."""
        tree: Any = self.job
        for step in path:
            if not isinstance(tree, dict):
                break
            if step not in tree:
                refuse(ROOM, path, problem)
            tree = tree[step]
        refuse(JOB, path, problem)


def read_room_settings(
    room_metadata: str,
    job_metadata: str,
    *,
    specs: Mapping[str, AgentSpec],
    defaults: Sequence[str],
    allowed: Sequence[str],
    presets: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> RoomSettings:
    """Validate the metadata of a room.

    Args:
        room_metadata: The room's metadata as LiveKit has it.
        job_metadata: The dispatch's; overrides, key by key. A bare UUID is La Suite's recording id.
        specs: The installed agents by name.
        defaults: Agents to run where there is no ``agents`` key.
        allowed: Agents that metadata may name; empty allows all of ``specs``.
        presets: Agent -> the settings it has where metadata does not say.

    Raises:
        RoomSettingsError: One line that names the source, the field as a dotted path, and the fix.
    """
    room = read_object(room_metadata, source=ROOM)
    recording = recording_id_of(job_metadata)
    job = {RECORDING: recording} if recording else read_object(job_metadata, source=JOB)
    key = _take_key(room, job)
    sources = _Sources(_merge(room, job), job, presets)
    read = _validate(RoomMetadata, sources.merged, (), sources)
    if read.agents is None:
        wanted: Mapping[str, Any] = {name: True for name in defaults if name in specs}
    else:
        wanted = read.agents
    agents = {
        name: _agent_settings(name, asked, specs, allowed, sources)
        for name, asked in wanted.items()
        if asked is not None and asked is not False
    }
    return _settings(read, agents, sources.merged, recording, key)


def fallback_settings(
    room_metadata: str,
    job_metadata: str,
    *,
    specs: Mapping[str, AgentSpec],
    defaults: Sequence[str],
    presets: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> RoomSettings:
    """Return the default agents with default settings, and what else can be read; never raises."""
    room = readable_part(room_metadata, source=ROOM)
    recording = recording_id_of(job_metadata)
    job = {RECORDING: recording} if recording else readable_part(job_metadata, source=JOB)
    room.pop(E2EE_KEY, None)
    key = job.pop(E2EE_KEY, "")
    merged = _merge(room, job)
    known = set(_keys(RoomMetadata)) - {"agents"}
    sound = {key: merged[key] for key in merged.keys() & known if _is_sound(key, merged[key])}
    agents = {}
    for name in defaults:
        # `doctor` reports a default agent that is not installed or needs settings.
        with suppress(RoomSettingsError):
            agents[name] = _agent_settings(name, True, specs, (), _Sources({}, {}, presets))
    key = key if isinstance(key, str) else ""
    return _settings(_from_json(RoomMetadata, sound), agents, merged, recording, key)


def _take_key(room: Mapping[str, Any], job: dict[str, Any]) -> str:
    """Take the encryption key out of what the agents are given."""
    if E2EE_KEY in room:
        problem = "everybody in the room can read it here; put it into the job's metadata"
        refuse(ROOM, (E2EE_KEY,), problem)
    key = job.pop(E2EE_KEY, "")
    if not isinstance(key, str):
        refuse(JOB, (E2EE_KEY,), f"must be a string, not {kind_of(key)}")
    return key


def _is_sound(key: str, value: object) -> bool:
    try:
        _from_json(RoomMetadata, {key: value})
    except ValidationError:
        return False
    return True


def recording_id_of(job_metadata: str) -> str:
    """Return La Suite Meet's recording id, which is the whole of its job metadata, or empty."""
    text = job_metadata.strip()
    return text.lower() if _UUID.fullmatch(text) else ""


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, above in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(above, dict):
            merged[key] = _merge(below, above)
        else:
            merged[key] = above
    return merged


def _agent_settings(
    name: str,
    asked: object,
    specs: Mapping[str, AgentSpec],
    allowed: Sequence[str],
    sources: _Sources,
) -> AgentSettings:
    path = ("agents", name)
    if (spec := specs.get(name)) is None:
        sources.refuse(path, f"no such agent is installed; there are {', '.join(specs) or 'none'}")
    if sources.merged.get("agents") is not None and allowed and name not in allowed:
        sources.refuse(
            path, f"the operator does not allow this agent; allowed are {', '.join(allowed)}"
        )
    if asked is True:
        asked = {}
    if not isinstance(asked, dict):
        sources.refuse(
            path,
            f"must be an object with the agent's settings, true or false, not {kind_of(asked)}",
        )
    return _validate(spec.settings, {**sources.presets.get(name, {}), **asked}, path, sources)


def _validate(
    model: type[_Model], tree: Mapping[str, Any], path: Path, sources: _Sources
) -> _Model:
    try:
        return _from_json(model, tree)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False, include_context=False)
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        known = _keys(model) if len(first["loc"]) == 1 else ()
        problem = _explain(first["type"], first["msg"], known) + more
        sources.refuse((*path, *first["loc"]), problem)
    except Exception as error:  # a plugin's validator may raise anything
        sources.refuse(path, f"the agent's own check failed with {type(error).__name__}")


def _from_json(model: type[_Model], tree: Mapping[str, Any]) -> _Model:
    # As JSON, so that strict types still take an array for a tuple and a string for an enum.
    return model.model_validate_json(json.dumps(tree), strict=True)


def _keys(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(info.alias or name for name, info in model.model_fields.items())


def _explain(kind: str, message: str, known: Sequence[str]) -> str:
    if kind == "extra_forbidden":
        there_are = f"; there are {', '.join(known)}" if known else ""
        return (
            f"unknown key{there_are}; addresses, secrets and destinations are set in the "
            "worker's environment only"
        )
    if kind not in _SAFE_TO_SHOW:
        return "the agent refuses this value; see its documentation"
    return message[:1].lower() + message[1:]


def _settings(
    read: RoomMetadata,
    agents: Mapping[str, AgentSettings],
    metadata: Mapping[str, Any],
    recording_id: str,
    e2ee_key: str,
) -> RoomSettings:
    meeting = read.meeting_data or MeetingData()
    owner = {meeting.created_by: "owner"} if meeting.created_by else {}
    terms = [*(read.key_terms or ()), *(read.glossary or ())]
    return RoomSettings(
        agents=agents,
        meeting_id=meeting.id or "",
        language=read.language or "",
        key_terms=tuple(dict.fromkeys(terms)),
        roles={**owner, **(read.roles or {})},
        recording_id=recording_id,
        screen_share_audio=bool(read.screen_share_audio),
        summary=read.summary.model_dump(mode="json", exclude_unset=True) if read.summary else {},
        e2ee_key=SecretStr(e2ee_key),
        metadata=metadata,
    )
