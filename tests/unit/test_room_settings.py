"""Room metadata: what it may say, the one error when it says something else, and its schema."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import SecretStr, field_validator

from agents.plugin import AgentSettings, AgentSpec
from agents.roles import Role
from agents.room_metadata_schema import room_metadata_schema
from agents.room_settings import RoomSettings, fallback_settings, read_room_settings
from agents.strict_json import MAX_BYTES
from pipelines.errors import RoomSettingsError

RECORDING = "7f3c2f0e-6b1d-4d58-9a53-0c5b1f6b7a11"
CANARY = "sk-canary-4f1d"


class Captions(AgentSettings):
    language: str = ""
    engine: str = ""
    interims: bool = True
    size: Literal["small", "large"] = "small"
    words: tuple[str, ...] = ()

    @field_validator("engine")
    @classmethod
    def _plain(cls, value: str) -> str:
        if ":" in value:
            raise ValueError(f"no engine {value}")
        if value == "crash":
            raise RuntimeError(value)
        return value


class Chat(AgentSettings):
    chat: bool = True


class Demanding(AgentSettings):
    template: str


SPECS = {
    name: AgentSpec(name=name, create=lambda _settings: None, settings=model)  # type: ignore[arg-type, return-value]
    for name, model in {"transcriber": Captions, "metadata": Chat, "minutes": Demanding}.items()
}
DEFAULTS = ("metadata", "transcriber")


def read(room: object = "", job: object = "", *, allowed: tuple[str, ...] = ()) -> RoomSettings:
    texts = [part if isinstance(part, str) else json.dumps(part) for part in (room, job)]
    return read_room_settings(*texts, specs=SPECS, defaults=DEFAULTS, allowed=allowed)


def error_of(room: object = "", job: object = "", *, allowed: tuple[str, ...] = ()) -> str:
    with pytest.raises(RoomSettingsError) as caught:
        read(room, job, allowed=allowed)
    return str(caught.value)


MEET_AI = {
    "meetingData": {
        "id": "V1StGXR8_Z5jdHi6B-myT",
        "name": "Planning",
        "agentId": "a1",
        "createdByUserId": "u1",
        "status": "upcoming",
    },
    "agentData": {"id": "a1", "name": "Ada", "userId": "u1", "instructions": "Be brief."},
}
LA_SUITE = {
    "recording_mode": "transcript",
    "recording_status": "started",
    "configuration": {"can_publish_sources": ["microphone"], "everyone_can_mute": False},
    "access_level": "restricted",
}


@pytest.mark.parametrize(
    "room",
    ["", "  ", "null", '"null"', '""', "{}", '{"agents": null}', MEET_AI, LA_SUITE],
    ids=[
        "empty",
        "blank",
        "null",
        "null-text",
        "empty-text",
        "object",
        "null-agents",
        "MeetAI",
        "Meet",
    ],
)
def test_without_an_agents_key_the_default_agents_run_with_default_settings(room: object) -> None:
    assert read(room).agents == {"metadata": Chat(), "transcriber": Captions()}


@pytest.mark.parametrize(
    ("agents", "expected"),
    [
        ({}, {}),
        ({"transcriber": {}}, {"transcriber": Captions()}),
        ({"transcriber": True}, {"transcriber": Captions()}),
        ({"transcriber": False, "metadata": True}, {"metadata": Chat()}),
        ({"transcriber": None}, {}),
        ({"not-installed": False}, {}),
        ({"metadata": {"chat": False}}, {"metadata": Chat(chat=False)}),
        (
            {"transcriber": {"language": "fr", "engine": "deepgram/nova-3", "words": ["Élysée"]}},
            {"transcriber": Captions(language="fr", engine="deepgram/nova-3", words=("Élysée",))},
        ),
    ],
)
def test_the_agents_key_says_exactly_which_agents_run(
    agents: dict[str, Any], expected: dict[str, AgentSettings]
) -> None:
    assert read({"agents": agents}).agents == expected


def test_metadata_of_meetai_gives_the_meeting_its_id_and_its_owner() -> None:
    settings = read(MEET_AI)
    assert (settings.meeting_id, settings.roles) == ("V1StGXR8_Z5jdHi6B-myT", {"u1": "owner"})
    assert settings.metadata == MEET_AI


def test_keys_that_mean_nothing_here_are_kept_as_they_came() -> None:
    assert read(LA_SUITE).metadata == LA_SUITE


def test_job_metadata_overrides_room_metadata_key_by_key() -> None:
    settings = read(
        {"agents": {"transcriber": {"language": "de", "interims": False}}, "language": "de"},
        {"agents": {"transcriber": {"language": "fr"}}, "meetingData": {"id": "m1"}},
    )
    assert settings.agents == {"transcriber": Captions(language="fr", interims=False)}
    assert (settings.language, settings.meeting_id) == ("de", "m1")


def test_a_bare_uuid_as_job_metadata_is_the_recording_id() -> None:
    for text in (RECORDING, f" {RECORDING.upper()}\n"):
        settings = read(LA_SUITE, text)
        assert settings.recording_id == RECORDING
        assert settings.metadata == {**LA_SUITE, "recording_id": RECORDING}


@pytest.mark.parametrize("job", ["", {"recording_id": "../../other"}, {"recording_id": RECORDING}])
def test_nothing_but_a_bare_uuid_of_the_job_makes_a_recording(job: object) -> None:
    assert read({"recording_id": "../../room"}, job).recording_id == ""


def test_an_agents_preset_holds_where_metadata_does_not_say() -> None:
    def chat(room: object) -> AgentSettings:
        presets = {"metadata": {"chat": False}}
        return read_room_settings(
            json.dumps(room), "", specs=SPECS, defaults=DEFAULTS, allowed=(), presets=presets
        ).agents["metadata"]

    assert chat({}) == chat({"agents": {"metadata": True}}) == Chat(chat=False)
    assert chat({"agents": {"metadata": {"chat": True}}}) == Chat(chat=True)


def test_glossary_and_key_terms_are_one_list_without_repeats() -> None:
    assert read({"keyTerms": ["LiveKit", "Opus"], "glossary": ["Opus", "Élysée"]}).key_terms == (
        "LiveKit",
        "Opus",
        "Élysée",
    )


def test_roles_name_people_and_override_the_creator() -> None:
    settings = read({**MEET_AI, "roles": {"u1": "attendee", "u2": "moderator"}})
    assert settings.roles == {"u1": "attendee", "u2": "moderator"}


def test_the_summary_is_what_metadata_asks_for_and_no_more() -> None:
    asked = {"template": "decisions", "deliver": ["crm", "team-mail"]}
    assert read({"summary": asked}).summary == asked
    assert read({"summary": {"redact": False}}, {"summary": {"redact": True}}).summary == {
        "redact": True
    }
    assert read().summary == {}


STRUCTURE = {
    "agents-type": ({"agents": ["transcriber"]}, "agents"),
    "agent-type": ({"agents": {"transcriber": "on"}}, "agents.transcriber"),
    "agent-number": ({"agents": {"transcriber": 1}}, "agents.transcriber"),
    "unknown-agent": ({"agents": {"transcribr": {}}}, "agents.transcribr"),
    "required": ({"agents": {"minutes": {}}}, "agents.minutes.template"),
    "string": ({"agents": {"transcriber": {"engine": 3}}}, "agents.transcriber.engine"),
    "boolean": ({"agents": {"metadata": {"chat": "yes"}}}, "agents.metadata.chat"),
    "boolean-number": ({"agents": {"metadata": {"chat": 1}}}, "agents.metadata.chat"),
    "choice": ({"agents": {"transcriber": {"size": "huge"}}}, "agents.transcriber.size"),
    "item": ({"agents": {"transcriber": {"words": ["a", 2]}}}, "agents.transcriber.words.1"),
    "meeting-type": ({"meetingData": "m1"}, "meetingData"),
    "meeting-id": ({"meetingData": {"id": 7}}, "meetingData.id"),
    "meeting-line": ({"meetingData": {"id": "m\n1"}}, "meetingData.id"),
    "agent-data": ({"agentData": [1]}, "agentData"),
    "language": ({"language": "french please"}, "language"),
    "terms": ({"keyTerms": "LiveKit"}, "keyTerms"),
    "term": ({"glossary": ["ok", ""]}, "glossary.1"),
    "role": ({"roles": {"u1": "king"}}, "roles.u1"),
    "summary": ({"summary": True}, "summary"),
    "template": ({"summary": {"template": "../secrets"}}, "summary.template"),
    "redact": ({"summary": {"redact": "yes"}}, "summary.redact"),
    "destination": ({"summary": {"deliver": ["https://elsewhere"]}}, "summary.deliver.0"),
    "summary-key": ({"summary": {"webhook": "https://elsewhere"}}, "summary.webhook"),
}
SMUGGLED = ["api_key", "base_url", "webhook", "deliver", "plugin", "store", "__class__"]


@pytest.mark.parametrize(("room", "field"), STRUCTURE.values(), ids=STRUCTURE.keys())
def test_a_wrong_field_is_one_line_that_names_it(room: object, field: str) -> None:
    message = error_of(room)
    assert message.startswith(f"room metadata: {field}: ")
    assert "\n" not in message


@pytest.mark.parametrize("key", SMUGGLED)
def test_a_destination_secret_or_import_path_is_an_unknown_key(key: str) -> None:
    message = error_of({"agents": {"transcriber": {key: f"http://{CANARY}/"}}})
    assert message.startswith(f"room metadata: agents.transcriber.{key}: unknown key; there are ")
    assert "worker's environment" in message


@pytest.mark.parametrize(
    "settings",
    [
        {"engine": f"{CANARY}:Class"},
        {"size": CANARY},
        {"interims": CANARY},
        {"words": CANARY},
        {"api_key": CANARY},
        CANARY,
    ],
)
def test_an_error_never_quotes_a_value(settings: object) -> None:
    with pytest.raises(RoomSettingsError) as caught:
        read({"agents": {"transcriber": settings}})
    assert CANARY not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"agents":', "not valid JSON at line 1 column 11"),
        (f'{{"key": "{CANARY}', "not valid JSON at line 1 column 9"),
        ("hello", "not valid JSON at line 1 column 1"),
        ("[]", "an array, not a JSON object"),
        ("7", "a number, not a JSON object"),
        ("true", "a boolean, not a JSON object"),
        ('"text"', "a string, not a JSON object"),
        ('{"agents": {"x": NaN}}', "agents.x: NaN and Infinity"),
        ('{"a": [0, -Infinity]}', "a.1: NaN and Infinity"),
        ('{"a": 1e999}', "a: not a finite number"),
        ('{"a": ' + "9" * 5000 + "}", "holds a number that is too long"),
        ('{"agents": {"x": {}, "x": {}}}', "agents.x: given twice"),
        ('{"agents": {}, "agents": {}}', "agents: given twice"),
        (r'{"a": "\ud83d"}', "a: not valid Unicode"),
        (r'{"\ud83d": 1}', r'"\ud83d": the key is not valid Unicode'),
        ('{"a":' * 40 + "1" + "}" * 40, "a.a.a: nested deeper than 32 levels"),
        ('{"a":' + "[" * 100_000, "nested deeper than 32 levels"),
        (json.dumps({"a": "x" * MAX_BYTES}), "longer than 524,288 bytes"),
        (
            json.dumps({"a": "é" * (MAX_BYTES // 2)}, ensure_ascii=False),
            "longer than 524,288 bytes",
        ),
    ],
)
@pytest.mark.parametrize("source", ["room metadata", "job metadata"])
def test_what_is_no_sound_json_object_is_refused_by_name(
    text: str, problem: str, source: str
) -> None:
    message = error_of(text) if source == "room metadata" else error_of("", text)
    assert message.startswith(f"{source}: {problem}")
    assert CANARY not in message
    assert "\n" not in message


def test_the_error_names_the_metadata_that_holds_the_wrong_field() -> None:
    room = {"agents": {"transcriber": {"language": "fr"}}}
    assert error_of(room, {"agents": {"transcriber": {"engine": 1}}}).startswith("job metadata: ")
    assert error_of(room, {"agents": {"transcriber": 3}}).startswith("job metadata: ")
    assert error_of({"language": 3}, {"agents": {}}).startswith("room metadata: ")


def test_an_agent_outside_the_allow_list_is_refused_but_may_be_a_default() -> None:
    message = error_of({"agents": {"metadata": {}}}, allowed=("transcriber",))
    assert message == (
        "room metadata: agents.metadata: the operator does not allow this agent; "
        "allowed are transcriber"
    )
    assert set(read("", allowed=("transcriber",)).agents) == set(DEFAULTS)


def test_a_key_with_a_line_break_is_shown_on_one_line() -> None:
    assert r'agents."a\nb": no such agent' in error_of({"agents": {"a\nb": {}}})


def test_metadata_is_not_in_the_repr() -> None:
    settings = read(MEET_AI, {"webhookKey": CANARY})
    assert settings.metadata["webhookKey"] == CANARY
    assert CANARY not in repr(settings)


@pytest.mark.parametrize(
    ("room", "kept"),
    [
        ('{"agents":', {}),
        ({"agents": {"nosuch": {}}, "meetingData": {"id": "m1"}}, {"meeting_id": "m1"}),
        ({"language": 3, "meetingData": {"id": "m1"}}, {"meeting_id": "m1"}),
        ({"meetingData": {"id": 1}, "language": "fr"}, {"language": "fr"}),
        ('{"agents": NaN, "meetingData": {"id": "m1"}}', {"meeting_id": "m1"}),
        ('{"agents": 1, "agents": 2, "glossary": ["a"]}', {"key_terms": ("a",)}),
        ("[]", {}),
    ],
)
def test_the_fallback_is_the_default_agents_and_what_can_be_read(
    room: object, kept: dict[str, object]
) -> None:
    text = room if isinstance(room, str) else json.dumps(room)
    settings = fallback_settings(text, "", specs=SPECS, defaults=(*DEFAULTS, "minutes", "nosuch"))
    assert settings.agents == {"metadata": Chat(), "transcriber": Captions()}
    for field in ("meeting_id", "language", "key_terms"):
        assert getattr(settings, field) == kept.get(field, type(getattr(settings, field))())


@pytest.mark.parametrize(
    ("roles", "kept"),
    [
        ('{"ada": "attendee", "bob": "admin"}', {"ada": "attendee"}),
        ('{"ada": "owner", "bob": 3}', {"ada": "owner"}),
        ('["ada"]', {}),
        ('{"ada": "owner", "ada": "attendee"}', {}),
    ],
)
def test_a_mistake_in_roles_makes_strangers_of_those_it_does_not_name(
    roles: str, kept: dict[str, str]
) -> None:
    found = fallback_settings(f'{{"roles": {roles}}}', "", specs=SPECS, defaults=DEFAULTS)
    assert (found.roles, found.closed) == (kept, True)
    sound = fallback_settings('{"roles": null, "language": 3}', "", specs=SPECS, defaults=DEFAULTS)
    assert not sound.closed


def test_a_mistake_in_permissions_leaves_what_it_does_not_say_to_the_owner() -> None:
    metadata = {"permissions": {"tools.call": "moderator", "tools.lost": "owner"}}
    found = fallback_settings(json.dumps(metadata), "", specs=SPECS, defaults=DEFAULTS)
    assert found.permissions["tools.call"] is Role.MODERATOR
    assert found.permissions["tools.list"] is Role.OWNER
    sound = {"permissions": {"tools.call": "moderator"}, "language": 3}
    found = fallback_settings(json.dumps(sound), "", specs=SPECS, defaults=DEFAULTS)
    assert found.permissions == {"tools.call": Role.MODERATOR}


def test_the_fallback_keeps_the_recording_id() -> None:
    settings = fallback_settings("{", RECORDING, specs=SPECS, defaults=DEFAULTS)
    assert settings.recording_id == RECORDING
    assert settings.metadata == {"recording_id": RECORDING}


_keys = st.sampled_from(
    ["agents", "transcriber", "meetingData", "id", "language", "roles", "keyTerms", "engine"]
) | st.text(max_size=3)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=12,
)


@given(room=_json | st.text(), job=_json | st.text())
def test_any_metadata_is_read_or_refused_and_always_has_a_fallback(
    room: object, job: object
) -> None:
    texts = [part if isinstance(part, str) else json.dumps(part) for part in (room, job)]
    fallback = fallback_settings(*texts, specs=SPECS, defaults=DEFAULTS)
    assert set(fallback.agents) == set(DEFAULTS)
    try:
        settings = read_room_settings(*texts, specs=SPECS, defaults=DEFAULTS, allowed=())
    except RoomSettingsError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert settings.meeting_id == fallback.meeting_id


def test_a_plugins_check_that_raises_anything_is_an_error_of_that_agent() -> None:
    assert error_of({"agents": {"transcriber": {"engine": "crash"}}}) == (
        "room metadata: agents.transcriber: the agent's own check failed with RuntimeError"
    )


def test_a_secret_of_an_agents_model_stays_out_of_errors() -> None:
    class Secretive(AgentSettings):
        key: SecretStr = SecretStr("")

    spec = AgentSpec(name="s", create=lambda _settings: None, settings=Secretive)  # type: ignore[arg-type, return-value]
    with pytest.raises(RoomSettingsError) as caught:
        read_room_settings(
            json.dumps({"agents": {"s": {"key": [CANARY]}}}),
            "",
            specs={"s": spec},
            defaults=(),
            allowed=(),
        )
    assert CANARY not in str(caught.value)


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = room_metadata_schema(SPECS)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        MEET_AI,
        LA_SUITE,
        {"agents": None},
        {"agents": {"transcriber": True, "metadata": False, "not-installed": False}},
        {"agents": {"transcriber": {"engine": "deepgram/nova-3", "words": ["Élysée"]}}},
        {"agents": {"minutes": {"template": "short"}}},
        {"summary": {"template": "stand-up", "language": "fr", "redact": True, "deliver": ["crm"]}},
        {"summary": None},
        {"language": "fr-CA", "keyTerms": ["Opus"], "roles": {"u1": "owner"}},
    ],
)
def test_the_schema_takes_what_the_code_takes(
    validator: Draft202012Validator, metadata: object
) -> None:
    read(metadata)
    assert [error.message for error in validator.iter_errors(metadata)] == []


@pytest.mark.parametrize(("metadata", "_field"), STRUCTURE.values(), ids=STRUCTURE.keys())
def test_the_schema_refuses_what_the_code_refuses(
    validator: Draft202012Validator, metadata: object, _field: str
) -> None:
    assert not validator.is_valid(metadata)


@pytest.mark.parametrize("key", SMUGGLED)
def test_the_schema_knows_no_destination_secret_or_import_path(
    validator: Draft202012Validator, key: str
) -> None:
    assert not validator.is_valid({"agents": {"transcriber": {key: "x"}}})
