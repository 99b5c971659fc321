"""JSON schemas of tools' arguments: those of our models, and those that MCP servers send. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from jsonschema.exceptions import SchemaError, best_match
from jsonschema.validators import extend, validator_for
from pydantic import BaseModel
from referencing import Registry
from referencing.exceptions import Unresolvable

_BY_PATTERNS: Final = "patternProperties"
_ADDITIONAL: Final = "additionalProperties"


@lru_cache(maxsize=256)
def schema_of(model: type[BaseModel]) -> Mapping[str, Any]:
    """Return a model's schema, built once: each view of an approval holds it. Don't change it."""
    return model.model_json_schema(by_alias=True)


def require_schema(tool: str, schema: Mapping[str, Any]) -> None:
    """Raise ``ValueError``, which quotes the tool's name only, where that is no JSON schema."""
    try:
        validator_for(schema).check_schema(dict(schema))
    except (SchemaError, RecursionError):
        raise ValueError(f"{tool!r} has arguments that are no JSON schema") from None


def arguments_problem(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """Return what is wrong with arguments, without a value of theirs; empty where nothing is.

    Regular expressions are left to the server that wrote them: one of them could hold up whoever
    tries it for ever.
    """
    # An empty registry: a schema that refers to an address must not make us fetch it.
    checks = _without_patterns(validator_for(schema))
    validator = checks(_without_dialect(schema), registry=Registry())
    try:
        problem = best_match(validator.iter_errors(arguments))
    except Unresolvable:
        return "the tool's schema refers to another one"
    except RecursionError:
        return "the tool's schema refers to itself"
    if problem is None:
        return ""
    field = ".".join(map(str, problem.absolute_path)) or "arguments"
    rule = f"{problem.validator}: {json.dumps(problem.validator_value)[:200]}"
    return f"{field}: must follow the schema's {rule}"


@lru_cache(maxsize=16)
def _without_patterns(validator: Any) -> Any:
    of_others = validator.VALIDATORS[_ADDITIONAL]

    def additional(*args: Any) -> Iterator[Any]:
        *_, schema = args
        if _BY_PATTERNS not in schema:
            yield from of_others(*args) or ()

    def passed(*_: Any) -> Iterator[Any]:
        return iter(())

    left_out = dict.fromkeys(("pattern", _BY_PATTERNS, "unevaluatedProperties"), passed)
    return extend(  # type: ignore[no-untyped-call] # its stubs leave it so
        validator, {**left_out, _ADDITIONAL: additional}
    )


def _without_dialect(schema: Any) -> Any:
    """Return a schema whose parts name no dialect: the library would check them in full again."""
    if isinstance(schema, Mapping):
        return {
            key: _without_dialect(part)
            for key, part in schema.items()
            if key != "$schema" or not isinstance(part, str)
        }
    return [_without_dialect(part) for part in schema] if isinstance(schema, list) else schema
