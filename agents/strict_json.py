"""Read a JSON object that somebody else wrote: small, unambiguous, or one error that says where."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from pipelines.errors import RoomSettingsError

MAX_BYTES: Final = 524_288  # what a LiveKit server takes
MAX_DEPTH: Final = 32
_SHOWN: Final = 64  # characters of a key, in a message

Path = tuple[str | int, ...]
_NOT_A_NUMBER: Final = object()


class _Object(dict[str, Any]):
    """A JSON object that remembers which keys it was given twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice = _repeated([key for key, _ in pairs]) if len(pairs) != len(self) else ()


def _repeated(keys: list[str]) -> tuple[str, ...]:
    return tuple(key for key, times in Counter(keys).items() if times > 1)


def dotted(path: Path) -> str:
    """Write a path into a JSON value as ``agents.transcriber.engine``, always on one line."""
    return ".".join(_shown(step) for step in path)


def _shown(step: str | int) -> str:
    text = str(step)
    plain = text.isascii() and text.replace("-", "_").replace("_", "a").isalnum()
    return text[:_SHOWN] if plain else json.dumps(text[:_SHOWN])


def kind_of(value: object) -> str:
    """Name the JSON type of ``value``, for messages that must not show the value itself."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case dict():
            return "an object"
        case _:
            return "an array"


def refuse(source: str, path: Path, problem: str) -> NoReturn:
    """Raise the one error of a wrong field.

    Raises:
        RoomSettingsError: Always; ``source: dotted.path: problem``.
    """
    message = ": ".join(part for part in (source, dotted(path), problem) if part)
    # Unchained: a JSONDecodeError carries the document, and a document may hold a key.
    raise RoomSettingsError(message) from None


def read_object(text: str, *, source: str) -> dict[str, Any]:
    """Parse ``text`` as one JSON object; nothing, ``null`` and ``"null"`` are an empty one.

    Args:
        text: What was received.
        source: What to call it in the error: ``room metadata``.

    Raises:
        RoomSettingsError: It is no such object; the message shows keys and types, never values.
    """
    tree = _parse(text, source=source)
    for path, problem in _problems((), tree):
        refuse(source, path, problem)
    return tree


def readable_part(text: str, *, source: str) -> dict[str, Any]:
    """Return those top-level fields of ``text`` that are sound; never raises."""
    try:
        tree = _parse(text, source=source)
    except RoomSettingsError:
        return {}
    twice = tree.twice if isinstance(tree, _Object) else ()
    return {
        key: value
        for key, value in tree.items()
        if key not in twice and next(_problems((), {key: value}), None) is None
    }


def named_keys(text: str, *, source: str) -> frozenset[str]:
    """Return the top-level keys of ``text``, sound or not; never raises."""
    try:
        return frozenset(_parse(text, source=source))
    except RoomSettingsError:
        return frozenset()


def _parse(text: str, *, source: str) -> dict[str, Any]:
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES:
        refuse(source, (), f"longer than {MAX_BYTES:,} bytes; keep large data elsewhere")
    if not text.strip():
        return {}
    try:
        tree = json.loads(
            text, object_pairs_hook=_Object, parse_constant=lambda _name: _NOT_A_NUMBER
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        refuse(source, (), f"not valid JSON at {where}; send one JSON object or nothing")
    except RecursionError:
        refuse(source, (), f"nested deeper than {MAX_DEPTH} levels; send a flat object")
    except ValueError:
        refuse(source, (), "holds a number that is too long; send it as a string")
    if tree is None or tree in ("", "null"):
        return {}
    if not isinstance(tree, dict):
        refuse(source, (), f'{kind_of(tree)}, not a JSON object; send {{"agents": {{...}}}}')
    return tree


def _problems(path: Path, tree: object) -> Iterator[tuple[Path, str]]:
    """Yield what makes a parsed value unsound, in order."""
    if len(path) > MAX_DEPTH:
        yield path[:3], f"nested deeper than {MAX_DEPTH} levels; send a flat object"
    elif isinstance(tree, dict):
        for key in getattr(tree, "twice", ()):
            yield (*path, key), "given twice; keep one of them"
        for key, value in tree.items():
            if not _is_text(key):
                yield (*path, key), "the key is not valid Unicode; send whole characters"
            yield from _problems((*path, key), value)
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from _problems((*path, index), value)
    elif problem := _scalar_problem(tree):
        yield path, problem


def _scalar_problem(value: object) -> str:
    if isinstance(value, str) and not _is_text(value):
        return "not valid Unicode; send whole characters"
    if isinstance(value, float) and not math.isfinite(value):
        return "not a finite number; send a number that JSON can carry"
    if value is _NOT_A_NUMBER:
        return "NaN and Infinity are not JSON; send a number or null"
    return ""


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
