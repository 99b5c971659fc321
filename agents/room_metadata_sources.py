"""Where metadata comes from, and how a part of it becomes a model: an error names its source.

The job's metadata overrides the room's key by key. An error is one line that quotes no value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NoReturn, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core.core_schema import ErrorType

from agents.strict_json import Path, refuse

ROOM: Final = "room metadata"
JOB: Final = "job metadata"

# The messages of the others are not pydantic's own, or quote the value.
_SAFE_TO_SHOW: Final = frozenset(get_args(ErrorType)) - {
    "assertion_error",
    "union_tag_invalid",
    "value_error",
}

_Model = TypeVar("_Model", bound=BaseModel)


class Sources(NamedTuple):
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

    def validate(self, model: type[_Model], tree: Mapping[str, Any], path: Path) -> _Model:
        """Return ``tree``, which is at ``path`` of the metadata, as a ``model``.

        Raises:
            RoomSettingsError: It is none; the message quotes no value.
        """
        try:
            return from_json(model, tree)
        except ValidationError as error:
            problems = error.errors(include_input=False, include_url=False, include_context=False)
            first = problems[0]
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            known = keys_of(model) if len(first["loc"]) == 1 else ()
            problem = _explain(first["type"], first["msg"], known) + more
            self.refuse((*path, *first["loc"]), problem)
        except Exception as error:  # a plugin's validator may raise anything
            self.refuse(path, f"the agent's own check failed with {type(error).__name__}")


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay ``over`` over ``under``, key by key at every depth."""
    merged = dict(under)
    for key, above in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(above, dict):
            merged[key] = merge(below, above)
        else:
            merged[key] = above
    return merged


def from_json(model: type[_Model], tree: Mapping[str, Any]) -> _Model:
    """Return ``tree`` as a ``model``.

    Raises:
        ValidationError: It is none.
    """
    # As JSON, so that strict types still take an array for a tuple and a string for an enum.
    return model.model_validate_json(json.dumps(tree), strict=True)


def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the keys that metadata may have where it is a ``model``."""
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
