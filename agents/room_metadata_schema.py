"""The JSON Schema of room metadata, from the same models that validate it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.plugin import AgentSpec
from agents.room_metadata import RoomMetadata


def room_metadata_schema(specs: Mapping[str, AgentSpec]) -> dict[str, Any]:
    """Build the schema (draft 2020-12) of metadata for a worker that has ``specs`` installed."""
    schema = RoomMetadata.model_json_schema()
    definitions = schema.setdefault("$defs", {})
    agents: dict[str, Any] = {}
    for name, spec in sorted(specs.items()):
        settings = spec.settings.model_json_schema(ref_template=f"#/$defs/agents.{name}.{{model}}")
        for inner, definition in settings.pop("$defs", {}).items():
            definitions[f"agents.{name}.{inner}"] = definition
        definitions[f"agents.{name}"] = settings
        agents[name] = {
            "anyOf": [{"$ref": f"#/$defs/agents.{name}"}, {"type": ["boolean", "null"]}],
            "description": spec.description,
        }
    schema["properties"]["agents"] |= {
        "anyOf": [
            {
                "type": "object",
                "properties": agents,
                "additionalProperties": {"enum": [False, None]},
            },
            {"type": "null"},
        ]
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Room metadata",
    }
