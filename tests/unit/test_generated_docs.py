"""The generated parts of the documentation say what the code says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from agents.generated_docs import generated_files, settings_table
from pipelines.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("path", "expected"),
    [pytest.param(path, text, id=path.name) for path, text in generated_files(ROOT).items()],
)
def test_a_generated_document_is_up_to_date(path: Path, expected: str) -> None:
    assert path.read_text() == expected, "run: make docs"


def test_the_settings_table_has_every_variable_and_no_secret() -> None:
    table = settings_table()
    assert all(f"| `{Settings.variable(name)}` |" in table for name in Settings.model_fields)
    assert "| `LIVEKIT_API_SECRET` | *secret* |" in table
    assert "SecretStr" not in table


def test_the_published_schema_of_room_metadata_is_a_valid_schema() -> None:
    schema = json.loads((ROOT / "docs/room-metadata.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    agents = schema["properties"]["agents"]["anyOf"][0]["properties"]
    assert sorted(agents) == ["assistant", "metadata", "transcriber"]
