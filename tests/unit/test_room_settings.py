"""What room metadata asks for, and what is left of it where it is broken."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.plugin import AgentSettings
from agents.roles import Role
from agents.room_settings import fallback_settings, read_room_settings
from pipelines.errors import RoomSettingsError
from tests.unit.metadata_samples import (
    CANARY,
    DEFAULTS,
    LA_SUITE,
    MEET_AI,
    RECORDING,
    SPECS,
    Captions,
    Chat,
    error_of,
    read,
)


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


def test_an_agent_outside_the_allow_list_is_refused_but_may_be_a_default() -> None:
    message = error_of({"agents": {"metadata": {}}}, allowed=("transcriber",))
    assert message == (
        "room metadata: agents.metadata: the operator does not allow this agent; "
        "allowed are transcriber"
    )
    assert set(read("", allowed=("transcriber",)).agents) == set(DEFAULTS)


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
