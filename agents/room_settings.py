"""Room and job metadata -> validated settings: which agents run, and how.

Metadata picks names from what the operator installed and allows. Addresses, secrets, import paths
and destinations come from the process's settings only: an agent's model has no such key, and a key
that it does not know is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, get_args

from pydantic import SecretStr, ValidationError

from agents.plugin import AgentSettings, AgentSpec
from agents.roles import Role
from agents.room_metadata import MeetingData, RoomMetadata
from agents.room_metadata_sources import JOB, ROOM, Sources, from_json, keys_of, merge
from agents.rpc.method import MethodName
from agents.strict_json import kind_of, named_keys, read_object, readable_part, refuse
from pipelines.errors import RoomSettingsError

RECORDING: Final = "recording_id"
"""Key under which agents find the recording id in the metadata."""

E2EE_KEY: Final = "e2eeKey"
"""Key of the job's metadata, and of no other: everybody in the room can read the room's."""

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """What the metadata of a room asks for.

    Args:
        agents: Name -> validated settings of each agent that is to run.
        meeting_id: ``meetingData.id``, or empty.
        language: BCP 47 tag, or empty.
        key_terms: Glossary of the room, each term once.
        roles: Identity -> role, for those who are not attendees by default.
        closed: Whether whoever is not in ``roles`` is a stranger, whomever it names: a part of it
            could not be read.
        permissions: RPC method -> the least role that may call it, where the room says one.
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
    closed: bool = False
    permissions: Mapping[str, Role] = field(default_factory=dict)
    recording_id: str = ""
    screen_share_audio: bool = False
    summary: Mapping[str, Any] = field(default_factory=dict)
    e2ee_key: SecretStr = field(default_factory=lambda: SecretStr(""))
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)


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
    sources = Sources(merge(room, job), job, presets)
    read = sources.validate(RoomMetadata, sources.merged, ())
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
    """Return the default agents with default settings, and what else can be read; never raises.

    A mistake in ``roles`` or ``permissions`` lifts no lock: what they say soundly holds, who is not
    named is a stranger, and what is not named is the owner's.
    """
    room = readable_part(room_metadata, source=ROOM)
    recording = recording_id_of(job_metadata)
    job = {RECORDING: recording} if recording else readable_part(job_metadata, source=JOB)
    room.pop(E2EE_KEY, None)
    key = job.pop(E2EE_KEY, "")
    merged = merge(room, job)
    known = set(keys_of(RoomMetadata)) - {"agents"}
    sound = {key: merged[key] for key in merged.keys() & known if _is_sound(key, merged[key])}
    locks = {key: _sound_entries(key, merged.get(key)) for key in ("roles", "permissions")}
    broken = {
        key
        for key in locks
        if key in merged.keys() - sound.keys()
        or key in named_keys(room_metadata, source=ROOM) - room.keys()
        or key in named_keys(job_metadata, source=JOB) - job.keys()
    }
    sound |= {key: locks[key] for key in broken}
    agents = {}
    for name in defaults:
        # `doctor` reports a default agent that is not installed or needs settings.
        with suppress(RoomSettingsError):
            agents[name] = default_settings(name, specs=specs, presets=presets)
    key = key if isinstance(key, str) else ""
    found = _settings(from_json(RoomMetadata, sound), agents, merged, recording, key)
    return _locked(found, broken)


def _locked(found: RoomSettings, broken: AbstractSet[str]) -> RoomSettings:
    if "permissions" in broken:
        owners = dict.fromkeys(get_args(MethodName), Role.OWNER)
        found = replace(found, permissions={**owners, **found.permissions})
    return replace(found, closed=True) if "roles" in broken else found


def default_settings(
    name: str,
    *,
    specs: Mapping[str, AgentSpec],
    presets: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> AgentSettings:
    """Return the settings of an agent of which the metadata says nothing.

    Raises:
        RoomSettingsError: It is not installed, or needs settings.
    """
    return _agent_settings(name, True, specs, (), Sources({}, {}, presets))


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
        from_json(RoomMetadata, {key: value})
    except ValidationError:
        return False
    return True


def _sound_entries(key: str, value: object) -> dict[str, Any]:
    entries = value.items() if isinstance(value, dict) else ()
    return {name: entry for name, entry in entries if _is_sound(key, {name: entry})}


def recording_id_of(job_metadata: str) -> str:
    """Return La Suite Meet's recording id, which is the whole of its job metadata, or empty."""
    text = job_metadata.strip()
    return text.lower() if _UUID.fullmatch(text) else ""


def _agent_settings(
    name: str,
    asked: object,
    specs: Mapping[str, AgentSpec],
    allowed: Sequence[str],
    sources: Sources,
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
    return sources.validate(spec.settings, {**sources.presets.get(name, {}), **asked}, path)


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
        permissions={name: Role(least) for name, least in (read.permissions or {}).items()},
        recording_id=recording_id,
        screen_share_audio=bool(read.screen_share_audio),
        summary=read.summary.model_dump(mode="json", exclude_unset=True) if read.summary else {},
        e2ee_key=SecretStr(e2ee_key),
        metadata=metadata,
    )
