"""Metadata that says something wrong: one error, which names its source and field and no value."""

from __future__ import annotations

import json

import pytest
from pydantic import SecretStr

from agents.plugin import AgentSettings, AgentSpec
from agents.room_settings import read_room_settings
from pipelines.errors import RoomSettingsError
from tests.unit.metadata_samples import CANARY, SMUGGLED, STRUCTURE, error_of, read


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


def test_the_error_names_the_metadata_that_holds_the_wrong_field() -> None:
    room = {"agents": {"transcriber": {"language": "fr"}}}
    assert error_of(room, {"agents": {"transcriber": {"engine": 1}}}).startswith("job metadata: ")
    assert error_of(room, {"agents": {"transcriber": 3}}).startswith("job metadata: ")
    assert error_of({"language": 3}, {"agents": {}}).startswith("room metadata: ")


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
