"""The JSON Schema of room metadata says what the code says."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from agents.room_metadata_schema import room_metadata_schema
from tests.unit.metadata_samples import LA_SUITE, MEET_AI, SMUGGLED, SPECS, STRUCTURE, read


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
