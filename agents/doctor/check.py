"""What one check of the doctor found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Check:
    """One finding; shown to an operator, so no secret is ever in it.

    Args:
        name: What was looked at.
        level: ``error`` where the worker can't do its work, ``warning`` where it does it worse.
        message: What was found.
        fix: What to do, or empty where nothing is to do.
    """

    name: str
    level: Level
    message: str
    fix: str = ""


def ok(name: str, message: str) -> Check:
    """Report that all is well."""
    return Check(name, "ok", message)


def warning(name: str, message: str, fix: str) -> Check:
    """Report what makes the worker do its work worse."""
    return Check(name, "warning", message, fix)


def error(name: str, message: str, fix: str) -> Check:
    """Report what keeps the worker from its work."""
    return Check(name, "error", message, fix)
