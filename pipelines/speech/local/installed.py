"""The engines that run on this machine: entry points of the group ``greffier.engines``."""

from __future__ import annotations

import functools
import importlib.util
import logging
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from pipelines.errors import EngineError

log = logging.getLogger(__name__)

GROUP: Final = "greffier.engines"


def installed() -> tuple[str, ...]:
    """Return the names of all local engines; what one imports may still be missing."""
    return tuple(_entries())


def load(name: str) -> Any:
    """Return the class behind an engine's name.

    Raises:
        EngineError: It can't be imported.
    """
    try:
        return _entries()[name].load()
    except Exception as error:
        raise EngineError(f"engine {name!r} can't be imported: {error}") from error


def is_offline(name: str) -> bool:
    """Return True for an engine that works without a download; False for one that is broken."""
    try:
        return bool(getattr(load(name), "offline", False))
    except EngineError as error:
        log.warning("engine left out", extra={"cause": str(error)})
        return False


def missing(name: str) -> str:
    """Return how to install what an engine imports, or an empty string where it is there."""
    package = getattr(load(name), "package", "")
    if package and importlib.util.find_spec(package) is None:
        return f"pip install 'greffier[{name}]'"
    return ""


@functools.cache
def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}
