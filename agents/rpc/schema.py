"""The JSON Schema of every RPC method, and the reference that is generated from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from pydantic.json_schema import JsonSchemaMode, models_json_schema

from agents.rpc.errors import MEANING
from agents.rpc.messages import ShowReply, ShowRequest, Streamed
from agents.rpc.method import Message, RpcMethod
from agents.rpc.methods import METHODS, SHOW

_REF: Final = "#/$defs/"


def rpc_schema() -> dict[str, Any]:
    """Build the schema: ``methods``, each with request and reply, and their ``$defs``."""
    # What is received may leave out what has a default; what is sent leaves out nothing.
    models: list[tuple[type[Message], JsonSchemaMode]] = [
        (ShowRequest, "serialization"),
        (ShowReply, "validation"),
        (Streamed, "serialization"),
    ]
    for method in METHODS:
        models += [(method.request, "validation"), (method.reply, "serialization")]
    refs, definitions = models_json_schema(models, ref_template=_REF + "{model}")
    methods: dict[str, Any] = {
        one.name: {
            "description": one.description,
            "request": refs[one.request, "validation"],
            "reply": refs[one.reply, "serialization"],
        }
        for one in METHODS
    }
    methods[SHOW] = {
        "description": "Has a browser ask its person; the agent calls it.",
        "request": refs[ShowRequest, "serialization"],
        "reply": refs[ShowReply, "validation"],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "RPC methods of Greffier, version 1",
        "methods": methods,
        "$defs": definitions["$defs"],
    }


def rpc_reference() -> str:
    """Return the table of methods, a section for each, and the errors, as Markdown."""
    schema = rpc_schema()
    return "\n".join([*_overview(), *_sections(schema), *_parts(schema), *_errors()]) + "\n"


def _overview() -> Iterator[str]:
    yield "| Method | Least role | Agents | Calls at once, then per second | What it does |"
    yield "| --- | --- | --- | --- | --- |"
    for one in METHODS:
        agents = "yes" if one.agents else "no"
        often = f"{one.rate.burst}, {one.rate.per_second:g}"
        yield f"| `{one.name}` | {_least(one)} | {agents} | {often} | {one.description} |"


def _least(method: RpcMethod[Any, Any]) -> str:
    if method.floor is method.least:
        return f"{method.least}, in every room"
    return str(method.least)


def _sections(schema: dict[str, Any]) -> Iterator[str]:
    for name, method in schema["methods"].items():
        yield f"\n### `{name}`\n\n{method['description']}"
        for part in ("request", "reply"):
            model = method[part]["$ref"].removeprefix(_REF)
            yield f"\n{part.capitalize()}:\n"
            yield from _fields(schema["$defs"][model])


def _parts(schema: dict[str, Any]) -> Iterator[str]:
    """Yield the objects and names that messages are made of."""
    whole = {
        method[part]["$ref"].removeprefix(_REF)
        for method in schema["methods"].values()
        for part in ("request", "reply")
    }
    for name in sorted(schema["$defs"].keys() - whole - {"JsonValue"}):
        part = schema["$defs"][name]
        yield f"\n### {name}\n\n{_text(part['description'])}\n"
        if "enum" in part:
            yield _type(part)
        else:
            yield from _fields(part)


def _fields(model: dict[str, Any]) -> Iterator[str]:
    yield "| Field | Type | Default | Meaning |"
    yield "| --- | --- | --- | --- |"
    required = model.get("required", ())
    for name, field in model["properties"].items():
        default = "" if name in required else f"`{_json(field.get('default'))}`"
        meaning = _text(field.get("description", ""))
        row = f"| `{name}` | {_type(field)} | {default} | {meaning} |"
        yield row.replace("|  |", "| |").replace("|  |", "| |")  # Twice: they share a bar.


def _type(field: dict[str, Any]) -> str:
    match field:
        case {"$ref": ref} if ref != _REF + "JsonValue":
            name = ref.removeprefix(_REF)
            text = f"[{name}](#{name.lower()})"
        case {"const": value}:
            text = f"`{_json(value)}`"
        case {"enum": values}:
            text = ", ".join(f"`{_json(value)}`" for value in values)
        case {"anyOf": options}:
            text = " or ".join(map(_type, options))
        case {"type": "array", "items": {"enum": [_, _, _, _, _, *_]}}:
            text = "list of strings"  # The schema lists them.
        case {"type": "array", "items": items}:
            text = f"list of {_type(items)}"
        case {"type": kind}:
            text = kind
        case _:
            text = "any JSON value"
    return text


def _errors() -> Iterator[str]:
    yield "\n## Errors\n"
    yield "| Code | `code` in the data | Meaning |"
    yield "| --- | --- | --- |"
    for code, meaning in MEANING.items():
        yield f"| {code.value} | `{code.name.lower()}` | {meaning} |"


def _json(value: object) -> str:
    return json.dumps(value)


def _text(text: str) -> str:
    """Put a description into one cell; docstrings write code in two backticks."""
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())
